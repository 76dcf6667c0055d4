// Which tensor of the files of a published model is which parameter of ours. The names are GPT-2's already; what differs between
// folders is the prefix, buffers that older versions saved, and where a tied output projection went. Headers only: nothing is read.
import { XMoEError, type ParameterSpec } from '@xmoe/core';
import { assertTensors, type StoredTensor } from '@xmoe/train';

/** What a header says of a tensor. */
export type FoundTensor = Pick<StoredTensor, 'name' | 'shape' | 'dtype'>;

export interface MatchedTensors {
  /** Our name → the name in the files. */
  readonly names: ReadonlyMap<string, string>;
  /** The file's name of an output projection that must equal the token embedding; undefined where there is none. */
  readonly tiedCopy: string | undefined;
}

const TOKENS = 'wte.weight';
const HEAD = 'lm_head.weight';
/** The causal mask and what masked scores became: no weights. */
const BUFFER = /^h\.\d+\.attn\.(bias|masked_bias)$/;

/** `transformer.h.1.mlp.experts.w1` → `h.1.moe.experts.w1`; the prefix may be left out. */
function ourName(published: string): string {
  return published.replace(/^transformer\./, '').replace(/^(h\.\d+)\.mlp\.(router|experts)\./, '$1.moe.$2.');
}

/** The name that `transformers` gives to our parameter `name`. */
export function publishedName(name: string): string {
  return name === HEAD ? name : `transformer.${name.replace(/^(h\.\d+)\.moe\./, '$1.mlp.')}`;
}

/**
 * @param expected parameters of the model that the configuration asks for
 * @param tied whether the output projection is the token embedding
 * @throws XMoEError `checkpoint` that names each tensor that is missing, not expected, of another shape or of a dtype that holds no weights
 */
export function matchTensors(expected: readonly ParameterSpec[], found: readonly FoundTensor[], { tied, where }: { tied: boolean; where: string }): MatchedTensors {
  const byName = new Map<string, FoundTensor>();
  for (const tensor of found) {
    const name = ourName(tensor.name);
    if (BUFFER.test(name)) continue;
    const other = byName.get(name);
    if (other) throw new XMoEError('checkpoint', `${where} holds both ${other.name} and ${tensor.name}`, { hint: 'they are the same parameter: leave one out' });
    byName.set(name, tensor);
  }
  let tiedCopy: string | undefined;
  const head = byName.get(HEAD);
  if (tied && head) {
    byName.delete(HEAD);
    if (byName.has(TOKENS)) tiedCopy = head.name;
    else byName.set(TOKENS, head); // some savers keep one of the two, and not always the same
  }
  refuseTransposed(expected, byName, where);
  // Half precision widens to single precision without a change.
  const got = [...byName].map(([name, { shape, dtype }]) => ({ name, shape, dtype: dtype === 'float16' || dtype === 'bfloat16' ? 'float32' as const : dtype }));
  assertTensors(expected.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })), got, { where });
  return { names: new Map([...byName].map(([name, tensor]) => [name, tensor.name])), tiedCopy };
}

/** Matrices the other way round are a kind of their own: those of `nn.Linear`, where GPT-2 has its Conv1D. */
function refuseTransposed(expected: readonly ParameterSpec[], byName: ReadonlyMap<string, FoundTensor>, where: string): void {
  const turned = expected.find(({ name, shape: [rows, columns] }) => {
    const shape = byName.get(name)?.shape;
    return columns !== undefined && rows !== columns && shape?.length === 2 && shape[0] === columns && shape[1] === rows;
  });
  if (!turned) return;
  throw new XMoEError('checkpoint', `${where}: ${turned.name} is [${turned.shape.toReversed().join(', ')}], not [${turned.shape.join(', ')}]: its matrices are those of linear layers`, {
    hint: 'GPT-2 keeps [inputs, outputs]: transpose the matrices of attn and mlp, or save the model with transformers',
  });
}
