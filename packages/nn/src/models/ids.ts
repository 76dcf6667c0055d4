// The refusal of token ids that a model does not have, on the host, before they reach a device: there an embedding would be zeros
// and a loss NaN. Cheap enough for every batch.
import { XMoEError } from '@xmoe/core';

/**
 * @param name what the ids are: `inputs`, `labels`
 * @param none whether a negative id means "nothing here", as for targets
 * @throws XMoEError `data` naming the first id outside 0 … `vocabularySize` − 1
 */
export function checkIds(name: string, ids: ArrayLike<number>, vocabularySize: number, { none = false } = {}): void {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index]!;
    if (id < vocabularySize && (id >= 0 || none)) continue;
    throw new XMoEError('data', `${name}[${index}] is ${id}: no id of a vocabulary of ${vocabularySize}`, {
      hint: 'the text was encoded by another tokenizer than the model was made for, or its file is damaged: prepare it again',
    });
  }
}
