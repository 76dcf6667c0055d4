// Transposition through tiles in workgroup memory, so that both reading and writing run along neighbours. Where the fastest axis
// stays, or is short, a strided copy is as good: see movement.ts.
import { wgslType, type ProgramSpec, type ScalarType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { fits, mergeAxes, type View } from './strided.js';

/** Side of a tile; 256 threads move it in four steps. */
const TILE = 32;
/** Shorter axes would leave most of a tile empty. */
const SHORTEST = 8;
/** Axes beside the two of the tile; more are left to the strided copy. */
const MOST_BATCH_AXES = 8;

/** Whether it was done here: out (dense) = x, both walked over out's shape. */
export function transposeThroughTiles(runtime: Runtime, x: View, out: View): boolean {
  const { bindingBytes } = runtime.traits;
  const { shape, views } = mergeAxes(out.operand.shape, [x, out]);
  const [source, target] = views as [View, View];
  const last = shape.length - 1;
  // The axis along which x is contiguous.
  const across = source.strides.indexOf(1);
  if (across < 0 || across === last || Math.min(shape[across]!, shape[last]!) < SHORTEST) return false;
  if (shape.length > MOST_BATCH_AXES + 2 || !fits(x.operand, bindingBytes) || !fits(out.operand, bindingBytes)) return false;
  const batch = shape.map((_, axis) => axis).filter((axis) => axis !== across && axis !== last);
  const type = wgslType(out.operand.dtype);
  const program = runtime.program(`transpose tile ${type} ${batch.length}`, () => tileSpec(type, batch.length));
  const args: Record<string, number> = {
    sizeA: shape[across]!, sizeB: shape[last]!, xB: source.strides[last]!, outA: target.strides[across]!,
    tilesA: Math.ceil(shape[across]! / TILE), tilesB: Math.ceil(shape[last]! / TILE),
  };
  let count = args.tilesA! * args.tilesB!;
  batch.forEach((axis, index) => {
    args[`n${index}`] = shape[axis]!;
    args[`x${index}`] = source.strides[axis]!;
    args[`out${index}`] = target.strides[axis]!;
    count *= shape[axis]!;
  });
  runtime.run(program, { x: x.operand, out: out.operand }, { ...args, count }, runtime.fold(count));
  return true;
}

/** A is the axis along which x is contiguous, B that of out. */
function tileSpec(type: string, batchAxes: number): ProgramSpec {
  const axes = Array.from({ length: batchAxes }, (_, index) => index);
  const fields = ['count', 'sizeA', 'sizeB', 'xB', 'outA', 'tilesA', 'tilesB', ...axes.flatMap((axis) => [`n${axis}`, `x${axis}`, `out${axis}`])];
  return {
    buffers: { x: { access: 'read', type }, out: { access: 'write', type } },
    args: Object.fromEntries(fields.map((field): [string, ScalarType] => [field, 'u32'])),
    code: `
var<workgroup> tile: array<array<${type}, ${TILE + 1}>, ${TILE}>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.count) { return; }
  let a0 = (index % args.tilesA) * ${TILE};
  let b0 = (index / args.tilesA % args.tilesB) * ${TILE};
  var rest = index / args.tilesA / args.tilesB;
  var source = 0u;
  var goal = 0u;
${axes.map((axis) => `  source += rest % args.n${axis} * args.x${axis}; goal += rest % args.n${axis} * args.out${axis}; rest = rest / args.n${axis};`).join('\n')}
  let column = lane % ${TILE};
  for (var row = lane / ${TILE}; row < ${TILE}; row += ${256 / TILE}) {
    if (a0 + column < args.sizeA && b0 + row < args.sizeB) { tile[row][column] = x[source + (b0 + row) * args.xB + a0 + column]; }
  }
  workgroupBarrier();
  for (var row = lane / ${TILE}; row < ${TILE}; row += ${256 / TILE}) {
    if (a0 + row < args.sizeA && b0 + column < args.sizeB) { out[goal + (a0 + row) * args.outA + b0 + column] = tile[column][row]; }
  }
}`,
  };
}
