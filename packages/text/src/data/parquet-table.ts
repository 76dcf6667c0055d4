// Parquet files as objects, some rows per step. Knows nothing of texts or pairs; reads columns of texts only (parquet-pages.ts).
import { open } from 'node:fs/promises';
import { XMoEError } from '@xmoe/core';
import { parquetMetadataAsync, parquetSchema, type RowGroup, type SchemaTree } from 'hyparquet';
import { openBytes, type PackedFile } from './compressed-bytes.js';
import { DEFAULT_MAXIMUM_EXPANSION } from './expansion-limit.js';
import { createPageUnpacker } from './parquet-codecs.js';
import { readColumnPages, type PageOptions, type RandomAccessFile } from './parquet-pages.js';

export interface ParquetTable {
  /** Top-level columns. */
  readonly columns: readonly string[];
  /**
   * Rows of the named columns; of each column at most a page is in memory. A structure becomes an object. What is neither text
   * nor a structure with text is left out; strings that are not UTF-8 stay bytes.
   */
  read(columns: readonly string[]): AsyncGenerator<Record<string, unknown>[]>;
}

/** Opens a table. It and reading from it throw, naming `op`, when the file is not whole. */
export async function openParquet(file: PackedFile, op: string): Promise<ParquetTable> {
  const { path, maximumExpansion = DEFAULT_MAXIMUM_EXPANSION } = file;
  const unpacked = file.compression === undefined ? undefined : await unpackTable(file, op);
  const openAccess = async () => unpacked ?? (await openFile(path));
  const access = await openAccess();
  try {
    const metadata = await parquetMetadataAsync(access, { geoparquet: false });
    const tree = parquetSchema(metadata);
    if (!metadata.schema.every(({ name }) => typeof name === 'string')) throw new Error('a column has no name');
    const options = { unpack: await createPageUnpacker(maximumExpansion), maximumExpansion };
    return {
      columns: tree.children.map(({ element }) => element.name),
      async *read(columns) {
        const source = await openAccess();
        try {
          const leaves = tree.children.filter(({ element }) => columns.includes(element.name)).flatMap((child) => textColumns(child, [tree]));
          if (leaves.length === 0) throw new Error(`there is no text in ${columns.length === 1 ? 'column' : 'the columns'} ${columns.join(', ')}`);
          for (const group of metadata.row_groups) yield* readGroup(source, group, leaves, options);
        } catch (cause) {
          throw notReadable(path, op, cause);
        } finally {
          await source.close();
        }
      },
    };
  } catch (cause) {
    throw notReadable(path, op, cause);
  } finally {
    await access.close();
  }
}

interface ClosableFile extends RandomAccessFile {
  close(): Promise<void>;
}

async function openFile(path: string): Promise<ClosableFile> {
  const handle = await open(path);
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(start, end) {
      if (!(start >= 0 && start <= end && end <= size)) throw new Error(`bytes ${start} to ${end} are not in the file`);
      const bytes = new Uint8Array(end - start);
      for (let filled = 0; filled < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) throw new Error('the file became shorter while it was read');
        filled += bytesRead;
      }
      return bytes.buffer;
    },
    close: () => handle.close(),
  };
}

/** A table inside .gz or .zst is unpacked into memory, because its index is at its end. */
async function unpackTable(file: PackedFile, op: string): Promise<ClosableFile> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of openBytes(file, op)) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > LARGEST_PACKED_TABLE) {
      throw new XMoEError('data', `${file.path} unpacks to more than ${LARGEST_PACKED_TABLE / 2 ** 20} MiB, and a table inside ${file.compression} is read as a whole`, {
        op,
        hint: 'unpack the file first: Parquet is compressed inside',
      });
    }
  }
  const bytes = Uint8Array.from(Buffer.concat(chunks));
  return {
    byteLength: size,
    async slice(start, end) {
      if (!(start >= 0 && start <= end && end <= size)) throw new Error(`bytes ${start} to ${end} are not in the file`);
      return bytes.buffer.slice(start, end);
    },
    async close() {},
  };
}

const LARGEST_PACKED_TABLE = 2 ** 30;

/** The columns of texts at and below `node`, each with its path from the root; none inside lists. */
function textColumns(node: SchemaTree, above: readonly SchemaTree[]): SchemaTree[][] {
  const { element, children } = node;
  const path = [...above, node];
  if (element.repetition_type === 'REPEATED') return [];
  if (children.length > 0) return children.flatMap((child) => textColumns(child, path));
  const isNumber = element.converted_type === 'DECIMAL' || element.logical_type?.type === 'DECIMAL';
  return element.type === 'BYTE_ARRAY' && !isNumber ? [path] : [];
}

/** The rows of a group, as many per step as the shortest page at hand has. */
async function* readGroup(source: RandomAccessFile, group: RowGroup, columns: readonly SchemaTree[][], options: PageOptions): AsyncGenerator<Record<string, unknown>[]> {
  const rows = Number(group.num_rows);
  if (!Number.isSafeInteger(rows) || rows < 0) throw new Error(`a row group claims to have ${rows} rows`);
  const parts = columns.map((schemaPath) => {
    const path = schemaPath.at(-1)!.path;
    const metadata = group.columns.map((column) => column.meta_data).find((column) => column?.path_in_schema.join('\0') === path.join('\0'));
    if (metadata === undefined) throw new Error(`a row group lacks column ${path.join('.')}`);
    return { path, pages: readColumnPages(source, { metadata, schemaPath, rows }, options), values: [] as unknown[], at: 0 };
  });
  for (let done = 0; done < rows; ) {
    for (const part of parts) {
      if (part.at < part.values.length) continue;
      part.values = (await part.pages.next()).value as unknown[];
      part.at = 0;
    }
    const count = Math.min(...parts.map(({ values, at }) => values.length - at));
    const objects: Record<string, unknown>[] = [];
    for (let i = 0; i < count; i++) {
      const row = newObject();
      for (const { path, values, at } of parts) put(row, path, values[at + i]);
      objects.push(row);
    }
    for (const part of parts) part.at += count;
    done += count;
    yield objects;
  }
}

/** Without a prototype: a column may have any name. */
const newObject = () => Object.create(null) as Record<string, unknown>;

function put(row: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = row;
  for (const name of path.slice(0, -1)) at = (at[name] ??= newObject()) as Record<string, unknown>;
  at[path.at(-1)!] = value;
}

function notReadable(path: string, op: string, cause: unknown): XMoEError {
  const hint = cause instanceof XMoEError ? cause.hint : undefined;
  // What the decoder stumbles over says nothing to a reader.
  const reason = cause instanceof TypeError || cause instanceof RangeError ? 'its inside makes no sense' : cause instanceof Error ? cause.message : cause;
  return new XMoEError('data', `${path}: not readable as Parquet: ${reason}`, {
    op,
    hint: hint ?? 'the file is cut short, damaged or of another format: fetch it again, or name the format',
    cause,
  });
}
