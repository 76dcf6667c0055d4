// The conventions of layers: parameters by name and their first values.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { countParameters, createEngine, initializeParameters, parameter, randomKey, type ParameterSpec } from '@xmoe/core';
import { initialValues } from '../src/module.js';
import { describe, expect, it } from 'vitest';

const spec = (name: string, shape: number[], init: ParameterSpec['init']): ParameterSpec => ({ name, shape, init, decay: true });
const key = randomKey(3);

describe('parameters', () => {
  it('start as their key and name say, whatever the order', () => {
    const normal = spec('w', [2, 500], { kind: 'normal', std: 0.5 });
    const values = initialValues(normal, key);
    expect(initialValues(normal, key)).toEqual(values);
    expect(initialValues({ ...normal, name: 'v' }, key)).not.toEqual(values);
    expect(Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / 1000)).toBeCloseTo(0.5, 1);
    const copies = initialValues(spec('w', [3, 4], { kind: 'copies', std: 1 }), key);
    expect(copies.subarray(4, 8)).toEqual(copies.subarray(0, 4));
    expect(copies.subarray(8)).toEqual(copies.subarray(0, 4));
    expect([...initialValues(spec('b', [2], { kind: 'zeros' }), key), ...initialValues(spec('g', [2], { kind: 'ones' }), key)]).toEqual([0, 0, 1, 1]);
  });

  it('of a backend with memory of its own are drawn there when they are many: the same numbers up to rounding', async () => {
    const calls: string[] = [];
    const host = createCpuBackend();
    const device = createEngine({ ...host, readSync: undefined, write: (operand, data) => (calls.push(String(data.length)), host.write(operand, data)) });
    const specs = [spec('w', [1024, 1025], { kind: 'normal', std: 0.5 }), spec('c', [2, 2 ** 20 + 1], { kind: 'copies', std: 2 }), spec('few', [100], { kind: 'normal', std: 1 })];
    const parameters = device.scope(() => initializeParameters(device, specs, key));
    expect(new Set(calls)).toEqual(new Set(['2', '100'])); // keys, and what is few
    for (const one of specs) {
      const expected = initialValues(one, key);
      const found = await parameters[one.name]!.data();
      const scale = 'std' in one.init ? one.init.std : 1;
      expect(found.length).toBe(expected.length);
      expect(Array.from(found).reduce((worst, value, index) => Math.max(worst, Math.abs(value - expected[index]!)), 0)).toBeLessThan(one.name === 'few' ? 1e-30 : 4e-6 * scale);
    }
    expect(device.memory().buffers).toBe(3);
  });

  it('live until disposed and are found by name', () => {
    const engine = createEngine(createCpuBackend());
    const specs = [spec('w', [2, 3], { kind: 'zeros' }), spec('constructor', [4], { kind: 'ones' })];
    const parameters = engine.scope(() => initializeParameters(engine, specs, key));
    expect(engine.memory().buffers).toBe(2);
    expect(parameter(parameters, 'constructor').shape).toEqual([4]);
    expect(() => parameter(parameters, 'toString')).toThrow('there is no parameter toString');
    expect(() => initializeParameters(engine, [specs[0]!, specs[0]!], key)).toThrow('two parameters are named w');
    expect(countParameters(specs)).toBe(10);
  });
});
