// Our dense language model as an ONNX graph with a cache of keys and values, in the form in which decoders are exported: the keys and values so
// far go in, those with the new tokens come out. It runs nothing.
import type { LanguageModelShape, NamedValues } from './generation-spec.js';
import { onnxFile, type OnnxAttribute, type OnnxNode, type OnnxValue, type OnnxWeight } from './onnx-file.js';

/** GELU came in with 20. */
const OPSET = 20;

/** Inputs and outputs of a layer's cache: float32 [batch, heads, past, D]. */
export const cacheNames = (layer: number): { past: readonly string[]; present: readonly string[] } =>
  ({ past: [`past.${layer}.key`, `past.${layer}.value`], present: [`present.${layer}.key`, `present.${layer}.value`] });

interface Builder {
  readonly nodes: OnnxNode[];
  /** Adds a node, and names its only output. */
  add(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, OnnxAttribute>>): string;
}

function createBuilder(): Builder {
  const nodes: OnnxNode[] = [];
  return {
    nodes,
    add(op, inputs, attributes) {
      const output = `${op}.${nodes.length}`;
      nodes.push({ op, inputs, outputs: [output], attributes });
      return output;
    },
  };
}

/**
 * Inputs: `tokens` int64 [batch, length], `positions` int64 [length], `mask` float32 [length, past + length], which is added to the scores, and the
 * cache. Outputs: `logits` float32 [batch, V] of the last token, and the cache.
 */
export function onnxDecoder(shape: LanguageModelShape, parameters: readonly NamedValues[]): Uint8Array {
  const { width, heads, layers, vocabulary } = shape;
  const builder = createBuilder();
  const { add, nodes } = builder;
  let x = add('Add', [add('Gather', ['wte.weight', 'tokens']), add('Gather', ['wpe.weight', 'positions'])]);
  for (let layer = 0; layer < layers; layer++) x = decoderLayer(builder, layer, x);
  const last = add('Gather', [normalized(builder, 'ln_f', x), 'last'], { axis: 1 });
  nodes.push({ op: 'Gemm', inputs: [last, 'wte.weight'], outputs: ['logits'], attributes: { transB: 1 } }); // tied
  const constants: OnnxWeight[] = [
    { name: 'by-head', shape: [4], values: BigInt64Array.from([0, 0, heads, width / heads].map(BigInt)) },
    { name: 'joined', shape: [3], values: BigInt64Array.from([0, 0, width].map(BigInt)) },
    { name: 'last', shape: [], values: BigInt64Array.of(-1n) },
    { name: 'scale', shape: [], values: Float32Array.of((width / heads) ** -0.5) },
  ];
  const caches = (which: 'past' | 'present', length: string): OnnxValue[] =>
    Array.from({ length: layers }, (_, layer) => cacheNames(layer)[which]).flat()
      .map((name) => ({ name, type: 'float32', shape: ['batch', heads, length, width / heads] }));
  return onnxFile({
    nodes,
    weights: [...constants, ...parameters],
    inputs: [
      { name: 'tokens', type: 'int64', shape: ['batch', 'length'] }, { name: 'positions', type: 'int64', shape: ['length'] },
      { name: 'mask', type: 'float32', shape: ['length', 'all'] }, ...caches('past', 'past'),
    ],
    outputs: [{ name: 'logits', type: 'float32', shape: ['batch', vocabulary] }, ...caches('present', 'all')],
  }, OPSET);
}

/** x [batch, length, d] through a pre-norm layer. */
function decoderLayer(builder: Builder, layer: number, x: string): string {
  const { add } = builder;
  const name = `h.${layer}`;
  const mixed = attention(builder, layer, normalized(builder, `${name}.ln_1`, x));
  const after = add('Add', [x, linear(builder, `${name}.attn.c_proj`, mixed)]);
  const hidden = add('Gelu', [linear(builder, `${name}.mlp.c_fc`, normalized(builder, `${name}.ln_2`, after))], { approximate: { text: 'tanh' } });
  return add('Add', [after, linear(builder, `${name}.mlp.c_proj`, hidden)]);
}

function attention({ nodes, add }: Builder, layer: number, x: string): string {
  const projected = linear({ nodes, add }, `h.${layer}.attn.c_attn`, x);
  const parts = ['q', 'k', 'v'].map((part) => `${projected}.${part}`);
  nodes.push({ op: 'Split', inputs: [projected], outputs: parts, attributes: { axis: -1, num_outputs: 3 } });
  const [q, ...fresh] = parts.map((part) => add('Transpose', [add('Reshape', [part, 'by-head'])], { perm: [0, 2, 1, 3] }));
  const { past, present } = cacheNames(layer);
  present.forEach((output, index) => nodes.push({ op: 'Concat', inputs: [past[index], fresh[index]], outputs: [output], attributes: { axis: 2 } }));
  const [k, v] = present;
  const scores = add('MatMul', [add('Mul', [q, 'scale']), add('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const weights = add('Softmax', [add('Add', [scores, 'mask'])], { axis: -1 });
  return add('Reshape', [add('Transpose', [add('MatMul', [weights, v])], { perm: [0, 2, 1, 3] }), 'joined']);
}

const linear = ({ add }: Builder, name: string, x: string): string => add('Add', [add('MatMul', [x, `${name}.weight`]), `${name}.bias`]);

const normalized = ({ add }: Builder, name: string, x: string): string =>
  add('LayerNormalization', [x, `${name}.weight`, `${name}.bias`], { axis: -1, epsilon: { float: 1e-5 } });
