// What probes found out, between runs: a file each in the user's cache folder. A cache: whatever is wrong with it counts as not there, and
// what cannot be written is found out again.
import { nodeModule, nodeProcess } from './platform.js';

export interface Verdict {
  /** Why not; null for yes. */
  readonly refusal: string | null;
  /** When to ask again, in milliseconds since 1970; null for never. */
  readonly until: number | null;
}

/** Where the verdict of a question lies: `<cache>/<name>-<hash of the question>.json` with cache = XMOE_CACHE_DIR, XDG_CACHE_HOME/xmoe or ~/.cache/xmoe. */
async function locate(name: string, question: string): Promise<{ directory: string; path: string }> {
  const [{ join }, { homedir }, { createHash }] = await Promise.all([nodeModule('node:path'), nodeModule('node:os'), nodeModule('node:crypto')]);
  const { XMOE_CACHE_DIR, XDG_CACHE_HOME } = nodeProcess!.env;
  const directory = XMOE_CACHE_DIR || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'xmoe');
  return { directory, path: join(directory, `${name}-${createHash('sha256').update(question).digest('hex').slice(0, 16)}.json`) };
}

/** The verdict on exactly this question, if there is one that still holds. */
export async function recallVerdict(name: string, question: string): Promise<Verdict | undefined> {
  try {
    const [{ readFile }, { path }] = await Promise.all([nodeModule('node:fs/promises'), locate(name, question)]);
    const found = JSON.parse(await readFile(path, 'utf8')) as { question?: unknown; refusal?: unknown; until?: unknown };
    const { refusal, until } = found;
    if (found.question !== question || (refusal !== null && typeof refusal !== 'string')) return undefined;
    if (until !== null && !(typeof until === 'number' && Date.now() < until)) return undefined;
    return { refusal, until };
  } catch {
    return undefined;
  }
}

export async function keepVerdict(name: string, question: string, verdict: Verdict): Promise<void> {
  try {
    const { mkdir, rename, rm, writeFile } = await nodeModule('node:fs/promises');
    const { directory, path } = await locate(name, question);
    await mkdir(directory, { recursive: true });
    // Another process may write at the same time: each its own file, then one of them whole.
    const temporary = `${path}.${nodeProcess!.pid}.${Math.random().toString(36).slice(2)}`;
    try {
      await writeFile(temporary, `${JSON.stringify({ question, ...verdict }, undefined, 1)}\n`);
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  } catch {
    // A read-only home, a full disk.
  }
}
