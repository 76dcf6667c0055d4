// Many clients that ask a server over and over: requests per second, and how long an answer takes. Starts no server.
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadOptions {
  readonly url: string;
  /** The body of the request with this number. */
  readonly body: (number: number) => object;
  /** Clients that ask at once, each again as soon as it is answered. */
  readonly clients: number;
  readonly requests: number;
  /** Every so many requests one goes away before its answer. Default: none does. */
  readonly leaveEvery?: number;
}

export interface LoadResult {
  /** Answers with status 200 per second. */
  readonly perSecond: number;
  /** Milliseconds to the whole answer that half, and 99 of 100, do not exceed. */
  readonly p50: number;
  readonly p99: number;
  readonly answered: number;
  /** Requests that the client broke off, and those that got no answer or another status. */
  readonly left: number;
  readonly failed: number;
}

/** Milliseconds until a client that leaves has gone. */
const PATIENCE = 5;

export async function measureLoad({ url, body, clients, requests, leaveEvery = Infinity }: LoadOptions): Promise<LoadResult> {
  const times: number[] = [];
  let [next, left, failed] = [0, 0, 0];
  const client = async (): Promise<void> => {
    for (let number = ++next; number <= requests; number = ++next) {
      const leaves = number % leaveEvery === 0;
      const leaving = new AbortController();
      if (leaves) void sleep(PATIENCE).then(() => leaving.abort());
      const started = performance.now();
      try {
        const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body(number)), signal: leaving.signal });
        await answer.arrayBuffer();
        if (answer.ok) times.push(performance.now() - started);
        else failed++;
      } catch {
        if (leaves) left++;
        else failed++;
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  return { perSecond: times.length / seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99), answered: times.length, left, failed };
}

/** The least of the sorted values that the share `q` of them does not exceed; NaN of none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}
