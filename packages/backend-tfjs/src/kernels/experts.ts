// groupedLinear, its weight gradient and expertsGrad for builds whose memory the host sees: the build's own products and
// activations on temporaries, with host loops for what is per row. Elsewhere core's fallbacks run.
import { sizeOf, type FusedKernels, type Operand, type RequiredKernels } from '@xmoe/core';
import { segmentsOf } from '@xmoe/kernels-host';
import type { BoxStore, HostArray } from '../box.js';
import type { Memory } from '../memory.js';
import type { ValueAndGradient } from './wasm-activation.js';

type Base = RequiredKernels & Pick<FusedKernels, 'biasActivation' | 'biasActivationGrad'>;
type ExpertKernels = Pick<FusedKernels, 'groupedLinear' | 'groupedLinearWeightGrad' | 'expertsGrad'>;
type Temporary = (shape: readonly number[]) => Operand;

/** An activation and its gradient as the two kernels of the contract. */
export function separately(base: Base): ValueAndGradient {
  return (x, dy, value, dx, attributes) => {
    base.biasActivation({ x, bias: null, offsets: null }, { out: value }, attributes);
    base.biasActivationGrad({ x, bias: null, offsets: null, dy }, { dx, dbias: null }, attributes);
  };
}

export function expertKernels(base: Base, store: BoxStore, memory: Memory, valueAndGradient = separately(base)): ExpertKernels {
  /** Runs `body`, then frees what it made. */
  const withTemporaries = (body: (temporary: Temporary) => void): void => {
    const made: Operand[] = [];
    try {
      body((shape) => {
        const operand: Operand = { buffer: store.allocate('float32', sizeOf(shape)), shape, dtype: 'float32' };
        made.push(operand);
        return operand;
      });
    } finally {
      for (const { buffer } of made) store.free(buffer);
    }
  };

  /** x[rows], zero where the index is outside; x itself without rows. */
  const gathered = (temporary: Temporary, x: Operand, rows: Operand | null): Operand => {
    if (!rows) return x;
    const out = temporary([rows.shape[0], x.shape[1]]);
    base.gatherRows({ x, indices: rows }, { out });
    return out;
  };

  return {
    groupedLinear: ({ x, rows, w, bias, offsets }, { out, pre }, { transposeW, activation }) =>
      withTemporaries((temporary) => {
        // Rows that are themselves or empty need no gather: what comes of the empty ones is cleared.
        const inPlace = rows !== null && rows.shape[0] === x.shape[0] && areOwnRows(memory, rows);
        const source = inPlace ? x : gathered(temporary, x, rows);
        const isProduct = !bias && !pre && activation === 'none';
        const product = isProduct ? out : temporary(out.shape);
        base.groupedMatmul({ x: source, w, offsets }, { out: product }, { transposeW });
        if (pre) {
          base.biasActivation({ x: product, bias, offsets }, { out: pre }, { activation: 'none' });
          base.biasActivation({ x: pre, bias: null, offsets }, { out }, { activation });
        } else if (!isProduct) base.biasActivation({ x: product, bias, offsets }, { out }, { activation });
        if (rows && (bias || inPlace)) clearRows(memory, pre ? [out, pre] : [out], rows, x.shape[0]);
      }),

    groupedLinearWeightGrad: ({ x, xRows, dy, dyRows, scale, offsets }, { dw, dbias }) =>
      withTemporaries((temporary) => {
        const upstream = gathered(temporary, dy, dyRows);
        const scaled = scale ? temporary(upstream.shape) : upstream;
        if (scale) base.binary({ a: upstream, b: column(scale) }, { out: scaled }, { op: 'multiply' });
        base.groupedMatmulWeightGrad({ x: gathered(temporary, x, xRows), dy: scaled, offsets }, { out: dw });
        if (dbias) sumSegments(memory, scaled, offsets, dbias);
      }),

    expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation }) {
      valueAndGradient(pre, dHidden, hidden, dPre, { activation });
      clearRows(memory, [hidden, dPre], rowClaim, Infinity);
      base.gatherRows({ x: column(weights), indices: rowClaim }, { out: column(rowWeight) });
      if (dWeights) weightGradient(memory, [hidden, dHidden, b2, dy, claimRow, offsets], dWeights);
    },
  };
}

/** x as [size, 1]. */
function column({ buffer, shape, dtype }: Operand): Operand {
  return { buffer, shape: [sizeOf(shape), 1], dtype };
}

/** Whether every index is that of its own row, or outside. */
function areOwnRows(memory: Memory, indices: Operand): boolean {
  let own = true;
  memory.run([], [indices], (_outputs, [index]) => {
    for (let row = 0; own && row < index.length; row++) own = index[row] === row || index[row] < 0 || index[row] >= index.length;
  });
  return own;
}

/** Zeros in the rows whose index is not one of 0 … count − 1. */
function clearRows(memory: Memory, outputs: readonly Operand[], indices: Operand, count: number): void {
  memory.update(outputs, [indices], (arrays, [index]) => {
    const width = outputs[0].shape[1];
    for (let row = 0; row < index.length; row++) {
      if (index[row] >= 0 && index[row] < count) continue;
      for (const array of arrays) array.fill(0, row * width, (row + 1) * width);
    }
  });
}

/** out[g] = Σ of the rows of segment g. */
function sumSegments(memory: Memory, x: Operand, offsets: Operand, out: Operand): void {
  memory.run([out], [x, offsets], ([sums], [rows, at]) => {
    const width = x.shape[1];
    const total = new Float64Array(width);
    segmentsOf(at, x.shape[0]).forEach(({ first, end }, g) => {
      total.fill(0);
      for (let from = first * width; from < end * width; ) for (let j = 0; j < width; j++) total[j] += rows[from++];
      sums.set(total, g * width);
    });
  });
}

/** dWeights[c] = hidden[r]·dHidden[r] + b2[g]·dy[t] for the row r of claim c; 0 without one. */
function weightGradient(memory: Memory, inputs: readonly [Operand, Operand, Operand, Operand, Operand, Operand], dWeights: Operand): void {
  const [S, D, K] = [inputs[0].shape[1], inputs[3].shape[1], dWeights.shape[1]];
  memory.run([dWeights], inputs, ([gradient], [h, u, biases, upstream, rows, at]) => {
    const groups = new Int32Array(inputs[0].shape[0]);
    segmentsOf(at, groups.length).forEach(({ first, end }, g) => groups.fill(g, first, end));
    for (let claim = 0; claim < rows.length; claim++) {
      const row = rows[claim];
      gradient[claim] = row < 0 ? 0 : dot(h, row * S, u, row * S, S) + dot(biases, groups[row] * D, upstream, Math.floor(claim / K) * D, D);
    }
  });
}

function dot(a: HostArray, startA: number, b: HostArray, startB: number, length: number): number {
  let sum = 0;
  for (let j = 0; j < length; j++) sum += a[startA + j] * b[startB + j];
  return sum;
}
