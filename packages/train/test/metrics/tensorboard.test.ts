// Event files: checksums against published vectors, framing, messages, and restarts.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTensorBoardWriter, histogramOf, scalarsOf } from '../../src/metrics/tensorboard.js';
import { crc32c, maskedCrc32c } from '../../src/metrics/crc32c.js';
import { frameRecord, readRecords } from '../../src/metrics/tf-record.js';
import { decodeMessage, doublesOf, textOf } from './event-reader.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'xmoe-tensorboard-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('crc32c', () => {
  it('equals the vectors of RFC 3720, B.4', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  });

  it('masks as TFRecord does', () => {
    // The first 12 bytes of every event file: a length of 24 and its masked checksum, as TensorFlow writes them.
    expect([...frameRecord(new Uint8Array(24)).subarray(0, 12)]).toEqual([24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    expect(maskedCrc32c(new Uint8Array())).toBe(0xa282ead8);
  });
});

describe('tf records', () => {
  it('come back, and damage of any byte or a cut is noticed', () => {
    const file = new Uint8Array([...frameRecord(Uint8Array.of(1, 2, 3)), ...frameRecord(new Uint8Array())]);
    expect(readRecords(file)).toEqual([Uint8Array.of(1, 2, 3), new Uint8Array()]);
    for (let i = 0; i < file.length; i++) {
      const damaged = file.slice();
      damaged[i]! ^= 4;
      expect(() => readRecords(damaged)).toThrow('TFRecord');
    }
    expect(() => readRecords(file.subarray(0, 18))).toThrow('cut off at byte 0');
    expect(() => readRecords(file.subarray(0, 25))).toThrow('cut off at byte 19');
  });
});

describe('createTensorBoardWriter', () => {
  const events = async (path: string) => readRecords(await readFile(path)).map(decodeMessage);

  it('writes the load of each layer with a row of routing, in equal shares', async () => {
    const writer = createTensorBoardWriter({ directory });
    writer.row({ kind: 'routing', step: 7, load: [[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]], tokensByCount: [[0, 30, 0, 10]] });
    writer.close();
    const histograms = decodeMessage((await events(writer.path)).at(-1)!.get(5)![0] as Uint8Array).get(1)!.map((value) => decodeMessage(value as Uint8Array));
    expect(histograms.map((value) => textOf(value.get(1)![0]))).toEqual(['routing/load/layer 1', 'routing/load/layer 2', 'routing/experts per token/layer 1']);
    // Least, most and number.
    expect(histograms.map((value) => decodeMessage(value.get(5)![0] as Uint8Array)).map((each) => [1, 2, 3].map((field) => each.get(field)?.[0] ?? 0))).toEqual([[1, 1, 4], [0, 2, 4], [1, 3, 40]]);
    const spread = decodeMessage(histograms.at(-1)!.get(5)![0] as Uint8Array);
    expect({ limits: doublesOf(spread.get(6)![0]), counts: doublesOf(spread.get(7)![0]), sum: spread.get(4)![0] }).toEqual({ limits: [0.5, 1.5, 2.5, 3.5], counts: [0, 30, 0, 10], sum: 60 });
  });

  it('writes the version first, then scalars with step and time', async () => {
    const writer = createTensorBoardWriter({ directory, now: () => 1_700_000_000_500 });
    writer.scalars(300, { 'train/loss': 1.5, 'train/größe': -2 });
    writer.close();
    expect(basename(writer.path)).toMatch(/^events\.out\.tfevents\.1700000000\./);
    const [version, scalars] = await events(writer.path);
    expect(textOf(version!.get(3)![0])).toBe('brain.Event:2');
    expect(version!.get(1)).toEqual([1_700_000_000.5]);
    expect(scalars!.get(2)).toEqual([300n]);
    const values = decodeMessage(scalars!.get(5)![0] as Uint8Array).get(1)!.map((value) => decodeMessage(value as Uint8Array));
    expect(values.map((value) => [textOf(value.get(1)![0]), value.get(2)![0]])).toEqual([['train/loss', 1.5], ['train/größe', -2]]);
  });

  it('writes histograms', async () => {
    const writer = createTensorBoardWriter({ directory });
    writer.histogram(1, 'weights', Float32Array.of(0, 1, 1, 3));
    writer.close();
    const summary = decodeMessage((await events(writer.path))[1]!.get(5)![0] as Uint8Array);
    const value = decodeMessage(summary.get(1)![0] as Uint8Array);
    const histogram = decodeMessage(value.get(5)![0] as Uint8Array);
    expect([1, 2, 3, 4, 5].map((field) => histogram.get(field)![0])).toEqual([0, 3, 4, 5, 11]);
    const counts = doublesOf(histogram.get(7)![0]);
    expect(counts.reduce((a, b) => a + b)).toBe(4);
    expect(doublesOf(histogram.get(6)![0])).toHaveLength(counts.length);
  });

  it('begins a resumed run with a restart, in a file of its own', async () => {
    const first = createTensorBoardWriter({ directory });
    const second = createTensorBoardWriter({ directory, resumeFrom: 40 });
    first.close();
    second.close();
    expect(second.path > first.path).toBe(true);
    const restart = (await events(second.path))[1]!;
    expect(restart.get(2)).toEqual([41n]);
    expect(decodeMessage(restart.get(7)![0] as Uint8Array).get(1)).toEqual([1n]);
  });

  it('gives every figure of a row a tag', () => {
    expect(scalarsOf({ kind: 'step', step: 3, loss: 2, learningRate: 1e-3, tokens: 64, tokensPerSecond: 10, seconds: 6.4,
      expertsPerToken: [1.5, 2], dropRate: [0, 0.25] })).toEqual({
      'train/loss': 2, 'train/learningRate': 1e-3, 'train/tokens': 64, 'train/tokensPerSecond': 10, 'train/seconds': 6.4,
      'routing/expertsPerToken/layer 1': 1.5, 'routing/expertsPerToken/layer 2': 2,
      'routing/dropRate/layer 1': 0, 'routing/dropRate/layer 2': 0.25,
    });
    expect(scalarsOf({ kind: 'evaluation', step: 3, split: 'test', loss: 1, scores: { bleu: 20 } })).toEqual({
      'test/loss': 1, 'test/bleu': 20,
    });
    expect(scalarsOf({ kind: 'routing', step: 3, load: [[0.25, 0.75]] })).toEqual({ 'routing/busiest expert/layer 1': 1.5 });
  });

  it('makes histograms of nothing and of equal values', () => {
    expect(histogramOf([])).toMatchObject({ count: 0 });
    expect(histogramOf([Number.NaN, 2, 2])).toMatchObject({ count: 2, min: 2, max: 2, sum: 4 });
  });
});
