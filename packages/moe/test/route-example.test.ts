// examples/route.mjs as a user runs it: a process with standard input, output, error and an exit code.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { goldenHash, goldenThreshold } from '../../testing/src/golden/index.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

function runExample(input: string): Promise<{ code: number | null; out: string; error: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@xmoe/source', '--import', 'tsx', 'examples/route.mjs'], { cwd: root });
    let [out, error] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (error += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, error }));
    child.stdin.end(input);
  });
}

describe('examples/route.mjs', () => {
  it('prints the golden routing of the threshold router', async () => {
    const { logits, cases } = goldenThreshold[1];
    const golden = cases.find(({ threshold, gamma }) => threshold === 0.9 && gamma === 2)!;
    const request = { logits, router: 'threshold', threshold: 0.9, capacityFactor: 2, minCapacity: golden.min_capacity };
    const { code, out, error } = await runExample(JSON.stringify(request));
    expect([code, error]).toEqual([0, '']);
    const result = JSON.parse(out) as Record<string, number[][]>;
    expect(Object.keys(result)).toEqual(['capacity', 'wantedPerToken', 'kept', 'dropped', 'balanceLoss']);
    expect(result.capacity).toBe(golden.capacity);
    expect(result.wantedPerToken).toEqual(golden.wanted_per_token);
    expect(result.kept.map((claim) => claim.slice(0, 3))).toEqual(golden.kept.map((claim) => claim.slice(0, 3)));
    expect(result.kept.length + result.dropped.length).toBe(golden.wanted_pairs.length);
    expect(result.balanceLoss).toBeCloseTo(golden.l_aux, 6);
  });

  it('routes by hash without logits, and honours the mask', async () => {
    const { map, token_ids: tokenIds, N } = goldenHash[0];
    const mask = tokenIds.map((_, token) => token !== 3);
    const { code, out } = await runExample(JSON.stringify({ router: 'hash', tokenIds, map, mask, capacityFactor: N }));
    const result = JSON.parse(out) as { wantedPerToken: number[]; kept: number[][]; balanceLoss: number };
    expect(code).toBe(0);
    expect(result.wantedPerToken).toEqual(mask.map(Number));
    expect(result.kept.map(([token, expert]) => [token, expert])).toEqual(
      tokenIds.map((id, token) => [token, map[id]]).filter(([token]) => token !== 3),
    );
    expect(result.balanceLoss).toBe(0);
  });

  const bad: [string, string, RegExp][] = [
    ['NaN, which JSON cannot carry', '{"router": "switch", "logits": [[1, NaN]]}', /^invalid JSON: /],
    ['null for NaN', '{"router": "switch", "logits": [[1, 2], [1, null]]}', /^route: logits\[1\]\[1\] is null/],
    ['a number beyond double', '{"router": "switch", "logits": [[1, 1e999]]}', /^route: logits\[0\]\[1\] is Infinity/],
    ['ragged rows', '{"router": "switch", "logits": [[1, 2], [1]]}', /^route: rows are ragged/],
    ['t as text', '{"router": "threshold", "threshold": "0.9", "logits": [[1]]}', /^route: threshold is "0.9"/],
    ['k > N', '{"router": "topk", "k": 3, "logits": [[1, 2]]}', /^route: k is 3, not an integer from 1 to 2/],
    ['a token id outside the map', '{"router": "hash", "tokenIds": [0, 2], "map": [0, 0]}', /^route: tokenIds\[1\] is 2, outside/],
    ['an unknown key', '{"router": "switch", "logits": [[1]], "capacityFacto": 2}', /did you mean "capacityFactor"\?/],
    ['an unknown router', '{"router": "swich", "logits": [[1]]}', /did you mean "switch"\?/],
    ['a bad capacity factor', '{"router": "switch", "logits": [[1]], "capacityFactor": null}', /capacityFactor is null/],
    ['broken JSON over lines', '{\n"router":\n', /^invalid JSON: /],
    ['nothing', '', /^invalid JSON: /],
  ];
  it.concurrent.each(bad)('refuses %s', async (_, input, message) => {
    const { code, out, error } = await runExample(input);
    expect([code, out]).toEqual([2, '']);
    expect(error).toMatch(message);
    expect(error).toMatch(/^[^\n]+\n$/);
  });
});
