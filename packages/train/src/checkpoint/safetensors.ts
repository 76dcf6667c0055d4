// Safetensors in memory: encode to chunks or one array, decode from one array. Files: safetensors-file.ts.
import { describeArgument, XMoEError } from '@xmoe/core';
import { buildHeader, headerLength, readHeader, type TensorEntry } from './safetensors-header.js';
import { assertLittleEndian, bytesOf, checkTensor, dataOf, type StoredTensor } from './tensor-format.js';

export interface SafetensorsOptions {
  /** Free strings kept in the header. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface SafetensorsContent {
  tensors: StoredTensor[];
  metadata: Record<string, string>;
}

/** The file as a sequence of byte ranges; those of the tensors are views, so the tensors must not change meanwhile. */
export function* safetensorsChunks(
  tensors: readonly StoredTensor[],
  { metadata = {} }: SafetensorsOptions = {},
): Generator<Uint8Array> {
  assertLittleEndian();
  tensors.forEach(checkTensor);
  const { bytes, ordered } = buildHeader(tensors, metadata);
  yield bytes;
  for (const tensor of ordered) yield bytesOf(tensor);
}

/** The whole file in one array (at most what one typed array holds; larger sets are written by chunks). */
export function encodeSafetensors(tensors: readonly StoredTensor[], options: SafetensorsOptions = {}): Uint8Array {
  const chunks = [...safetensorsChunks(tensors, options)];
  const out = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    out.set(chunk, offset);
    offset += chunk.length;
  }
  return out;
}

/** The bytes of a file as they come: from a file, or from a response. */
function wholeFile(file: unknown, where: string): Uint8Array {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  throw new XMoEError('value', `${where}: ${describeArgument(file)} holds no bytes`, { op: 'decodeSafetensors', hint: 'pass a Uint8Array, a Buffer or an ArrayBuffer' });
}

/**
 * Decodes a whole file. Every tensor gets memory of its own, so keeping one does not keep the file.
 * @param where the name used in errors
 * @throws XMoEError `checkpoint` for anything that is not exactly a safetensors file
 */
export function decodeSafetensors(data: Uint8Array | ArrayBuffer, where = 'the safetensors data'): SafetensorsContent {
  assertLittleEndian();
  const file = wholeFile(data, where);
  const length = headerLength(file.subarray(0, 8), file.length, where);
  const { metadata, entries, dataStart } = readHeader(file.subarray(8, 8 + length), file.length, where);
  const tensors = entries.map((entry) => {
    // Not file.slice: that of a Buffer is a view, and a view need not be aligned.
    const bytes = new Uint8Array(file.subarray(dataStart + entry.begin, dataStart + entry.end));
    return tensorFromBytes(entry, bytes.buffer, where);
  });
  return { tensors, metadata };
}

/** One tensor over `buffer`, which holds exactly its bytes. */
export function tensorFromBytes(entry: TensorEntry, buffer: ArrayBuffer, where: string): StoredTensor {
  const { name, dtype, shape } = entry;
  const data = dataOf(dtype, buffer);
  if (dtype === 'bool' && (data as Uint8Array).some((value) => value > 1)) {
    throw new XMoEError('checkpoint', `${where} is damaged: tensor ${name} is bool but holds values other than 0 and 1`);
  }
  return { name, dtype, shape, data };
}
