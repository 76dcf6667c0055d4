// Texts that come and go in a pool against the whole model of each text alone.
import { openTextPool } from '@xmoe/nn';
import { afterAll, describe, expect, it } from 'vitest';
import { drawnParameters, EVALUATION, expectClose, float64, read, tinyModel } from './tiny.js';

const engine = float64();
afterAll(() => engine.dispose());

const model = tinyModel({ dispatch: 'grouped', contextLength: 9 });
const parameters = drawnParameters(engine, model.parameters, 0.7);
const generating = { engine, model, parameters };

/** Of the last 9 tokens, by the whole model. */
const alone = (text: readonly number[]): number[] => engine.scope(() => {
  const window = Int32Array.from(text.slice(-9));
  return read(model.logitsAt(parameters, engine.tensor(window), { batch: 1, length: window.length }, window.length - 1, EVALUATION));
});

describe('a pool of texts', () => {
  it('gives each text the logits that it has alone, whoever comes, goes and outgrows the context', async () => {
    const pool = openTextPool(generating);
    const [a, b, c, d] = [[3, 1, 4, 1, 5], [2], [6, 0, 2], [1, 2, 3, 4, 5, 6, 0, 1, 2, 3]];
    const named = [[a], [a, b], [c, a, b], [c, b], [b, d, c], [b, d], [b, a], [b, a], [b], [a, b], [d]];
    for (const texts of named) {
      const logits = await pool.next(texts as number[][]);
      expect(logits.length).toBe(texts.length);
      texts.forEach((text, index) => expectClose(logits[index]!, alone(text!), 1e-12));
      texts.forEach((text, index) => text!.push((text!.length + index) % 7));
    }
    expect([a!.length, b!.length]).toEqual([11, 10]); // both have been beyond the context
    pool.close();
  });

  it('keeps no more positions than its longest text has', async () => {
    const longer = tinyModel({ dispatch: 'grouped', contextLength: 48 });
    const pool = openTextPool({ engine, model: longer, parameters: drawnParameters(engine, longer.parameters, 0.7) });
    const bytesOf = async (texts: number[][]): Promise<number> => {
      await pool.next(texts);
      return engine.memory().bytes;
    };
    const [long, short, alone] = [Array.from({ length: 40 }, (_, place) => place % 7), [1], [1]];
    await bytesOf([long, short]);
    short.push(2);
    const left = await bytesOf([short]);
    await bytesOf([alone]);
    alone.push(2);
    expect(left).toBe(await bytesOf([alone])); // and room for what comes
    expect(left).toBeLessThan(await bytesOf([[...long]]));
    pool.close();
  });

  it('leaves no buffer behind, after an error as well, and takes no texts', async () => {
    const { buffers } = engine.memory();
    const pool = openTextPool(generating);
    const text = [1, 2];
    await pool.next([text, [3]]);
    text.push(4);
    await expect(pool.next([text, []])).rejects.toThrow('a prefix of 0 tokens');
    expect(await pool.next([])).toEqual([]);
    pool.close();
    expect(engine.memory().buffers).toBe(buffers);
  });
});
