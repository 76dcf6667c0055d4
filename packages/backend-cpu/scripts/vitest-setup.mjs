// Vitest calls this once before all tests: a fresh clone has no compiled kernels, an edited one has old ones.
import { buildWasm } from './build-wasm.mjs';

export async function setup() {
  await buildWasm();
}
