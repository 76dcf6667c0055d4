// The flags of the first minutes on a GPU. Unknown ones, and phases that are not there, are refused with what there is; nothing runs here.
import { requireName } from '@xmoe/core';
import { namesOf, readToolFlags } from '@xmoe/testing/programs';

/** In the order of what is wanted most, should the time run out. */
export const PHASE_NAMES = [
  'device', 'launches', 'step 323m float16', 'torch', 'step 124m float16', 'conformance', 'products', 'layers', 'step tiny', 'step small', 'step 124m float32', 'step 323m preset',
] as const;
export type PhaseName = (typeof PHASE_NAMES)[number];

export interface GpuOptions {
  readonly phases: readonly PhaseName[];
  /** Run this phase here, in this process. */
  readonly here: PhaseName | null;
  readonly small: boolean;
  readonly help: boolean;
}

const FLAGS = { only: { type: 'string' }, phase: { type: 'string' }, small: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;

export const HELP = `npm run gpu -- [options]
  --only LIST   phases, separated by commas (default: all): ${PHASE_NAMES.slice(0, 6).join(', ')},
                ${PHASE_NAMES.slice(6).join(', ')}
  --small       shows that it runs, on any adapter: small shapes, and no step of a model of the paper
  --bundle DIR  put all it needs into a folder to carry to a machine with a GPU, and run nothing
  --help        this text
`;

/** @throws XMoEError `config` for an unknown flag or phase */
export function parseOptions(args: readonly string[]): GpuOptions {
  const { only, phase, small = false, help = false } = readToolFlags('gpu', args, FLAGS);
  const phaseOf = (name: string): PhaseName => requireName('gpu', 'phase', name, PHASE_NAMES);
  return {
    phases: only === undefined ? PHASE_NAMES.filter((name) => !small || !/124m|323m/.test(name)) : namesOf('gpu', '--only', only).map(phaseOf),
    here: phase === undefined ? null : phaseOf(phase),
    small,
    help,
  };
}
