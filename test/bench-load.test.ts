// The clients of the load test, against a server that answers as it is told.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { measureLoad, quantile } from '../bench/load.js';

let most = 0;
let open = 0;
const server = createServer((request, response) => {
  most = Math.max(most, ++open);
  response.on('close', () => open--);
  let body = '';
  request.on('data', (data: Buffer) => (body += data.toString()));
  request.on('end', () => {
    const { number } = JSON.parse(body) as { number: number };
    if (number % 4 === 0) return; // those wait for ever
    response.writeHead(number % 5 === 0 ? 503 : 200).end('{}');
  });
});
afterAll(() => void server.close());

it('counts what is answered, refused and broken off, with no more clients than asked for', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const result = await measureLoad({ url: `http://127.0.0.1:${port}/`, body: (number) => ({ number }), clients: 6, requests: 40, leaveEvery: 4 });
  expect(result).toMatchObject({ answered: 24, failed: 6, left: 10 });
  expect(result.p99).toBeGreaterThanOrEqual(result.p50);
  expect(most).toBeLessThanOrEqual(6);
});

it('a quantile is a value that occurs', () => {
  const sorted = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([quantile(sorted, 0.5), quantile(sorted, 0.99), quantile([7], 0.99), quantile([], 0.5)]).toEqual([50, 99, 7, Number.NaN]);
});
