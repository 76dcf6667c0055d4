// --json of every command that a program's help tells of: one JSON document on the output, and nothing else. A command that is added and not tried fails.
import { commandNames } from './command-table.js';
import type { Harness } from './harness.js';

/** By command, a line that it can do, without --json. `null`: tried elsewhere, as it does not end by itself. */
export type CommandLines = Readonly<Record<string, readonly string[] | null>>;

/** What is wrong with the command, and what it printed. */
export interface JsonProblems {
  readonly problems: string[];
  readonly documents: Readonly<Record<string, Record<string, unknown>>>;
}

/** Tries each line with --json. Commands that are in the help and not in `lines`, or the other way round, are problems. */
export async function tryJson({ runHere, mustRun }: Pick<Harness, 'runHere' | 'mustRun'>, lines: CommandLines): Promise<JsonProblems> {
  const names = commandNames((await mustRun('--help')).output);
  const problems = [...names.filter((name) => !Object.hasOwn(lines, name)).map((name) => `${name}: not tried`), ...Object.keys(lines).filter((name) => !names.includes(name)).map((name) => `${name}: there is no such command`)];
  const documents: Record<string, Record<string, unknown>> = {};
  for (const [name, line] of Object.entries(lines)) {
    if (line === null) continue;
    const { code, output, messages } = await runHere(name, ...line, '--json');
    const document = documentOf(output);
    if (code !== 0 || document === undefined) problems.push(`${name} ended with ${code}\n${output.slice(0, 500)}\n${messages}`);
    else documents[name] = document;
  }
  return { problems, documents };
}

/** The object of one line that is all of `output`; undefined for anything else. */
function documentOf(output: string): Record<string, unknown> | undefined {
  if (!/^\{.*\}\n$/.test(output)) return undefined;
  try {
    return JSON.parse(output) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
