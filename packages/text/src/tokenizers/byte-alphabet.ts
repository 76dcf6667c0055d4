// GPT-2's byte alphabet: one printable character for each of the 256 bytes, so that a vocabulary of byte strings can
// be written as JSON text (Radford et al., 2019, the released encoder). Not an encoding of text.
import { XMoEError } from '@xmoe/core';

/** Character of each byte: printable Latin-1 stands for itself, the other 68 bytes take U+0100 and up. */
const byteToCharacter: readonly string[] = buildAlphabet();

/** The 256 bytes ordered by their character: the order of ids 0 … 255 in GPT-2's vocabulary. */
export const alphabetOrder: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort((a, b) =>
  byteToCharacter[a] < byteToCharacter[b] ? -1 : 1,
);

const characterToByte = new Map(byteToCharacter.map((character, byte) => [character, byte]));

/** Bytes as a string over the alphabet. */
export function bytesToAlphabet(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byteToCharacter[byte];
  return text;
}

/** The inverse of {@link bytesToAlphabet}. Throws on a character outside the alphabet. */
export function alphabetToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = characterToByte.get(text[i]);
    if (byte === undefined) {
      throw new XMoEError('data', `token ${JSON.stringify(text)} has a character outside the byte alphabet`, {
        op: 'tokenizer.json',
        hint: 'only byte-level BPE vocabularies (as GPT-2) are supported',
      });
    }
    bytes[i] = byte;
  }
  return bytes;
}

function buildAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}
