// The flags of `npm run faults`. Unknown ones are refused with the nearest name; nothing runs here.
import { requireName } from '@xmoe/core';
import { fromOne, namesOf, numberOf, readToolFlags } from '@xmoe/testing/programs';

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
  help: { type: 'boolean', short: 'h' },
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
  const { only, share = '1', short, jobs = '2', seed = '1', record, help } = readToolFlags('faults', args, FLAGS);
  return {
    sections: only === undefined ? known : namesOf('faults', '--only', only).map((name) => requireName('faults', 'section', name, known)),
    share: short ? SHORT : numberOf('faults', '--share', share, 'a share above 0 and up to 1', (value) => value > 0 && value <= 1),
    jobs: numberOf('faults', '--jobs', jobs, 'a whole number from 1', fromOne),
    seed: numberOf('faults', '--seed', seed, 'a whole number', Number.isSafeInteger),
    record: record ?? null,
    help: help ?? false,
  };
}
