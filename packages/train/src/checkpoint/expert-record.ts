// The record of every expert of a checkpoint, which lies beside its tensors: how many a layer has, and what each was as it was saved. Files, and where
// experts are while a model trains, are not here.
import { createHash } from 'node:crypto';
import { XMoEError } from '@xmoe/core';
import { parseJson } from '@xmoe/files';
import { z } from 'zod';
import { parseConfig } from '../config/parse-config.js';
import { entryName, expertsIn } from './expert-names.js';
import type { Entries, TensorInfo } from './tensor-format.js';

export const EXPERTS_NAME = 'experts.json';
const VERSION = 1;
/** Of the hexadecimal digits of a SHA-256: enough to tell experts apart; the manifest has whole ones of the files. */
const DIGITS = 16;

const hashes = z.string().regex(new RegExp(`^([0-9a-f]{${DIGITS}})*$`));
const recordSchema = z.object({ version: z.literal(VERSION), groups: z.record(z.string(), z.record(z.string(), hashes)) });

/** By group, then by tensor: the hashes of its experts, one behind the other. */
export type ExpertRecord = Record<string, Record<string, string>>;

/** Hashes of so many equal pieces of some bytes, one behind the other. */
export const PIECE_HASHES = {
  digits: DIGITS,
  of(bytes: Uint8Array, pieces: number): string {
    const length = bytes.length / Math.max(1, pieces);
    let all = '';
    for (let piece = 0; piece < pieces; piece++) all += createHash('sha256').update(bytes.subarray(piece * length, (piece + 1) * length)).digest('hex').slice(0, DIGITS);
    return all;
  },
};

export const encodeExperts = (groups: ExpertRecord): string => `${JSON.stringify({ version: VERSION, groups }, null, 2)}\n`;

/** @throws XMoEError `checkpoint` for another version or anything malformed */
export function decodeExperts(text: string, where: string): ExpertRecord {
  const value = parseJson(text, { where, code: 'checkpoint' });
  try {
    return parseConfig(recordSchema, value, { where }).groups;
  } catch (cause) {
    throw new XMoEError('checkpoint', (cause as Error).message, { cause });
  }
}

/**
 * That a group holds the experts that were saved, by number.
 * @throws XMoEError `checkpoint` that names the layer and the first expert that is missing or was never there
 */
export function checkExpertCount(record: Readonly<Record<string, string>>, tensors: readonly TensorInfo[], where: string): void {
  const held = new Map(tensors.flatMap(({ name, shape }): [string, number][] => (expertsIn(name) ? [[name, shape[0] ?? 0]] : [])));
  for (const name of new Set([...Object.keys(record), ...held.keys()])) {
    const [saved, found] = [(record[name]?.length ?? 0) / DIGITS, held.get(name) ?? 0];
    if (found < saved) throw wrong(where, `${entryName(name, found)} is missing: there are ${found} of ${saved}`);
    if (found > saved) throw wrong(where, `${entryName(name, saved)} was not saved: there are ${found}, and ${saved} were`);
  }
}

/**
 * That entries of a tensor are the experts that were saved.
 * @param bytes those of `entries`
 * @throws XMoEError `checkpoint` that names the layer and the first expert that is another one, and which, if it is one of the layer's
 */
export function checkExperts(saved: string, name: string, bytes: Uint8Array, { begin, count }: Entries, where: string): void {
  const found = PIECE_HASHES.of(bytes, count);
  for (let expert = begin; expert < begin + count; expert++) {
    const own = hashAt(found, expert - begin);
    if (own === hashAt(saved, expert)) continue;
    const other = Array.from({ length: saved.length / DIGITS }, (_, index) => index).find((index) => hashAt(saved, index) === own);
    throw wrong(where, `${entryName(name, expert)} is ${other === undefined ? 'not the one that was saved' : `expert ${other} once more`}`);
  }
}

const hashAt = (all: string, index: number): string => all.slice(index * DIGITS, (index + 1) * DIGITS);

function wrong(where: string, problem: string): XMoEError {
  return new XMoEError('checkpoint', `${where}: ${problem}`, { op: 'experts', hint: 'use another checkpoint; what wrote this one lost an expert' });
}
