// Recordings of the compiled engine: calls that are repeated on memory that stays theirs. What callers of `record` must get right is in
// @xmoe/testing's replay.test.ts.
import { afterAll, describe, expect, it } from 'vitest';
import { type Backend, type CommandRecording, type Kernels, type Operand } from '@xmoe/core';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createRecorder } from '../src/engine/recorder.js';
import { createSharedPool } from '../src/engine/shared-pool.js';
import { webAssembly } from '../src/engine/webassembly.js';

const backend = await createWasmBackend({ threads: 1 });
const kernels = backend.kernels as Kernels;
afterAll(() => backend.dispose());

const SIZE = 1000;

function make(value?: number): Operand {
  const operand: Operand = { buffer: backend.allocate('float32', SIZE), shape: [SIZE], dtype: 'float32' };
  if (value !== undefined) backend.write(operand, new Float32Array(SIZE).fill(value));
  return operand;
}

const add = (a: Operand, b: Operand, out: Operand): void => kernels.binary({ a, b }, { out }, { op: 'add' });
const isAll = (operand: Operand, value: number): boolean => backend.readSync!(operand).every((found: number) => found === value);

/** Records x + x, which is freed, and that plus x, which is returned. */
function recordTriple(x: Operand, on: Backend = backend): { recording: CommandRecording; triple: Operand } {
  let triple: Operand | undefined;
  const recording = on.record!(() => {
    const double = make();
    triple = make();
    add(x, x, double);
    add(double, x, triple);
    on.free(double.buffer);
  });
  if ('refused' in recording) throw new Error(recording.refused);
  return { recording, triple: triple! };
}

describe('a recording', () => {
  it('repeats its calls on what its inputs hold now', () => {
    const x = make(1);
    const { recording, triple } = recordTriple(x);
    expect(isAll(triple, 3)).toBe(true);
    backend.write(x, new Float32Array(SIZE).fill(5));
    recording.replay();
    expect(isAll(triple, 15)).toBe(true);
    recording.dispose();
    expect(() => recording.replay()).toThrow(/disposed/);
    for (const { buffer } of [x, triple]) backend.free(buffer);
  });

  it('keeps what it freed from work outside, the only one too', () => {
    const x = make(1);
    const { recording, triple } = recordTriple(x);
    const outside = Array.from({ length: 20 }, () => make(-1));
    recording.replay();
    expect(outside.every((operand) => isAll(operand, -1))).toBe(true);
    recording.dispose();
    for (const { buffer } of [x, triple, ...outside]) backend.free(buffer);
  });

  it('keeps what it freed from work outside, and gives it to the next recording', () => {
    const x = make(1);
    const first = recordTriple(x);
    const before = backend.memory().bytes;
    const second = recordTriple(x);
    const outside = Array.from({ length: 20 }, () => make(-1));
    for (const { recording } of [first, second]) recording.replay();
    expect(outside.every((operand) => isAll(operand, -1))).toBe(true);
    expect(isAll(first.triple, 3) && isAll(second.triple, 3)).toBe(true);
    for (let time = 0; time < 2000; time++) {
      const { recording, triple } = recordTriple(x);
      recording.dispose();
      backend.free(triple.buffer);
    }
    expect(backend.memory().bytes).toBe(before);
    for (const { recording, triple } of [first, second]) {
      recording.dispose();
      backend.free(triple.buffer);
    }
    for (const { buffer } of [x, ...outside]) backend.free(buffer);
  });

  it('lets the host look between two of its calls each time, also into what is freed after', () => {
    const x = make(1);
    const seen: number[] = [];
    const recording = backend.record!(() => {
      const [first, second] = [make(), make()];
      add(x, x, first);
      const view = backend.hostView!(first);
      backend.between!(() => seen.push(view[SIZE - 1]!));
      add(first, first, second);
      backend.free(first.buffer);
      const reused = make();
      add(second, second, reused);
      for (const { buffer } of [second, reused]) backend.free(buffer);
    }) as CommandRecording;
    backend.write(x, new Float32Array(SIZE).fill(5));
    recording.replay();
    expect(seen).toEqual([2, 10]);
    const view = backend.hostView!(x);
    view.fill(7);
    expect(isAll(x, 7)).toBe(true);
    backend.between!(() => seen.push(view[0]!)); // outside of a recording: at once
    recording.replay();
    expect(seen).toEqual([2, 10, 7, 14]);
    recording.dispose();
    backend.free(x.buffer);
  });

  it('is refused where the host takes part, and memory is free again', () => {
    const x = make(1);
    expect(backend.record!(() => backend.write(x, new Float32Array(SIZE)))).toEqual({ refused: 'a tensor is written by the host' });
    expect(backend.record!(() => void backend.readSync!(x))).toEqual({ refused: 'a tensor is read by the host' });
    expect(() => backend.record!(() => void backend.record!(() => undefined))).toThrow(/under way/);
    expect(() => backend.record!(() => { throw new Error('in the middle'); })).toThrow('in the middle');
    const { recording, triple } = recordTriple(x); // none is under way
    recording.dispose();
    for (const { buffer } of [x, triple]) backend.free(buffer);
  });

  it('is refused where memory is scarce', () => {
    const memory = new webAssembly!.Memory({ initial: 1, maximum: 1024, shared: true });
    const recorder = createRecorder(createSharedPool(memory, 0), 2 ** 25);
    const recorded = (elements: number) => recorder.record(() => recorder.pool.give('float32', recorder.pool.take('float32', elements)));
    const small = recorded(1000);
    expect(small).toHaveProperty('replay');
    (small as CommandRecording).dispose();
    expect(recorded(2 ** 23)).toEqual({ refused: 'the memory of the engine is half full' });
    // From then on the rest of the step may use again what it frees, in whatever size: 40 MiB do not fit beside each other twice.
    const whole = recorder.record(() => {
      for (const [pieces, elements] of [[40, 2 ** 18], [1, 40 * 2 ** 18]]) {
        const made = Array.from({ length: pieces }, () => recorder.pool.take('float32', elements));
        for (const data of made) recorder.pool.give('float32', data);
      }
    });
    expect(whole).toHaveProperty('refused');
  });
});
