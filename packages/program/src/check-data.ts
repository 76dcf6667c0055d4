// Whether a checkpoint and the prepared data at hand belong together, by what the data hold. Opens nothing.
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';

/** Key of the fingerprint in what a checkpoint saves: `saved: { …, [DATA_FINGERPRINT]: dataFingerprint(dataset.index) }`. */
export const DATA_FINGERPRINT = 'dataFingerprint';

export interface DataAtHand {
  /** Of `dataFingerprint`. */
  readonly fingerprint: string;
  /** Directory of the prepared data. */
  readonly directory: string;
}

/**
 * Raises an error when the checkpoint `where` was trained on other data. Checkpoints of earlier versions do not say: `notify` is told.
 * @throws XMoEError `data`, with both fingerprints
 */
export function checkData(saved: JsonObject, { fingerprint, directory }: DataAtHand, where: string, notify: (message: string) => void = () => undefined): void {
  const before = saved[DATA_FINGERPRINT];
  if (before === undefined) notify(`${where} does not say which data it was trained on: those in ${directory} are taken for them`);
  else if (before !== fingerprint) {
    throw new XMoEError('data', `${where} was trained on other data: their fingerprint is ${short(before)}, and that of ${directory} is ${short(fingerprint)}`, {
      hint: 'bring back the data that the run was trained on, or begin a new run with these in another --out',
    });
  }
}

const short = (fingerprint: unknown): string => String(fingerprint).slice(0, 16);
