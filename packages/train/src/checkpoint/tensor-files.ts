// The tensors of a checkpoint as files and back: one file by group and the record of experts, written one tensor after another, read in parts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileContent } from '@xmoe/files/node';
import { checkFinite } from './checkpoint-state.js';
import { expertsIn } from './expert-names.js';
import { checkExpertCount, checkExperts, decodeExperts, encodeExperts, EXPERTS_NAME, PIECE_HASHES, type ExpertRecord } from './expert-record.js';
import { buildHeader } from './safetensors-header.js';
import { openSafetensors } from './safetensors-file.js';
import { assertLittleEndian, bytesOf, checkTensor, type FiledTensor, type ReadableTensor, type StoredTensor } from './tensor-format.js';

const SUFFIX = '.safetensors';

/** What can be saved: a tensor, or one that is read as its turn comes. */
export type SavableTensor = StoredTensor | ReadableTensor;

/**
 * The files of groups of tensors, in the order in which they must be written: the record of experts is known after them.
 * @throws XMoEError `numerics` as they are written, naming what is not finite, unless `allowNonFinite`
 */
export function tensorFiles(groups: Readonly<Record<string, readonly SavableTensor[]>>, { allowNonFinite = false } = {}): Record<string, FileContent> {
  const record: ExpertRecord = {};
  const files: Record<string, FileContent> = {};
  for (const [group, tensors] of Object.entries(groups)) files[group + SUFFIX] = fileOf(group, tensors, record, allowNonFinite);
  const hasExperts = Object.values(groups).some((tensors) => tensors.some(({ name }) => expertsIn(name)));
  return hasExperts ? { ...files, [EXPERTS_NAME]: textLater(() => encodeExperts(record)) } : files;
}

async function* textLater(text: () => string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text());
}

async function* fileOf(group: string, tensors: readonly SavableTensor[], record: ExpertRecord, allowNonFinite: boolean): AsyncGenerator<Uint8Array> {
  assertLittleEndian();
  const { bytes, ordered } = buildHeader(tensors, { format: 'xmoe', group });
  yield bytes;
  for (const source of ordered) {
    const { name, dtype, shape } = source;
    const tensor: StoredTensor = { name, dtype, shape, data: 'data' in source ? source.data : await source.read() };
    checkTensor(tensor);
    if (!allowNonFinite) checkFinite(group, tensor);
    const stored = bytesOf(tensor);
    if (expertsIn(name)) (record[group] ??= {})[name] = PIECE_HASHES.of(stored, shape[0] ?? 0);
    yield stored;
  }
}

/**
 * The tensors of a directory by group, by the names of its files. Experts are counted now, and compared with what was saved as they are read; directories of
 * before there was a record have none.
 * @throws XMoEError `checkpoint` naming what is damaged, or the expert that is missing
 */
export async function openTensorFiles(path: string, names: readonly string[]): Promise<Record<string, FiledTensor[]>> {
  const where = join(path, EXPERTS_NAME);
  const record = names.includes(EXPERTS_NAME) ? decodeExperts(await readFile(where, 'utf8'), where) : null;
  const groups: Record<string, FiledTensor[]> = {};
  for (const file of names.filter((name) => name.endsWith(SUFFIX))) {
    const group = file.slice(0, -SUFFIX.length);
    const tensors = await openSafetensors(join(path, file));
    if (record) checkExpertCount(record[group] ?? {}, tensors, path);
    groups[group] = tensors.map((tensor) => checked(tensor, record?.[group]?.[tensor.name], path));
  }
  return groups;
}

function checked(tensor: FiledTensor, hashes: string | undefined, where: string): FiledTensor {
  if (hashes === undefined) return tensor;
  const { name, dtype, shape } = tensor;
  return {
    name, dtype, shape,
    async read(entries) {
      const data = await tensor.read(entries);
      checkExperts(hashes, name, bytesOf({ name, dtype, shape, data }), entries ?? { begin: 0, count: shape[0] ?? 0 }, where);
      return data;
    },
  };
}
