// TensorFlow.js wasm as a peer: tf.matMul itself, without our adapter. Whole models go through the adapter (step.ts).
import { loadTfjs } from '@xmoe/backend-tfjs/node';
import type { GemmShape } from '../shapes.js';
import { formulaValues } from './formula.js';
import type { GemmPeer, PreparedGemm } from './peer.js';

interface TfTensor {
  dataSync(): Float32Array;
  dispose(): void;
}

/** The part of TensorFlow.js that is used here. */
interface RawTfjs {
  tensor(values: Float32Array, shape: number[]): TfTensor;
  matMul(a: TfTensor, b: TfTensor): TfTensor;
  transpose(a: TfTensor): TfTensor;
}

/** @throws XMoEError `backend` with the command that installs it */
export async function openTfjs(): Promise<GemmPeer> {
  const { tf, description } = await loadTfjs({ build: 'wasm' });
  return { name: 'TensorFlow.js wasm', description: `${description}, one thread`, prepareGemm: async (shape) => prepare(tf as unknown as RawTfjs, shape) };
}

function prepare(tf: RawTfjs, { M, K, N, transposeB }: GemmShape): PreparedGemm {
  const a = tf.tensor(formulaValues(M * K, 1, 1), [M, K]);
  const b = tf.tensor(formulaValues(K * N, 2, 1), transposeB ? [N, K] : [K, N]);
  function multiply(): TfTensor {
    if (!transposeB) return tf.matMul(a, b);
    // Its own transposeB leaves the fast path and takes many times longer than a transpose.
    const turned = tf.transpose(b);
    const result = tf.matMul(a, turned);
    turned.dispose();
    return result;
  }
  const product = multiply();
  const value = product.dataSync().at(-1)!;
  product.dispose();
  return {
    value,
    // The build computes at once: when matMul returns, the product is there.
    contestant: { name: 'TensorFlow.js wasm', run: async () => multiply().dispose() },
    async dispose() {
      a.dispose();
      b.dispose();
    },
  };
}
