// Weights of one language model as those of another that can begin with them: fewer positions, and dense layers as experts (section 3.6).
// Values only; what the two models are, their configurations say.
import { isTrained, sizeOf, XMoEError, type ParameterSpec } from '@xmoe/core';
import { splitDense } from '@xmoe/moe';
import type { StoredTensor } from '@xmoe/train';
import type { LanguageConfig } from '../language/language-config.js';
import { languageLayerHasExperts } from '../language/language-model.js';
import type { ExpertsConfig } from '../sections/experts.js';

/** By layer (`h.0`): its hidden units, those of the first expert first. Layers left out keep their order. */
export type UnitOrders = ReadonlyMap<string, ArrayLike<number>>;

type Sections = Pick<LanguageConfig, 'model' | 'moe'>;

/**
 * The tensors of a model `from` for a model `to`. A shorter context takes the first positions. Where `to` has experts and `from` a dense
 * layer, that is split exactly: the gate is 0, so that each of N experts has the weight 1/N, and W2 and b2 are N times those of Eq. 4.
 * With all experts the layer is then the dense one. Everything else stays, and does not fit when the models differ in more.
 * @throws XMoEError `config` for a longer context, and for experts that are not the dense layer
 */
export function fitWeights(tensors: readonly StoredTensor[], from: Sections, to: Sections, orders: UnitOrders = new Map()): StoredTensor[] {
  const { contextLength } = to.model;
  if (contextLength > from.model.contextLength) {
    throw new XMoEError('config', `the weights are for a context of ${from.model.contextLength} tokens, and contextLength is ${contextLength}`, { hint: 'positions beyond it were never trained: lower --context-length' });
  }
  const rows = tensors.map((tensor) => (tensor.name === 'wpe.weight' ? firstRows(tensor, contextLength) : tensor));
  const byName = new Map(rows.map((tensor) => [tensor.name, tensor]));
  for (let layer = 1; layer <= from.model.layers; layer++) {
    if (to.moe && languageLayerHasExperts(to, layer) && !languageLayerHasExperts(from, layer)) {
      splitLayer(byName, `h.${layer - 1}`, from.model, to.moe, orders.get(`h.${layer - 1}`));
    }
  }
  return [...byName.values()];
}

/** `tensors` with the states of `specs` that they lack, as these begin, and without states of another router. */
export function fitStates(tensors: readonly StoredTensor[], specs: readonly ParameterSpec[]): StoredTensor[] {
  const wanted = new Set(specs.map(({ name }) => name));
  const kept = tensors.filter(({ name }) => wanted.has(name) || !name.includes('router.state.'));
  const found = new Set(kept.map(({ name }) => name));
  const first = specs.filter((spec) => !isTrained(spec) && !found.has(spec.name)).map(({ name, shape, init }): StoredTensor => (
    { name, dtype: 'float32', shape, data: new Float32Array(sizeOf(shape)).fill(init.kind === 'constant' ? init.value : 0) }
  ));
  return [...kept, ...first];
}

function firstRows({ shape: [rows, width], data, ...rest }: StoredTensor, wanted: number): StoredTensor {
  if (rows === wanted) return { shape: [rows, width!], data, ...rest };
  return { ...rest, shape: [wanted, width!], data: data.slice(0, wanted * width!) };
}

function splitLayer(byName: Map<string, StoredTensor>, layer: string, { width, hidden }: LanguageConfig['model'], { experts, expertHidden }: ExpertsConfig, order: ArrayLike<number> | undefined): void {
  if (experts * expertHidden !== hidden) {
    throw new XMoEError('config', `${experts} experts of ${expertHidden} are not the dense layer of ${hidden} that they are split from`, {
      hint: hidden % experts === 0 ? `use --expert-hidden ${hidden / experts}` : `choose --experts that divide ${hidden}, and --expert-hidden ${hidden} / experts`,
    });
  }
  const take = (name: string): StoredTensor['data'] => {
    const full = `${layer}.mlp.${name}`;
    const tensor = byName.get(full);
    if (!tensor) throw new XMoEError('checkpoint', `the weights lack ${full}`, { hint: 'take weights of a whole model' });
    byName.delete(full);
    return tensor.data;
  };
  const dense = { w1: take('c_fc.weight'), b1: take('c_fc.bias'), w2: take('c_proj.weight'), b2: take('c_proj.bias') };
  const { w1, b1, w2, b2 } = splitDense(dense, { width, hidden, experts, ...(order ? { order } : {}) });
  const put = (name: string, shape: number[], data: Float32Array): unknown => byName.set(`${layer}.moe.${name}`, { name: `${layer}.moe.${name}`, dtype: 'float32', shape, data });
  put('router.weight', [width, experts], new Float32Array(width * experts));
  put('experts.w1', [experts, width, expertHidden], w1);
  put('experts.b1', [experts, expertHidden], b1);
  put('experts.w2', [experts, expertHidden, width], w2.map((value) => value * experts));
  put('experts.b2', [experts, width], b2.map((value) => value * experts));
}
