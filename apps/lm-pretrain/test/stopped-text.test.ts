// Text as a server lets it out: characters that span tokens, stop sequences that span tokens, and what is held back in between.
import { describe, expect, it } from 'vitest';
import { createStoppedText } from '../src/serve/stopped-text.js';

/** Each piece that comes out, and what comes at the end; bytes go in `size` at a time. */
function pieces(text: string | Uint8Array, stops: string[], size: number): { out: string[]; stopped: boolean } {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const shown = createStoppedText(stops);
  const out: string[] = [];
  for (let at = 0; at < bytes.length && !shown.stopped; at += size) out.push(shown.add(bytes.subarray(at, at + size)));
  return { out: [...out, shown.end()], stopped: shown.stopped };
}

describe('createStoppedText', () => {
  it.each([1, 2, 3, 7])('lets whole characters out, %i bytes a token', (size) => {
    const text = 'naïve 日本語 🎓👩‍👩‍👧 \ufeffend';
    const { out } = pieces(text, [], size);
    expect(out.join('')).toBe(text);
    for (const piece of out) expect(piece).not.toMatch(/\ufffd|[\ud800-\udbff]$|^[\udc00-\udfff]/);
  });

  it.each([1, 2, 5, 99])('never shows a stop sequence nor a part of one, %i bytes a token', (size) => {
    expect(pieces('one\n\nUser: two', ['User:', '\n\nU'], size)).toMatchObject({ stopped: true });
    expect(pieces('one\n\nUser: two', ['User:', '\n\nU'], size).out.join('')).toBe('one');
    // What looked like the beginning of one comes out after all.
    expect(pieces('aab aaab aac', ['aac'], size).out.join('')).toBe('aab aaab ');
    expect(pieces('ENDED? EN', ['END.'], size)).toMatchObject({ stopped: false });
    expect(pieces('ENDED? EN', ['END.'], size).out.join('')).toBe('ENDED? EN');
  });

  it('holds back no more than it must', () => {
    expect(pieces('what?\nx', ['\n'], 1).out.slice(0, 5)).toEqual(['w', 'h', 'a', 't', '?']);
    expect(pieces('abcabd', ['abd'], 1).out).toEqual(['', '', 'abc', '', '', '', '']);
  });

  it('bytes that are no text are replaced, and what is cut off at the end as well', () => {
    expect(pieces(Uint8Array.of(0x61, 0xff, 0x62, 0xe6, 0x97), [], 1).out.join('')).toBe('a\ufffdb\ufffd');
    expect(pieces(Uint8Array.of(0xe6, 0x97), ['\ufffd'], 1)).toMatchObject({ out: ['', '', ''], stopped: true });
  });
});
