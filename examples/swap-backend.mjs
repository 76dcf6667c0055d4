// The same computation on another backend: nothing changes but what is opened. Names on the command line, or XMOE_BACKEND, or the fastest here:
//   node examples/swap-backend.mjs cpu:plain cpu:wasm
import { openBackend } from '@xmoe/backends';
import { createEngine, hostNormal, randomKey, softmax } from '@xmoe/core';

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : [undefined]) {
  const { backend, reason } = await openBackend(name);
  const engine = createEngine(backend);
  const logits = engine.tensor(hostNormal(randomKey(1), 8), [2, 4]);
  const probabilities = await softmax(logits).data();
  console.log(`${reason}\n  ${Array.from(probabilities, (p) => p.toFixed(4)).join(' ')}`);
  engine.dispose();
}
