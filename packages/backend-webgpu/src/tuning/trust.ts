// Subgroup matrices that were found right on a device are believed the next time: the check compiles some hundred programs, which takes a
// driver seconds. What is remembered is what compiled and was right, with the driver's version and what the programs say; a refusal never is.
import { hashName } from '@xmoe/core';
import type { DeviceTraits } from '../device/traits.js';
import { matrixKeyGradCode, matrixQueryGradCode } from '../kernels/attention-matrix-backward-wgsl.js';
import { matrixAttentionCode } from '../kernels/attention-matrix-forward-wgsl.js';
import { attentionMatrices, matrixHeads, type AttentionMatrices } from '../kernels/attention-matrix-wgsl.js';
import { denseProduct } from '../kernels/matmul.js';
import { CHROMIUM_MATRICES } from '../kernels/subgroup-matrix-wgsl.js';
import { matrixTileProgram } from '../kernels/tiles/matrix-tile-wgsl.js';
import type { TileOperand } from '../kernels/tiles/operand-wgsl.js';
import { matrixTiles, tileName, type MatrixTile } from '../kernels/tiles/tile-config.js';
import { checkAttention } from './check-attention.js';
import { checkMatrices, type CheckedBackend } from './check-matrices.js';
import type { ChoiceStore } from './choice-store.js';

/** Where it is kept among the choices. */
export const TRUST_ENTRY = 'subgroup matrices';
const IN_ATTENTION = 'attention';

/** Lets products and attention use the subgroup matrices of the device as far as they are right. `store`: null where nothing is remembered. What to say about it. */
export async function trustMatrices(backend: CheckedBackend & { readonly traits: DeviceTraits }, store: ChoiceStore | null): Promise<readonly string[]> {
  const { traits, tilings } = backend;
  if (traits.subgroupMatrix.length === 0) return [];
  const tiles = matrixTiles(traits, CHROMIUM_MATRICES);
  const attention = attentionMatrices(traits, CHROMIUM_MATRICES);
  const print = fingerprint(tiles, attention, traits);
  const known = (await store?.load())?.[TRUST_ENTRY]?.split(' | ');
  if (known?.[0] === print) {
    tilings.matrices = tiles.filter((tile) => known.includes(tileName(tile)));
    if (known.includes(IN_ATTENTION)) tilings.attention = attention;
    return ['subgroup matrices', tilings.attention ? 'also in attention' : 'none in attention', 'checked before'];
  }
  const notes = [await checkMatrices(backend, tiles)];
  if (tilings.matrices.length > 0) {
    notes.push(await checkAttention(backend, attention));
    await store?.save({ [TRUST_ENTRY]: [print, ...tilings.matrices.map(tileName), ...(tilings.attention ? [IN_ATTENTION] : [])].join(' | ') });
  }
  return notes;
}

/** Of the programs of one product and one head: other tiles or other WGSL are checked anew. */
function fingerprint(tiles: readonly MatrixTile[], attention: AttentionMatrices | undefined, traits: DeviceTraits): string {
  const [a, b]: TileOperand[] = [{ buffer: 'a', element: 'f16', rows: 'outer', width: 8 }, { buffer: 'b', element: 'f16', rows: 'inner', width: 8 }];
  const products = tiles.map((tile) => matrixTileProgram(denseProduct(a!, b!, 'f16', true, false), tile).code);
  const heads = attention && matrixHeads(attention, 64, traits);
  const variant = { dtype: 'float16', masked: true, dropout: true, evenKeys: true } as const;
  const passes = heads ? [matrixAttentionCode(heads.forward, variant), matrixQueryGradCode(heads.queries, variant), matrixKeyGradCode(heads.keys, variant)] : [];
  return hashName([...products, ...passes].join('\n')).toString(16);
}
