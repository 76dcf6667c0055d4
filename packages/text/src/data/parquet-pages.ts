// One column of one row group of a Parquet file, a page per step, so that memory is bounded by a page and not by the group. For
// columns of texts, on their own or inside structures; lists are not read. Rows are put together in parquet-table.ts.
import { isUtf8 } from 'node:buffer';
import type { ColumnMetaData, DecodedArray, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { getMaxDefinitionLevel } from 'hyparquet/src/schema.js';
import type { UnpackPage } from './parquet-codecs.js';
import { checkPageHeader, checkPageRuns, checkPageSum } from './parquet-page-checks.js';

/** Bytes of a file at any place. */
export interface RandomAccessFile {
  readonly byteLength: number;
  /** Throws when the range is not within the file. */
  slice(start: number, end: number): Promise<ArrayBuffer>;
}

/** One column of one row group. */
export interface ColumnPart {
  readonly metadata: ColumnMetaData;
  /** From the root to the column. */
  readonly schemaPath: SchemaTree[];
  readonly rows: number;
}

export interface PageOptions {
  readonly unpack: UnpackPage;
  readonly maximumExpansion: number;
}

/** Tried first for a page's header, which has some dozens of bytes; more where it holds long statistics. */
const HEADER_BYTES = 1 << 12;

/** The values of a column, a value per row; strings that are not UTF-8 stay bytes. Throws errors without the file's name. */
export async function* readColumnPages(file: RandomAccessFile, part: ColumnPart, options: PageOptions): AsyncGenerator<unknown[]> {
  const { metadata, schemaPath, rows } = part;
  const begin = Number(metadata.dictionary_page_offset || metadata.data_page_offset);
  const end = begin + Number(metadata.total_compressed_size);
  const decoder = columnDecoder(part);
  let dictionary: DecodedArray | undefined;
  let found = 0;
  for (let at = begin; found < rows && at < end; ) {
    const { header, headerBytes } = await readHeader(file, at, end);
    const count = checkPageHeader(header, end - at - headerBytes, rows - found);
    const stored = new Uint8Array(await file.slice(at + headerBytes, at + headerBytes + header.compressed_page_size));
    at += headerBytes + header.compressed_page_size;
    if (count === 0) continue;
    checkPageSum(header, stored);
    const { data } = decodePage(header, stored, count, part, decoder, dictionary, options);
    if (data === undefined || data.length !== count) throw new Error(`a page holds ${data?.length ?? 0} values and not the ${count} it says`);
    if (header.type === 'DICTIONARY_PAGE') dictionary = convert(data, decoder);
    else {
      found += count;
      yield Array.from(data as ArrayLike<unknown>, schemaPath.length > 2 ? innermost : same);
    }
  }
  if (found < rows) throw new Error(`column ${metadata.path_in_schema.join('.')} has ${found} of ${rows} rows`);
}

const same = (value: unknown): unknown => value;

/** The decoder puts a value inside optional structures into one array for each of them. */
const innermost = (value: unknown): unknown => (Array.isArray(value) ? innermost(value[0]) : value);

function columnDecoder({ metadata, schemaPath }: ColumnPart) {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  // Bytes that are not UTF-8 stay bytes, so that the row can be named instead of filled with U+FFFD.
  const stringFromBytes = (bytes: Uint8Array) => (bytes && isUtf8(bytes) ? utf8.decode(bytes) : bytes);
  return {
    pathInSchema: metadata.path_in_schema,
    element: schemaPath.at(-1)!.element,
    schemaPath,
    type: metadata.type,
    codec: 'UNCOMPRESSED' as const, // pages are unpacked here
    parsers: { ...DEFAULT_PARSERS, stringFromBytes },
  };
}

async function readHeader(file: RandomAccessFile, at: number, end: number): Promise<{ header: PageHeader; headerBytes: number }> {
  for (let length = HEADER_BYTES; ; length *= 8) {
    const last = at + length >= end;
    const reader = { view: new DataView(await file.slice(at, last ? end : at + length)), offset: 0 };
    try {
      return { header: parquetHeader(reader), headerBytes: reader.offset };
    } catch (error) {
      if (last || length > 2 ** 27) throw error;
    }
  }
}

/** Unpacks a page, checks its inside and decodes it as an uncompressed one. */
function decodePage(
  header: PageHeader,
  stored: Uint8Array,
  count: number,
  { metadata: { codec }, schemaPath }: ColumnPart,
  decoder: ReturnType<typeof columnDecoder>,
  dictionary: DecodedArray | undefined,
  { unpack, maximumExpansion }: PageOptions,
) {
  const second = header.type === 'DATA_PAGE_V2' ? header.data_page_header_v2! : undefined;
  const outside = second === undefined ? 0 : second.definition_levels_byte_length + second.repetition_levels_byte_length;
  if (outside > stored.length) throw new Error('the levels of a page are longer than the page');
  const packed = second?.is_compressed !== false;
  const inside = stored.subarray(outside);
  const unpacked = packed ? unpack(inside, codec, header.uncompressed_page_size - outside) : inside;
  const page = Uint8Array.from(outside === 0 ? unpacked : Buffer.concat([stored.subarray(0, outside), unpacked]));
  if (header.type !== 'DICTIONARY_PAGE') {
    const encoding = (second ?? header.data_page_header!).encoding;
    const width = 32 - Math.clz32(getMaxDefinitionLevel(schemaPath));
    checkPageRuns(page, count, encoding, { width, bytes: second?.definition_levels_byte_length }, stored.length, maximumExpansion);
  }
  const plain: PageHeader = {
    ...header,
    compressed_page_size: page.length,
    uncompressed_page_size: page.length,
    ...(second === undefined ? {} : { data_page_header_v2: { ...second, is_compressed: false } }),
  };
  return readPage({ view: new DataView(page.buffer), offset: 0 }, plain, decoder, dictionary, undefined, 0);
}
