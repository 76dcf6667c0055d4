// What a launch costs by a model: FLOPs from its arguments, bytes from its bindings, time from both. The rates are assumptions about
// an H100-class GPU, taken from instruction counts and documentation, never measured: ratios between two versions of a step mean
// something, milliseconds do not.
import type { Launch } from './launch.js';

/** FLOP/s, bytes/s, seconds per launch, and multiprocessors. */
const RATES = { matrices: 120e12, multiplyAdds: 28e12, attention: 9e12, memory: 2.6e12, launch: 3e-6, processors: 132 };

/** FLOPs of the products and of attention; 0 for all that is bound by memory. */
export function flopsOf({ name, args }: Launch): number {
  const of = (field: string): number => args[field] ?? 0;
  if (name.startsWith('attention')) return attentionFlops(name, of);
  if (name.startsWith('grouped') && 'rows' in args && 'K' in args) return 2 * of('rows') * of('K') * of('M');
  if (!name.startsWith('matmul ') || !('tilesM' in args)) return 0;
  const count = of('tiles') / (of('tilesM') * of('tilesN') * of('parts'));
  return 2 * count * (of('mEnd') - of('m')) * (of('nEnd') - of('n')) * (of('kEnd') - of('k'));
}

/** Products per pair of a query and a key: q·k and p·v forward; three for dq; four for dk and dv. */
function attentionFlops(name: string, of: (field: string) => number): number {
  const width = /head of (\d+)/.exec(name)?.[1];
  if (!width) return 0; // sums of rows
  const products = name.startsWith('attentionGrad dq') ? 3 : name.startsWith('attentionGrad dk') ? 4 : 2;
  const share = of('reach') >= of('keys') ? 1 : 0.5;
  return 2 * products * (of('groups') / of('blocks')) * of('queries') * of('keys') * Number(width) * share;
}

/** Bytes read and written, at most: what is bound, or for gathered rows and slices what they touch. */
export function bytesOf({ name, args, bindings }: Launch): number {
  const sizes = bindings.map(({ bytes }) => bytes);
  const all = sizes.reduce((sum, bytes) => sum + bytes, 0);
  // Parameters and moments are written as well as read.
  if (name.startsWith('adamStep')) return (all * 7) / 4;
  if (name.startsWith('slice')) return 2 * Math.min(...sizes);
  const touched = 2 * 16 * (args.length ?? args.rows ?? Infinity) * (name.startsWith('gatherRows') ? 1 : (args.units ?? 1));
  return /^(gatherRows|scatterAddRows)/.test(name) ? Math.min(all, touched) : all;
}

/** Milliseconds by the model. */
export function modelledMs(launch: Launch): number {
  const { name, groups: [x, y, z], program: { threads } } = launch;
  const groups = x * y * z;
  const matrices = / of \d+x\d+x\d+/.test(name);
  const slots = RATES.processors * (threads >= 256 ? 2 : threads >= 128 ? 3 : 4);
  // The last round of workgroups leaves processors idle.
  const filled = matrices ? groups / (Math.ceil(groups / slots) * slots) : 1;
  const rate = (matrices ? RATES.matrices : name.startsWith('attention') ? RATES.attention : RATES.multiplyAdds) * filled;
  const busy = Math.min(1, Math.max(0.04, (2 * groups) / RATES.processors));
  return 1e3 * (RATES.launch + Math.max(flopsOf(launch) / rate, bytesOf(launch) / (RATES.memory * busy)));
}
