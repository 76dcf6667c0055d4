// Published GPT-2s: the logits of transformers, and every way in which a folder may be none.
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine } from '@xmoe/core';
import { createLanguageModelFromConfig } from '@xmoe/models';
import { openWeights, writeHuggingFaceFolder, type PublishedContents } from '@xmoe/models/node';
import { droplessExperts } from '@xmoe/models/sections';
import { loadParameters, type StoredTensor } from '@xmoe/train';
import { readSafetensors, writeSafetensors } from '@xmoe/train/node';
import { afterAll, describe, expect, it } from 'vitest';

const golden = (...names: string[]): string => fileURLToPath(new URL(join('../../testing/golden/published', ...names), import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'xmoe-hub-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const open = (path: string) => openWeights(path, { onWarning: () => undefined });

interface Expected {
  ids: number[][];
  /** Of the last two positions. */
  logits: number[][][];
  texts: { text: string; ids: number[] }[];
}

describe.each(['usual', 'bare', 'shards', 'untied', 'xmoe-threshold', 'xmoe-shares', 'xmoe-topk', 'xmoe-base', 'bfloat16', 'xmoe-layers', 'xmoe-equal'])('the folder %s', (name) => {
  const expected = JSON.parse(readFileSync(golden(name, 'expected.json'), 'utf8')) as Expected;

  it('gives the logits of transformers', async () => {
    const weights = await open(golden(name));
    const engine = createEngine(createCpuBackend());
    try {
      const model = createLanguageModelFromConfig({ model: weights.model, moe: droplessExperts(weights.moe), train: { seed: 1 } }, weights.tokenizer.vocabularySize);
      const parameters = Object.fromEntries(model.parameters.map(({ name: parameter, shape }) => [parameter, engine.zeros(shape).keep()]));
      loadParameters(parameters, model.parameters, await weights.tensors(), name);
      const [batch, length] = [expected.ids.length, expected.ids[0]!.length];
      const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;
      const { x } = model.hidden(parameters, engine.tensor(Int32Array.from(expected.ids.flat())), { batch, length }, context);
      const logits = await model.logits(parameters, x).data();
      for (let row = 0; row < batch; row++) {
        for (const back of [2, 1]) {
          const want = expected.logits[row]!.at(-back)!;
          const start = ((row + 1) * length - back) * want.length;
          expect(Math.max(...want.map((value, token) => Math.abs(value - logits[start + token]!)))).toBeLessThan(1e-4);
        }
      }
    } finally {
      engine.dispose();
    }
  });

  it('has its tokenizer', async () => {
    const { tokenizer } = await open(golden(name));
    for (const { text, ids } of expected.texts) expect([...tokenizer.encode(text)]).toEqual(ids);
  });
});

describe('refuses', () => {
  let copies = 0;
  const copyOf = (name: string): string => {
    const path = join(folder, String(++copies));
    cpSync(golden(name), path, { recursive: true });
    return path;
  };
  const withConfig = (changes: object): string => {
    const path = copyOf('usual');
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object;
    writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, ...changes }));
    return path;
  };
  const withTensors = async (change: (tensors: StoredTensor[]) => StoredTensor[], name = 'usual'): Promise<string> => {
    const path = copyOf(name);
    const file = join(path, 'model.safetensors');
    const changed = change((await readSafetensors(file)).tensors);
    rmSync(file);
    await writeSafetensors(file, changed, { metadata: { format: 'pt' } });
    return path;
  };
  const withIndex = (change: (map: Record<string, string>) => Record<string, string>): string => {
    const path = copyOf('shards');
    const file = join(path, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(file, 'utf8')) as { weight_map: Record<string, string> };
    writeFileSync(file, JSON.stringify({ ...index, weight_map: change(index.weight_map) }));
    return path;
  };
  const replacing = (name: string, change: (tensor: StoredTensor) => StoredTensor) => (tensors: StoredTensor[]): StoredTensor[] =>
    tensors.map((tensor) => (tensor.name === `transformer.${name}` ? change(tensor) : tensor));
  const tensorsOf = async (path: string): Promise<unknown> => (await open(path)).tensors();

  it('but not bfloat16, which is widened, also in shards', async () => {
    const half = await withTensors((all) => all.map((tensor) => ({ ...tensor, dtype: 'bfloat16' })));
    const [rounded, whole] = [await tensorsOf(half), await tensorsOf(golden('usual'))] as [StoredTensor[], StoredTensor[]];
    for (const [index, { name, dtype, data }] of whole.entries()) {
      expect(rounded[index]).toMatchObject({ name, dtype });
      data.forEach((value, at) => expect(Math.abs(rounded[index]!.data[at]! - value)).toBeLessThanOrEqual(Math.abs(value) / 256));
    }
    const shards = copyOf('shards');
    const file = join(shards, 'model-00001-of-00002.safetensors');
    const changed = (await readSafetensors(file)).tensors.map((tensor): StoredTensor => ({ ...tensor, dtype: 'bfloat16' }));
    rmSync(file);
    await writeSafetensors(file, changed, { metadata: { format: 'pt' } });
    expect((await tensorsOf(shards) as StoredTensor[]).every(({ dtype }) => dtype === 'float32')).toBe(true);
  });

  it.each([
    [{ model_type: 'llama' }, 'is that of a "llama" model'],
    [{ model_type: undefined }, 'does not say what model it is of'],
    [{ activation_function: 'silu' }, 'activation_function is "silu", not one of gelu_new'],
    [{ scale_attn_by_inverse_layer_idx: true, scale_attn_weights: false }, 'scale_attn_weights is false; scale_attn_by_inverse_layer_idx is true'],
    [{ add_cross_attention: true }, 'add_cross_attention is true'],
    [{ n_head: 5 }, 'n_embd 16 is not a multiple of n_head 5'],
    [{ n_layer: 1e9 }, 'n_layer'],
    [{ n_embd: 'wide' }, 'n_embd'],
    [{ attn_pdrop: 0.3 }, 'are not one number below 1'],
    [{ vocab_size: 50304 }, 'has 269 tokens, and the model 50304 (vocab_size)'],
    [{ moe: { experts: 2 } }, 'moe'],
  ])('a configuration with %j', async (changes, message) => {
    await expect(open(withConfig(changes))).rejects.toThrow(message);
  });

  it.each<[string, () => Promise<string> | string, string]>([
    ['a folder that is none', () => join(folder, 'openai-community', 'gpt2'), 'there are no weights at'],
    ['a file', () => golden('usual', 'model.safetensors'), 'is a file'],
    ['a pickle', () => {
      const path = copyOf('usual');
      renameSync(join(path, 'model.safetensors'), join(path, 'pytorch_model.bin'));
      return path;
    }, 'is a pickle, which can run code'],
    ['other formats', () => {
      const path = copyOf('usual');
      renameSync(join(path, 'model.safetensors'), join(path, 'tf_model.h5'));
      return path;
    }, 'has no model.safetensors, only tf_model.h5'],
    ['no tokenizer', () => {
      const path = copyOf('usual');
      rmSync(join(path, 'tokenizer.json'));
      return path;
    }, 'no tokenizer at'],
    ['an index that names files elsewhere', () => withIndex((map) => ({ ...map, 'transformer.wte.weight': '../usual/model.safetensors' })), 'says that transformer.wte.weight is in "../usual/model.safetensors"'],
    ['an index that names a file that is missing', () => withIndex((map) => ({ ...map, 'transformer.wte.weight': 'model-00003-of-00003.safetensors' })), 'names model-00003-of-00003.safetensors, which is not there'],
    ['an index of nothing', () => withIndex(() => ({})), 'has no weight_map'],
  ])('%s', async (_, make, message) => {
    await expect(make instanceof Function ? Promise.resolve(make()).then(open) : null).rejects.toThrow(message);
  });

  it.each<[string, () => Promise<string> | string, string | RegExp]>([
    ['a missing tensor', () => withTensors((all) => all.filter(({ name }) => !name.endsWith('h.1.ln_2.bias'))), 'missing: h.1.ln_2.bias'],
    ['one too many', () => withTensors((all) => [...all, { ...all[0]!, name: 'score.weight' }]), 'unexpected: score.weight'],
    ['a parameter twice', () => withTensors((all) => [...all, { ...all.find(({ name }) => name === 'transformer.wpe.weight')!, name: 'wpe.weight' }]), /holds both (transformer\.)?wpe\.weight and (transformer\.)?wpe\.weight/],
    ['another shape', () => withTensors(replacing('h.0.mlp.c_fc.bias', (tensor) => ({ ...tensor, shape: [4, 16] }))), 'h.0.mlp.c_fc.bias has the shape [4, 16], not [64]'],
    ['matrices of linear layers', () => withTensors(replacing('h.0.mlp.c_fc.weight', (tensor) => ({ ...tensor, shape: [64, 16] }))), 'its matrices are those of linear layers'],
    ['double precision', () => withTensors(replacing('wpe.weight', (tensor) => ({ ...tensor, dtype: 'float64', data: Float64Array.from(tensor.data) }))), 'wpe.weight is float64, not float32'],
    ['weights that are not finite', () => withTensors(replacing('wpe.weight', (tensor) => ({ ...tensor, data: Float32Array.from(tensor.data).fill(Number.NaN, 3, 4) }))), 'wpe.weight is NaN at element 3'],
    ['a projection that is not tied', () => withTensors((all) => [...all, { ...all.find(({ name }) => name === 'transformer.wte.weight')!, name: 'lm_head.weight', data: new Float32Array(269 * 16) }]), 'lm_head.weight differs from the token embedding'],
    ['eight-bit floats', async () => {
      const path = await withTensors(replacing('wpe.weight', (tensor) => ({ ...tensor, dtype: 'float16' })));
      const file = join(path, 'model.safetensors');
      const bytes = readFileSync(file);
      const length = Number(bytes.readBigUInt64LE());
      const header = bytes.toString('latin1', 8, 8 + length).trimEnd().replace('"F16"', '"F8_E4M3"');
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(BigInt(header.length));
      writeFileSync(file, Buffer.concat([size, Buffer.from(header, 'latin1'), bytes.subarray(8 + length)]));
      return path;
    }, /tensor transformer.wpe.weight of .* has the dtype "F8_E4M3", which is not supported/],
    ['a shard that is cut short', () => {
      const path = copyOf('shards');
      truncateSync(join(path, 'model-00002-of-00002.safetensors'), 5000);
      return path;
    }, 'is truncated'],
    ['an empty file', () => {
      const path = copyOf('usual');
      truncateSync(join(path, 'model.safetensors'), 0);
      return path;
    }, 'it has 0 bytes'],
    ['a shard without what the index says', () => withIndex((map) => ({ ...map, 'transformer.ln_f.extra': 'model-00001-of-00002.safetensors' })), 'lacks transformer.ln_f.extra'],
    ['a shard with more than the index says', () => withIndex((map) => Object.fromEntries(Object.entries(map).filter(([tensor]) => tensor !== 'transformer.wpe.weight'))), 'holds transformer.wpe.weight, which model.safetensors.index.json does not name'],
  ])('%s', async (_, make, message) => {
    await expect(tensorsOf(await make())).rejects.toThrow(message);
  });

  it('what float16 cannot hold, and routers that the model in Python has not, and leaves nothing', async () => {
    const weights = await open(golden('xmoe-topk'));
    const tensors = await weights.tensors();
    const write = (changes: Partial<PublishedContents>): Promise<void> => writeHuggingFaceFolder(join(folder, 'never'), { ...weights, tensors, card: '', dtype: 'float32', ...changes });
    const large = tensors.map((tensor) => (tensor.name === 'h.1.moe.experts.b2' ? { ...tensor, data: Float32Array.from(tensor.data).fill(-70_000, 4, 5) } : tensor));
    await expect(write({ tensors: large, dtype: 'float16' })).rejects.toThrow('h.1.moe.experts.b2 is -70000 at element 4, and float16 ends at 65504');
    await expect(write({ moe: { ...weights.moe!, router: { type: 'hash' } } })).rejects.toThrow('the hash router cannot be exported');
    await expect(write({ moe: { ...weights.moe!, sharedHidden: 8 } })).rejects.toThrow('a shared expert (moe.sharedHidden 8) cannot be exported');
    expect(readdirSync(folder)).not.toContain('never');
  });

  it('but not a tied projection that is there, or that alone is', async () => {
    const embedding = (all: StoredTensor[]): StoredTensor => all.find(({ name }) => name === 'transformer.wte.weight')!;
    const both = await withTensors((all) => [...all, { ...embedding(all), name: 'lm_head.weight' }]);
    const one = await withTensors((all) => [...all.filter((tensor) => tensor !== embedding(all)), { ...embedding(all), name: 'lm_head.weight' }]);
    const usual = await tensorsOf(golden('usual')) as StoredTensor[];
    for (const path of [both, one]) {
      const sorted = (tensors: StoredTensor[]): StoredTensor[] => tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      expect(sorted(await tensorsOf(path) as StoredTensor[])).toEqual(sorted(usual));
    }
  });
});
