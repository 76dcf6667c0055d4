// What a mean cost does while a gate sharpens, when the state that meets a target moves on in every update.
import { afterAll, expect, it } from 'vitest';
import { multiply, randomKey, randomNormal, sum } from '@xmoe/core';
import { initialState } from '@xmoe/routers';
import { createRouter, type RouterConfig } from '@xmoe/routers/by-name';
import { cpuEngine } from './routing-input.js';

const engine = cpuEngine();
afterAll(() => engine.dispose());

const [EXPERTS, TOKENS, UPDATES, TARGET] = [16, 256, 60, 3];

/** Experts per token over the target, over the updates after the first `from`, with logits that grow from 0.1 to 3. */
async function costOverTarget(config: RouterConfig, from: number): Promise<number> {
  const router = createRouter(config);
  const columns = router.gateOutputs?.(EXPERTS) ?? EXPERTS;
  let state = initialState(engine, router, EXPERTS)!;
  let claims = 0;
  for (let update = 0; update < UPDATES; update++) {
    const logits = multiply(randomNormal(engine.key(randomKey(update)), [TOKENS, columns]), 0.1 + (2.9 * update) / UPDATES);
    const { counts, statistics } = router.route({ engine, logits, tokens: TOKENS, experts: EXPERTS, training: true, state });
    if (update >= from) claims += await sum(counts).item();
    state = router.state!.next(state, statistics!);
  }
  return claims / (UPDATES - from) / TOKENS / TARGET;
}

it.each<RouterConfig>([
  { type: 'controlled-threshold', target: TARGET, rule: 'quantile' },
  { type: 'null-experts', k: 6, target: TARGET, nullExperts: 4 },
])('$type holds it within a percent, from the fourth update on', async (config) => {
  expect(Math.abs((await costOverTarget(config, 3)) - 1)).toBeLessThan(0.01);
});
