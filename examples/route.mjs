// Routes tokens to experts: one JSON object in, one JSON object out.
//   echo '{"router": "threshold", "threshold": 0.9, "logits": [[2, 1, 0], [0, 0, 3]]}' | node examples/route.mjs
// Keys: logits [T][N], router (threshold | topk | switch | base | hash | uniform) and its options (threshold, k, map, …), training,
// tokenIds, mask (false or 0 = padding), capacityFactor (1), minCapacity. Exit code 2 and one line on standard error for bad input.
import { refuseUnknownKeys } from '@xmoe/core';
import { planDispatch } from '@xmoe/moe/reference';
import { ROUTE_KEYS, route } from '@xmoe/routers/by-name';

try {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  const request = JSON.parse(text);
  refuseUnknownKeys('route', request, [...ROUTE_KEYS, 'capacityFactor', 'minCapacity']);

  const { capacityFactor, minCapacity, ...problem } = request;
  const routing = route(problem); // what each token wants
  const plan = planDispatch(routing, { capacityFactor, minCapacity }); // what the experts have room for

  const { capacity, kept, dropped } = plan;
  const result = { capacity, wantedPerToken: [...routing.counts], kept, dropped, balanceLoss: routing.balanceLoss };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (error) {
  if (!error.isXMoEError && !(error instanceof SyntaxError)) throw error;
  const hint = error.hint ? ` (${error.hint})` : '';
  process.stderr.write(`${error.isXMoEError ? '' : 'invalid JSON: '}${error.message}${hint}`.replace(/\s+/g, ' ') + '\n');
  process.exitCode = 2;
}
