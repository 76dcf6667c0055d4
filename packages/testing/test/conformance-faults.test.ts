// The suite itself: kernels with typical faults, on purpose, must be caught, each by the kind of check that is meant to.
import { afterAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import type { Backend, KernelName, Kernels, Operand } from '@xmoe/core';
import { conformanceCases } from '../src/index.js';
import { largestOperand } from '../src/conformance/case.js';
import { expectationOf, problemsOf } from '../src/conformance/check.js';

const backend = createCpuBackend();
const reference = createCpuBackend();
const real = backend.kernels as Kernels;
let calls = 0;
const SMALL = conformanceCases().filter((item) => largestOperand(item) < 4000);
afterAll(() => [backend, reference].forEach((one: Backend) => one.dispose()));

/** Applies `change` to the contents of an operand. */
function tamper(operand: Operand, change: (data: Float64Array) => void): void {
  const data = Float64Array.from(backend.readSync!(operand));
  change(data);
  backend.write(operand, data);
}

interface Fault {
  readonly what: string;
  readonly primitive: KernelName;
  readonly kernels: Partial<Kernels>;
  readonly symptom: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    what: 'an element that is never written',
    primitive: 'fill',
    kernels: {
      fill: (_inputs, { out }, attributes) => {
        const before = backend.readSync!(out).at(-1);
        real.fill({}, { out }, attributes);
        tamper(out, (data) => { if (data.length > 0) data[data.length - 1] = before!; });
      },
    },
    symptom: /^out\[\d+\] = (NaN|1592)/,
  },
  {
    what: 'work done in the place of the input',
    primitive: 'unary',
    kernels: { unary: ({ x }, { out }, attributes) => { real.unary({ x }, { out }, attributes); real.fill({}, { out: x }, { value: 5 }); } },
    symptom: /^input x after the call/,
  },
  {
    what: 'a different answer each time',
    primitive: 'dropout',
    kernels: {
      dropout: ({ x, key }, { out }, attributes) => {
        real.dropout({ x, key }, { out }, attributes);
        // Within the tolerance of one answer, and never the same twice in a row.
        tamper(out, (data) => { for (let i = 0; i < data.length; i++) data[i] *= calls % 2 === 0 ? 1 : 1 + 5e-7; });
        calls++;
      },
    },
    symptom: /of the second call/,
  },
  {
    what: 'an index clamped into the table',
    primitive: 'gatherRows',
    kernels: {
      gatherRows: ({ x, indices }, { out }) => {
        const clamped = { ...indices, buffer: backend.allocate('int32', indices.shape[0]) };
        backend.write(clamped, Array.from(backend.readSync!(indices), (index) => Math.max(0, Math.min(x.shape[0] - 1, index))));
        real.gatherRows({ x, indices: clamped }, { out });
        backend.free(clamped.buffer);
      },
    },
    symptom: /^out/,
  },
  {
    what: 'a sort that is not stable',
    primitive: 'sortByKey',
    kernels: {
      sortByKey: ({ keys }, { permutation }) => {
        const values = backend.readSync!(keys);
        backend.write(permutation, Array.from(values.keys()).sort((a, b) => values[a] - values[b] || b - a));
      },
    },
    symptom: /^permutation/,
  },
  {
    what: 'rows beyond the last segment left alone',
    primitive: 'groupedMatmul',
    kernels: {
      groupedMatmul: ({ x, w, offsets }, { out }, attributes) => {
        const before = backend.readSync!(out);
        real.groupedMatmul({ x, w, offsets }, { out }, attributes);
        const from = backend.readSync!(offsets).at(-1)! * out.shape[1];
        tamper(out, (data) => data.set(before.subarray(from), from));
      },
    },
    symptom: /^out\[\d+\] = NaN, expected 0/,
  },
  {
    what: 'a random stream that is ignored',
    primitive: 'random',
    kernels: { random: ({ key }, { out }) => real.random({ key }, { out }, { stream: 0 }) },
    symptom: /^out/,
  },
  {
    what: 'a transposition flag that is ignored',
    primitive: 'matmul',
    kernels: { matmul: ({ a, b }, { out }, { transposeA }) => real.matmul({ a, b }, { out }, { transposeA, transposeB: false }) },
    symptom: /^out/,
  },
  {
    what: 'the expert that crosses the threshold left out',
    primitive: 'thresholdSelect',
    kernels: {
      thresholdSelect: ({ p, mask, threshold }, { values, indices, counts }, attributes) => {
        real.thresholdSelect({ p, mask, threshold }, { values, indices, counts }, attributes);
        tamper(counts, (data) => data.forEach((count, token) => (data[token] = Math.max(1, count - 1))));
      },
    },
    symptom: /^counts/,
  },
  {
    what: 'a key mask that is ignored',
    primitive: 'attention',
    kernels: { attention: ({ q, k, v, key }, { out, stats }, attributes) => real.attention(
      { q, k, v, keyMask: null, key },
      { out, stats }, attributes,
    ) },
    symptom: /^out/,
  },
  {
    what: 'a gradient without its dropout',
    primitive: 'attentionGrad',
    kernels: {
      attentionGrad: ({ q, k, v, keyMask: mask, key, out, stats, dout }, { dq, dk, dv }, attributes) =>
        real.attentionGrad({ q, k, v, keyMask: mask, key, out, stats, dout }, { dq, dk, dv }, { ...attributes, dropoutRate: 0 }),
    },
    symptom: /^dv/,
  },
  {
    what: 'weight decay on everything',
    primitive: 'adamStep',
    kernels: { adamStep: ({ gradients, hyper }, { parameters, m, v }) => real.adamStep({ gradients, hyper }, { parameters, m, v }, { decay: true }) },
    symptom: /^parameter/,
  },
  {
    what: 'targets counted from the start of the chunk',
    primitive: 'crossEntropyGrad',
    kernels: {
      crossEntropyGrad: ({ logits, targets, peak, sum, scale }, { dlogits }, attributes) =>
        real.crossEntropyGrad({ logits, targets, peak, sum, scale }, { dlogits }, { ...attributes, offset: 0 }),
    },
    symptom: /^dlogits/,
  },
];

describe('the conformance suite catches', () => {
  it.each(FAULTS)('$what ($primitive)', async ({ primitive, kernels, symptom }) => {
    const found: string[] = [];
    for (const item of SMALL.filter((one) => one.primitive === primitive)) {
      found.push(...(await problemsOf(item, backend, kernels, await expectationOf(item, reference))));
    }
    expect(found.filter((line) => symptom.test(line)).length).toBeGreaterThan(0);
  });

  it('nothing in kernels that are right', async () => {
    for (const item of SMALL.filter((one) => ['softmax', 'sortByKey', 'adamStep'].includes(one.primitive))) {
      expect(await problemsOf(item, backend, real, await expectationOf(item, reference)), item.label).toEqual([]);
    }
  });
});

describe('the cases', () => {
  it('have names that are unique within a primitive and dtype', () => {
    const names = conformanceCases().map(({ primitive, label, dtype }) => `${primitive} ${label} ${dtype}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});
