// The program of a product for whichever kind of tile was chosen.
import type { ProgramSpec } from '../../runtime/program.js';
import { matrixTileProgram } from './matrix-tile-wgsl.js';
import type { Product } from './product.js';
import type { Tile } from './tile-config.js';
import { plainTileProgram } from './plain-tile-wgsl.js';

export function tileProgram(product: Product, tile: Tile): ProgramSpec {
  return tile.kind === 'matrix' ? matrixTileProgram(product, tile) : plainTileProgram(product, tile);
}
