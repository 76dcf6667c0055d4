// WGSL of the counter-based random numbers of core's random.ts, equal to them to the bit: Threefry-2x32 with 20 rounds (Salmon et
// al., SC 2011).

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;

function rounds(): string {
  const lines: string[] = [];
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[round % 8]!;
    lines.push(`  x += y; y = (y << ${rotation}u) | (y >> ${32 - rotation}u); y ^= x;`);
    if (round % 4 !== 3) continue;
    const injection = (round + 1) / 4;
    const words = ['key.x', 'key.y', 'parity'];
    lines.push(`  x += ${words[injection % 3]}; y += ${words[(injection + 1) % 3]} + ${injection}u;`);
  }
  return lines.join('\n');
}

/**
 * `threefry(key, counter)`: one block, two words; `uniformOf(word)`: the number in [0, 1) that a word stands for;
 * `uniformAt(key, stream, index)`: element `index` of the stream. Elements 2c and 2c + 1 are the words of block (c, stream).
 */
export const THREEFRY = `
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let parity = key.x ^ key.y ^ 0x1bd11bdau;
  var x = counter.x + key.x;
  var y = counter.y + key.y;
${rounds()}
  return vec2u(x, y);
}
fn uniformOf(word: u32) -> f32 { return f32(word >> 8u) * 0x1p-24f; }
fn uniformAt(key: vec2u, stream: u32, index: u32) -> f32 {
  let block = threefry(key, vec2u(index >> 1u, stream));
  return uniformOf(select(block.x, block.y, (index & 1u) == 1u));
}`.trim();
