// WGSL for rows that belong to segments: segment g holds the rows offsets[g] ≤ r < offsets[g + 1].

/**
 * \`segmentOf(row)\`: the segment of a row, args.segments for a row that has none; never an empty one. Needs the buffer
 * \`offsets\` (i32) and the argument \`segments\`.
 */
export const SEGMENT_OF = `
fn segmentOf(row: u32) -> u32 {
  var low = 0u;
  var high = args.segments;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(offsets[middle + 1u]) > row) { high = middle; } else { low = middle + 1u; }
  }
  return low;
}`.trim();
