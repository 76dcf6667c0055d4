// Checks on one page of a Parquet file that are made before it is decoded: the decoder believes the counts it reads, and a damaged
// one would make it fill memory until the process dies. Sizes, counts and the runs of levels and dictionary indices.
import * as zlib from 'node:zlib';
import type { PageHeader } from 'hyparquet';
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { checkExpansion } from './expansion-limit.js';

/** Values that one page may claim to hold. Real pages hold some thousands to a million. */
const MAXIMUM_PAGE_VALUES = 1 << 24;
/** Bit-packed runs come in groups of 8 and may be padded; this much beyond the values of a page is padding. */
const PADDED_VALUES = 512;

const isCount = (value: unknown, most: number): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;

/** Values of a page, from its header; for a data page these are rows. Throws when the header cannot be right. */
export function checkPageHeader(header: PageHeader, bytesLeft: number, rowsLeft: number): number {
  const { type, data_page_header: first, data_page_header_v2: second, dictionary_page_header: dictionary } = header;
  if (!isCount(header.compressed_page_size, bytesLeft)) throw new Error('a page reaches beyond its column');
  if (!isCount(header.uncompressed_page_size, 2 ** 31)) throw new Error('a page has no valid size');
  const body = type === 'DATA_PAGE' ? first : type === 'DATA_PAGE_V2' ? second : type === 'DICTIONARY_PAGE' ? dictionary : undefined;
  if (body === undefined) throw new Error(`a page of the kind ${type} is not known`);
  if (!isCount(body.num_values, MAXIMUM_PAGE_VALUES)) throw new Error(`a page claims to hold ${body.num_values} values`);
  if (type === 'DICTIONARY_PAGE') return body.num_values;
  if (body.num_values > rowsLeft) throw new Error('a column holds more rows than its group');
  if (second !== undefined && type === 'DATA_PAGE_V2') {
    const levels = [second.num_nulls, second.definition_levels_byte_length, second.repetition_levels_byte_length];
    if (!levels.every((value) => isCount(value, 2 ** 31))) throw new Error('a page has no valid levels');
    if (second.num_nulls > second.num_values) throw new Error('a page has more nulls than values');
  }
  return body.num_values;
}

/** Verifies the CRC-32 that a page may carry, where this version of Node can compute it. */
export function checkPageSum({ crc }: PageHeader, bytes: Uint8Array): void {
  const { crc32 } = zlib as { crc32?: (data: Uint8Array) => number };
  if (crc === undefined || crc32 === undefined || crc32(bytes) === crc >>> 0) return;
  throw new Error('the checksum of a page does not match its bytes');
}

/**
 * Checks the runs inside an unpacked data page: of levels (a byte length before them unless `levelBytes` is known) and of
 * dictionary indices, and how long the values of a page with shared prefixes become.
 */
export function checkPageRuns(page: Uint8Array, values: number, encoding: string, levels: { width: number; bytes?: number }, packedBytes: number, maximumExpansion: number): void {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  let at = 0;
  if (levels.width > 0) {
    const length = levels.bytes ?? view.getUint32(0, true);
    at = (levels.bytes === undefined ? 4 : 0) + length;
    checkRuns(page, at - length, at, levels.width, values);
  }
  if (encoding.endsWith('_DICTIONARY') && at < page.length) checkRuns(page, at + 1, page.length, page[at], values);
  if (encoding === 'DELTA_BYTE_ARRAY') {
    const reader = { view, offset: at };
    const prefixes = new Int32Array(values);
    const suffixes = new Int32Array(values);
    deltaBinaryUnpack(reader, values, prefixes);
    deltaBinaryUnpack(reader, values, suffixes);
    const bytes = prefixes.reduce((sum, length, i) => sum + Math.max(0, length) + Math.max(0, suffixes[i]), 0);
    checkExpansion(packedBytes, bytes, maximumExpansion, 'a page');
  }
}

function checkRuns(page: Uint8Array, begin: number, end: number, width: number, values: number): void {
  let seen = 0;
  for (let at = begin; seen < values && at < Math.min(end, page.length); ) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 28 || at >= page.length) throw new Error('a run has no valid length');
      const byte = page[at++];
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const packed = header % 2 === 1;
    const count = packed ? Math.floor(header / 2) * 8 : header / 2;
    if (count > values - seen + (packed ? PADDED_VALUES : 0)) throw new Error('a run is longer than its page');
    seen += count;
    at += packed ? (count / 8) * width : (width + 7) >> 3;
  }
}
