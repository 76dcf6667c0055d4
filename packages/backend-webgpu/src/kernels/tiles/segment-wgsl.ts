// WGSL that finds the segment of a unit of rows (a row tile, a part of a reduction) from the offsets, without a table: segment g's
// units begin at ⌊offsets[g] / unit⌋ + g. Each segment then has at least as many units as it needs, so the number of workgroups is
// static, and a unit too many sees that it is beyond the end.

/**
 * Buffer `offsets` (i32) and arguments `groupFirst`, `groups` (the segments of this launch), `tail` (1: the rows after the last are
 * one more), `rowFirst` and `rows` (the rows of this launch: segments are seen clipped to them, from 0).
 * `unitSegment(unit, size, lane)` gives the segment within the launch; all lanes call it, in uniform control flow.
 */
export const SEGMENT_WGSL = `
var<workgroup> segmentFound: u32;
fn segmentBegin(g: u32) -> u32 {
  let offset = u32(offsets[args.groupFirst + g]);
  return clamp(offset, args.rowFirst, args.rowFirst + args.rows) - args.rowFirst;
}
fn segmentEnd(g: u32) -> u32 {
  return select(args.rows, segmentBegin(min(g + 1u, args.groups)), g < args.groups);
}
fn firstUnit(g: u32, size: u32) -> u32 {
  return (segmentBegin(g) - segmentBegin(0u)) / size + g;
}
fn unitSegment(unit: u32, size: u32, lane: u32) -> u32 {
  let count = args.groups + args.tail;
  for (var g = lane; g < count; g += THREADS) {
    let isLast = g + 1u == count;
    if (firstUnit(g, size) <= unit && (isLast || unit < firstUnit(min(g + 1u, args.groups), size))) { segmentFound = g; }
  }
  return workgroupUniformLoad(&segmentFound);
}`.trim();

export const SEGMENT_ARGS = ['groupFirst', 'groups', 'tail', 'rowFirst', 'rows'] as const;

/** Units of a launch over `rows` rows, enough for any offsets. */
export function unitCount(rows: number, size: number, groups: number, tail: boolean): number {
  return groups + (tail ? 1 : 0) === 0 ? 0 : Math.floor(rows / size) + groups + (tail ? 1 : 0);
}
