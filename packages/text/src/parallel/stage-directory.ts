// Directories of finished stages: named by what they were made from, complete or not there at all. A stage whose inputs
// have not changed is found again; a damaged one is made anew. Knows nothing of what a stage does.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { createDirectoryAtomically, writeDurably } from '../data/durable-files.js';
import { fingerprintOf } from '../data/shard-index.js';

const STAGE_FILE = 'stage.json';
const stageSchema = z.object({
  format: z.literal('xmoe-stage'),
  version: z.literal(1),
  stage: z.string(),
  fingerprint: z.string(),
  /** What the fingerprint is made of, for people. */
  inputs: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Bytes of each file. */
  files: z.record(z.string(), z.int().min(0)),
});

export interface Stage {
  readonly name: string;
  readonly directory: string;
  readonly fingerprint: string;
  /** It was there already. */
  readonly reused: boolean;
}

export interface StageOptions {
  /** Folder that holds the stages' directories. */
  root: string;
  /** `pairs` gives `pairs-0123456789ab`. */
  name: string;
  /** All that decides the outcome. */
  inputs: Readonly<Record<string, string | number>>;
  /** Writes the stage's files. */
  fill: (directory: string, fingerprint: string) => Promise<void>;
}

/** Finds the stage with these inputs, or makes it. A failure leaves nothing behind. */
export async function runStage({ root, name, inputs, fill }: StageOptions): Promise<Stage> {
  const fingerprint = fingerprintOf(inputs);
  const directory = join(root, `${name}-${fingerprint.slice(0, 12)}`);
  if (await isComplete(directory, fingerprint)) return { name, directory, fingerprint, reused: true };
  const fillAndSeal = async (temporary: string) => {
    await fill(temporary, fingerprint);
    const files: Record<string, number> = {};
    for (const file of (await readdir(temporary)).sort()) files[file] = (await stat(join(temporary, file))).size;
    const stage = { format: 'xmoe-stage', version: 1, stage: name, fingerprint, inputs, files };
    await writeDurably(join(temporary, STAGE_FILE), `${JSON.stringify(stage, null, 2)}\n`);
  };
  // What is there is damaged; where nothing is, another process may finish first, and its directory stays.
  const replace = (await stat(directory).catch(() => undefined)) !== undefined;
  try {
    await createDirectoryAtomically(directory, fillAndSeal, { replace });
  } catch (error) {
    if (!(await isComplete(directory, fingerprint))) throw error;
  }
  return { name, directory, fingerprint, reused: false };
}

/** Whether a directory holds the whole stage: every file with the size it was written with. */
async function isComplete(directory: string, fingerprint: string): Promise<boolean> {
  const text = await readFile(join(directory, STAGE_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) return false;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const stage = stageSchema.safeParse(value);
  if (!stage.success || stage.data.fingerprint !== fingerprint) return false;
  for (const [file, bytes] of Object.entries(stage.data.files)) {
    const entry = await stat(join(directory, file)).catch(() => undefined);
    if (entry?.size !== bytes) return false;
  }
  return true;
}
