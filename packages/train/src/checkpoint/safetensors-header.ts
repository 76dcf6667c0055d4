// The header of the safetensors format (https://github.com/huggingface/safetensors): 8 bytes of header length
// (little-endian u64), a JSON object padded with spaces, then the tensors' bytes back to back. Layout and strict
// validation; not reading or writing of files (see safetensors.ts and safetensors-file.ts).
import { XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { dtypeOfTag, elementCount, FORMATS, type StoredDType, type TensorInfo } from './tensor-format.js';

/** Where one tensor lies: byte offsets count from the end of the header. */
export interface TensorEntry {
  name: string;
  dtype: StoredDType;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  /** In the order of their bytes. */
  entries: TensorEntry[];
  /** The file offset of the first tensor's bytes. */
  dataStart: number;
}

const METADATA_KEY = '__metadata__';
/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
/** Far more than any model has, few enough to be looked through at once. */
const MAX_TENSORS = 100_000;
const MAX_RANK = 64;
const BRACE = 0x7b;

/**
 * The header bytes (with the length in front; a multiple of 8, so that the widest tensors are aligned in the file) and
 * the tensors in the order their bytes follow: widest dtype first, then by name, so that every tensor is aligned.
 */
export function buildHeader<Tensor extends TensorInfo>(
  tensors: readonly Tensor[],
  metadata: Readonly<Record<string, string>>,
): { bytes: Uint8Array; ordered: Tensor[] } {
  if (tensors.length > MAX_TENSORS) throw new XMoEError('checkpoint', `${tensors.length} tensors are more than the ${MAX_TENSORS} that a file may hold`);
  const unknown = tensors.find(({ dtype }) => !Object.hasOwn(FORMATS, dtype));
  if (unknown) throw new XMoEError('checkpoint', `tensor ${unknown.name} has the unknown dtype ${String(unknown.dtype)}`);
  const ordered = [...tensors].sort(
    (a, b) => FORMATS[b.dtype].bytes - FORMATS[a.dtype].bytes || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const fields: string[] = [];
  const field = (key: string, value: unknown) => fields.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  if (Object.keys(metadata).length > 0) field(METADATA_KEY, checkMetadata(metadata));
  const names = new Set<string>();
  let offset = 0;
  for (const { name, dtype, shape } of ordered) {
    if (names.has(name)) throw new XMoEError('checkpoint', `two tensors are named ${name}`);
    if (name === METADATA_KEY || name === '__proto__') throw new XMoEError('checkpoint', `a tensor cannot be named ${name}`);
    names.add(name);
    const end = offset + elementCount(shape, name) * FORMATS[dtype].bytes;
    field(name, { dtype: FORMATS[dtype].tag, shape, data_offsets: [offset, end] });
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return { bytes, ordered };
}

/** The length of the JSON part, from the first 8 bytes. @throws XMoEError `checkpoint` when it cannot be right */
export function headerLength(first8: Uint8Array, fileBytes: number, where: string): number {
  if (fileBytes < 8) throw damaged(where, `it has ${fileBytes} bytes, fewer than the 8 of the header's length`);
  const length = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw damaged(where, `its header claims ${length} bytes`);
  if (8 + Number(length) > fileBytes) {
    throw damaged(where, `it is truncated: the header takes ${length} bytes, the file has ${fileBytes}`);
  }
  return Number(length);
}

/**
 * Reads and validates a header: no duplicate names, offsets that match dtype and shape, no overlap, no hole, and nothing
 * missing or left over at the end.
 * @param json the header without its length
 * @param fileBytes the size of the whole file
 * @throws XMoEError `checkpoint` that names the file and the tensor
 */
export function readHeader(json: Uint8Array, fileBytes: number, where: string): SafetensorsHeader {
  if (json[0] !== BRACE) throw damaged(where, 'its header does not begin with {');
  const value = parseJson(decodeUtf8(json, where), { where: `the header of ${where}`, code: 'checkpoint' });
  if (!isPlainObject(value)) throw damaged(where, 'its header is not a JSON object');
  const { [METADATA_KEY]: metadata = {}, ...tensors } = value as JsonObject;
  const named = Object.entries(tensors);
  if (named.length > MAX_TENSORS) throw damaged(where, `it claims to hold ${named.length} tensors, and ${MAX_TENSORS} is the most`);
  const entries = named
    .map(([name, entry]) => readEntry(name, entry, where))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const { name, begin, end } of entries) {
    if (begin < expected) throw damaged(where, `tensor ${shown(name)} overlaps the one before it (at byte ${begin})`);
    if (begin > expected) throw damaged(where, `${begin - expected} bytes before tensor ${shown(name)} belong to no tensor`);
    expected = end;
  }
  const dataStart = 8 + json.length;
  const present = fileBytes - dataStart;
  if (present < expected) throw damaged(where, `it is truncated: ${expected} bytes of tensors expected, ${present} present`);
  if (present > expected) throw damaged(where, `${present - expected} bytes at its end belong to no tensor`);
  return { metadata: checkMetadata(metadata, where), entries, dataStart };
}

/** A name for messages, not longer than a line. */
const shown = (name: string): string => (name.length > 100 ? `${name.slice(0, 97)}...` : name);

function readEntry(name: string, entry: unknown, where: string): TensorEntry {
  const tensor = shown(name);
  if (!isPlainObject(entry)) throw damaged(where, `the entry of tensor ${tensor} is not an object`);
  const { dtype: tag, shape, data_offsets: offsets, ...rest } = entry;
  const extra = Object.keys(rest)[0];
  if (extra !== undefined) throw damaged(where, `the entry of tensor ${tensor} has the unknown key "${shown(extra)}"`);
  const dtype = dtypeOfTag(tag, `${tensor} of ${where}`);
  if (!isNumberArray(shape) || shape.length > MAX_RANK) throw damaged(where, `tensor ${tensor} has no valid shape`);
  if (!isNumberArray(offsets) || offsets.length !== 2) throw damaged(where, `tensor ${tensor} has no valid data_offsets`);
  const [begin, end] = offsets as [number, number];
  const bytes = elementCount(shape, tensor) * FORMATS[dtype].bytes;
  if (!Number.isSafeInteger(begin) || begin < 0 || end - begin !== bytes) {
    throw damaged(where, `tensor ${tensor} takes ${bytes} bytes, but its offsets are [${begin}, ${end}]`);
  }
  return { name, dtype, shape, begin, end };
}

function isNumberArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

function checkMetadata(metadata: unknown, where = 'the tensors to write'): Record<string, string> {
  if (!isPlainObject(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw new XMoEError('checkpoint', `${where}: the metadata must map strings to strings`);
  }
  return metadata as Record<string, string>;
}

function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new XMoEError('checkpoint', `the header of ${where} is not UTF-8`, { cause });
  }
}

function damaged(where: string, problem: string): XMoEError {
  return new XMoEError('checkpoint', `${where} is damaged: ${problem}`, {
    hint: 'copy the file again, or use an earlier checkpoint',
  });
}
