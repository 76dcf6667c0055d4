// Parquet files by row group, as objects. Knows nothing of texts or pairs.
import { isUtf8 } from 'node:buffer';
import { XMoEError } from '@xmoe/core';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema, type AsyncBuffer } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { openBytes, type Compression } from './compressed-bytes.js';

export interface ParquetTable {
  /** Top-level columns. */
  readonly columns: readonly string[];
  /** Rows of the named columns, a row group per step. Strings that are not UTF-8 stay bytes. */
  read(columns: readonly string[]): AsyncGenerator<Record<string, unknown>[]>;
}

/** Opens a table. A file inside .gz or .zst is unpacked into memory, because its index is at its end. */
export async function openParquet(path: string, compression: Compression | undefined, op: string): Promise<ParquetTable> {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  // Bytes that are not UTF-8 stay bytes, so that the row can be named instead of filled with U+FFFD.
  const stringFromBytes = (bytes: Uint8Array | undefined) => (bytes && isUtf8(bytes) ? utf8.decode(bytes) : bytes);
  const file = compression === undefined ? await damaged(path, op, asyncBufferFromFile(path)) : await unpack(path, compression, op);
  const metadata = await damaged(path, op, parquetMetadataAsync(file));
  return {
    columns: parquetSchema(metadata).children.map(({ element }) => element.name),
    async *read(columns) {
      let rowStart = 0;
      for (const group of metadata.row_groups) {
        const rowEnd = rowStart + Number(group.num_rows);
        const options = { file, metadata, columns: [...columns], rowStart, rowEnd, compressors, parsers: { stringFromBytes } };
        yield await damaged(path, op, parquetReadObjects(options));
        rowStart = rowEnd;
      }
    },
  };
}

async function unpack(path: string, compression: Compression, op: string): Promise<AsyncBuffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of openBytes(path, compression, op)) chunks.push(chunk);
  const bytes = new Uint8Array(Buffer.concat(chunks));
  return { byteLength: bytes.length, slice: (start, end) => bytes.buffer.slice(start, end) };
}

async function damaged<Result>(path: string, op: string, reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (cause) {
    throw new XMoEError('data', `${path}: not readable as Parquet: ${cause instanceof Error ? cause.message : cause}`, {
      op,
      hint: 'the file is cut short or of another format: fetch it again, or name the format',
      cause,
    });
  }
}
