// ONNX Runtime in Node as a peer, for generation with a cache. It is no dependency: it is looked up in the peers' folder.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  promptToken, valuesOf, type GenerationPeer, type GenerationWork, type LanguageModelShape, type ParameterFormula, type PreparedGeneration,
} from './generation-spec.js';
import { absentPeer, peersFolder, peerThreads } from './locate.js';
import { cacheNames, onnxDecoder } from './onnx-decoder.js';

const PACKAGE = 'onnxruntime-node';

/** The part of onnxruntime-node that is used here. */
interface OnnxTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  dispose(): void;
}

interface OnnxSession {
  run(feeds: Readonly<Record<string, OnnxTensor>>): Promise<Readonly<Record<string, OnnxTensor>>>;
  release(): Promise<void>;
}

interface OnnxRuntime {
  readonly Tensor: new (type: 'float32' | 'int64', data: Float32Array | BigInt64Array, dims: readonly number[]) => OnnxTensor;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<OnnxSession> };
  readonly env: { readonly versions: { readonly node?: string; readonly common: string } };
}

/** @throws XMoEError `backend` when it is not installed or does not load here */
export async function openOnnxRuntime(): Promise<GenerationPeer> {
  const title = 'ONNX Runtime';
  const require = createRequire(join(peersFolder(), 'package.json'));
  try {
    require.resolve(PACKAGE);
  } catch (cause) {
    throw absentPeer(title, 'onnx', 'not installed', cause);
  }
  let ort: OnnxRuntime;
  try {
    ort = require(PACKAGE) as OnnxRuntime;
  } catch (cause) {
    throw absentPeer(title, 'onnx', `does not load: ${(cause as Error).message.split('\n')[0]}`, cause);
  }
  const threads = peerThreads();
  return {
    name: title,
    description: `ONNX Runtime ${ort.env.versions.node ?? ort.env.versions.common} (onnxruntime-node), CPU, ${threads} threads`,
    prepareGeneration: (shape, parameters, work) => prepare(ort, threads, shape, parameters, work),
  };
}

async function prepare(
  ort: OnnxRuntime, threads: number, shape: LanguageModelShape, parameters: readonly ParameterFormula[], work: GenerationWork,
): Promise<PreparedGeneration> {
  const session = await ort.InferenceSession.create(onnxDecoder(shape, parameters.map(valuesOf)), {
    executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: 'all', logSeverityLevel: 3,
  });
  const beginnings = Array.from({ length: work.batch }, (_, row) => Array.from({ length: work.prompt }, (_, place) => promptToken(row, place, shape.vocabulary)));
  const extra = beginnings.map((_, row) => [promptToken(row, work.prompt, shape.vocabulary)]);
  const texts = openTexts(ort, session, shape, work.batch);
  await texts.read(beginnings);
  const logits = (await texts.read(extra)).at(-1)!;
  return {
    logits: Array.from(logits),
    contestant: {
      name: 'ONNX Runtime',
      async run() {
        const { read } = openTexts(ort, session, shape, work.batch);
        let next = beginnings;
        for (let token = 0; token < work.tokens; token++) next = (await read(next)).map((row) => [likeliest(row)]);
      },
    },
    dispose: () => session.release(),
  };
}

/** Texts that are read from the beginning on: each call gives the tokens that come next, and returns the logits [V] of each text. */
function openTexts(ort: OnnxRuntime, session: OnnxSession, { layers, heads, width, vocabulary }: LanguageModelShape, batch: number) {
  const names = Array.from({ length: layers }, (_, layer) => cacheNames(layer));
  let cache: Readonly<Record<string, OnnxTensor>> = Object.fromEntries(
    names.flatMap(({ past }) => past.map((name) => [name, new ort.Tensor('float32', new Float32Array(0), [batch, heads, 0, width / heads])])),
  );
  let length = 0;
  return {
    async read(tokens: readonly (readonly number[])[]): Promise<Float32Array[]> {
      const count = tokens[0].length;
      const all = length + count;
      const mask = Float32Array.from({ length: count * all }, (_, at) => (at % all > length + Math.floor(at / all) ? -1e9 : 0));
      const result = await session.run({
        tokens: new ort.Tensor('int64', BigInt64Array.from(tokens.flat(), BigInt), [batch, count]),
        positions: new ort.Tensor('int64', BigInt64Array.from({ length: count }, (_, at) => BigInt(length + at)), [count]),
        mask: new ort.Tensor('float32', mask, [count, all]),
        ...cache,
      });
      cache = Object.fromEntries(names.flatMap(({ past, present }) => past.map((name, index) => [name, result[present[index]]])));
      length = all;
      return Array.from({ length: batch }, (_, row) => result.logits.data.subarray(row * vocabulary, (row + 1) * vocabulary));
    },
  };
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}
