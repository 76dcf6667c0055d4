// Batches of pairs and of sources as the model takes them: padded rows with masks, on the device.
import type { Engine, Tensor } from '@xmoe/core';
import { checkIds, type SequenceBatch, type TranslationBatch } from '@xmoe/nn';
import type { ParallelBatch } from '@xmoe/text';

/** Batches of one shape share their tensors, so that a step may be recorded and run again on new contents. */
export function shapeOf({ rows, sourceLength, targetLength }: ParallelBatch): string {
  return `${rows}x${sourceLength}x${targetLength}`;
}

/** @throws XMoEError `data` for an id outside the vocabulary */
function checkBatch({ source, targetInput, targetOutput }: ParallelBatch, vocabularySize: number): void {
  checkIds('source', source, vocabularySize);
  checkIds('target', targetInput, vocabularySize);
  checkIds('labels', targetOutput, vocabularySize, { none: true });
}

/**
 * Puts batches on the device, in tensors that live as long as the engine: one set for each shape.
 * @throws XMoEError `data` for an id outside the vocabulary
 */
export function createUploader(engine: Engine, vocabularySize: number): (batch: ParallelBatch) => TranslationBatch {
  const byShape = new Map<string, TranslationBatch>();
  return (batch) => {
    checkBatch(batch, vocabularySize);
    const shape = shapeOf(batch);
    let device = byShape.get(shape);
    if (!device) byShape.set(shape, (device = emptyBatch(engine, batch)));
    device.source.tokens.write(batch.source);
    device.source.mask.write(batch.sourceMask);
    device.target.tokens.write(batch.targetInput);
    device.target.mask.write(batch.targetMask);
    device.labels.write(batch.targetOutput);
    return device;
  };
}

function emptyBatch(engine: Engine, { rows, sourceLength, targetLength }: ParallelBatch): TranslationBatch {
  const sequences = (length: number): SequenceBatch => ({
    shape: { batch: rows, length },
    tokens: engine.zeros([rows * length], 'int32').keep(),
    mask: engine.zeros([rows * length], 'bool').keep(),
  });
  return { source: sequences(sourceLength), target: sequences(targetLength), labels: engine.zeros([rows * targetLength], 'int32').keep() };
}

/**
 * A batch for one use. Dispose it with {@link disposeBatch}.
 * @throws XMoEError `data` for an id outside the vocabulary
 */
export function uploadBatch(engine: Engine, batch: ParallelBatch, vocabularySize: number): TranslationBatch {
  checkBatch(batch, vocabularySize);
  const sequences = (tokens: Int32Array, mask: Uint8Array, length: number): SequenceBatch => ({
    shape: { batch: batch.rows, length }, tokens: engine.tensor(tokens).keep(), mask: engine.tensor(mask, [mask.length], 'bool').keep(),
  });
  return {
    source: sequences(batch.source, batch.sourceMask, batch.sourceLength),
    target: sequences(batch.targetInput, batch.targetMask, batch.targetLength),
    labels: engine.tensor(batch.targetOutput).keep(),
  };
}

/**
 * Sources of any lengths as one batch, padded on the right.
 * @throws XMoEError `data` for an id outside the vocabulary
 */
export function uploadSources(engine: Engine, sources: readonly Int32Array[], padding: number, vocabularySize: number): SequenceBatch {
  const length = sources.reduce((most, source) => Math.max(most, source.length), 0);
  const tokens = new Int32Array(sources.length * length).fill(padding);
  const mask = new Uint8Array(tokens.length);
  sources.forEach((source, row) => {
    tokens.set(source, row * length);
    mask.fill(1, row * length, row * length + source.length);
  });
  checkIds('source', tokens, vocabularySize);
  return { shape: { batch: sources.length, length }, tokens: engine.tensor(tokens).keep(), mask: engine.tensor(mask, [mask.length], 'bool').keep() };
}

export function disposeBatch(...tensors: Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
