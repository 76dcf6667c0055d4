// The flags of `npm run faults`. Unknown ones are refused with the nearest name; nothing runs here.
import { parseArgs } from 'node:util';
import { nearestName, XMoEError } from '@xmoe/core';

export interface FaultsOptions<Name extends string> {
  readonly sections: readonly Name[];
  readonly share: number;
  readonly jobs: number;
  readonly seed: number;
  readonly record: string | null;
  readonly help: boolean;
}

const FLAGS = {
  only: { type: 'string' },
  share: { type: 'string' },
  short: { type: 'boolean' },
  jobs: { type: 'string' },
  seed: { type: 'string' },
  record: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** What `--short` does. */
const SHORT = 0.02;

export const helpText = (sections: Readonly<Record<string, string>>): string => `npm run faults -- [options]
  --only LIST    sections, separated by commas (default: all):
${Object.entries(sections).map(([name, about]) => `                   ${name.padEnd(14)} ${about}`).join('\n')}
  --share S      the share of the full form to do, above 0 and up to 1 (default: 1)
  --short        --share ${SHORT}: shows that it runs
  --jobs J       processes side by side (default: 2)
  --seed S       of the random moments and bytes (default: 1)
  --record FILE  put the results into the table of that markdown file, e.g. docs/reliability.md
  --help         this text
`;

/** @throws XMoEError `config` for an unknown flag or section, or a value that does not fit */
export function parseOptions<Name extends string>(args: readonly string[], known: readonly Name[]): FaultsOptions<Name> {
  const values = readFlags(args[0] === '--' ? args.slice(1) : args);
  return {
    sections: values.only === undefined ? known : sectionsOf(values.only, known),
    share: values.short ? SHORT : numberOf('share', values.share, 1, (value) => value > 0 && value <= 1),
    jobs: numberOf('jobs', values.jobs, 2, (value) => Number.isInteger(value) && value >= 1),
    seed: numberOf('seed', values.seed, 1, Number.isSafeInteger),
    record: values.record ?? null,
    help: values.help ?? false,
  };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS }).values;
  } catch (cause) {
    throw new XMoEError('config', (cause as Error).message.split('. ')[0]!, { hint: `the options are --${Object.keys(FLAGS).join(', --')}`, cause });
  }
}

function sectionsOf<Name extends string>(list: string, known: readonly Name[]): Name[] {
  return list.split(',').map((name) => {
    const found = known.find((section) => section === name);
    if (found !== undefined) return found;
    const near = nearestName(name, known);
    throw new XMoEError('config', `--only: there is no section "${name}"`, { hint: near ? `did you mean "${near}"?` : `sections: ${known.join(', ')}` });
  });
}

function numberOf(flag: string, text: string | undefined, otherwise: number, fits: (value: number) => boolean): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() !== '' && fits(value)) return value;
  throw new XMoEError('config', `--${flag}: "${text}" does not fit`, { hint: 'see --help' });
}
