// jax-js in WebAssembly as a peer, for GEMM. It is no dependency: it is looked up in the peers' folder.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { GemmShape } from '../shapes.js';
import { formulaValues } from './formula.js';
import { absentPeer, peersFolder } from './locate.js';
import type { GemmPeer, PreparedGemm } from './peer.js';

const PACKAGE = '@jax-js/jax';

/** The part of jax-js that is used here. Operations consume their operands; `ref` keeps one alive. */
interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  blockUntilReady(): Promise<JaxArray>;
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface Jax {
  init(...devices: string[]): Promise<string[]>;
  defaultDevice(device: string): string;
  readonly numpy: {
    array(values: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    matrixTranspose(a: JaxArray): JaxArray;
  };
}

/** @throws XMoEError `backend` when it is not installed or has no WebAssembly here */
export async function openJax(): Promise<GemmPeer> {
  let entry: string;
  try {
    entry = createRequire(join(peersFolder(), 'package.json')).resolve(PACKAGE);
  } catch (cause) {
    throw absentPeer('jax-js', 'jax', 'not installed', cause);
  }
  const jax = createRequire(entry)(entry) as Jax;
  if (!(await jax.init('wasm')).includes('wasm')) throw absentPeer('jax-js', 'jax', 'its WebAssembly backend does not start here');
  jax.defaultDevice('wasm');
  const { version } = JSON.parse(await readFile(join(dirname(entry), '..', 'package.json'), 'utf8')) as { version: string };
  // It starts workers where the page has them; Node does not give it any.
  const threads = 'Worker' in globalThis ? 'its own workers' : 'one thread';
  return { name: 'jax-js wasm', description: `jax-js ${version}, WebAssembly, ${threads}`, prepareGemm: (shape) => prepare(jax, shape) };
}

async function prepare({ numpy }: Jax, { M, K, N, transposeB }: GemmShape): Promise<PreparedGemm> {
  const a = numpy.array(formulaValues(M * K, 1, 1)).reshape([M, K]);
  const b = numpy.array(formulaValues(K * N, 2, 1)).reshape(transposeB ? [N, K] : [K, N]);
  const multiply = (): JaxArray => numpy.matmul(a.ref, transposeB ? numpy.matrixTranspose(b.ref) : b.ref);
  const value = (await multiply().data()).at(-1)!;
  return {
    value,
    contestant: {
      name: 'jax-js wasm',
      async run() {
        const product = multiply();
        await product.blockUntilReady();
        product.dispose();
      },
    },
    async dispose() {
      a.dispose();
      b.dispose();
    },
  };
}
