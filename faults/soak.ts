// A long run of a tiny model: memory, open files and time per step stay flat (F43). Linux only, from /proc.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastStep } from '@xmoe/testing/programs';
import { createTally, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun } from './small-run.js';

const STEPS = 2000;
/** Growth of the resident set over the last two thirds, as a share, without its two largest steps. */
const MOST_GROWTH = 0.05;
/** Into so many parts these are cut. */
const PARTS = 12;

interface Reading {
  readonly step: number;
  readonly bytes: number;
  readonly files: number;
}

export async function soak({ folder, launch, share }: SectionOptions): Promise<FaultResult[]> {
  const tally = createTally('F43', `${Math.round(STEPS * share)} steps: resident memory and open files stay flat`);
  if (!existsSync('/proc/self/status')) {
    tally.note('not done: this system has no /proc');
    return [tally.result()];
  }
  const steps = Math.max(60, Math.round(STEPS * share));
  const small = await createSmallRun('xmoe-lm', launch, folder, { steps, checkpointEvery: 20, evaluateEvery: 100 });
  const out = join(folder, 'soak');
  const { child, ended } = small.start(out);
  const readings: Reading[] = [];
  while (child.exitCode === null) {
    const step = lastStep(out);
    if (step > (readings.at(-1)?.step ?? 0)) readings.push({ step, ...usageOf(child.pid!) });
    await sleep(50);
  }
  const { code } = await ended;
  const last = readings.filter(({ bytes, step }) => bytes > 0 && step > (2 * steps) / 3);
  const middle = readings.filter(({ bytes, step }) => bytes > 0 && step > steps / 3 && step <= (2 * steps) / 3);
  const { growth, jump } = growthOf([...middle, ...last].map(({ bytes }) => bytes));
  // The least: half of the readings or more may fall into saves, which have a file open, and what leaks is in all.
  const files = leastFiles(last) - leastFiles(middle);
  tally.add('the run', [
    ...(code === 0 ? [] : [`ended with ${code}`]),
    ...(growth <= MOST_GROWTH ? [] : [`memory grew by ${(growth * 100).toFixed(1)} %, beside a jump of ${(jump * 100).toFixed(1)} %`]),
    ...(files <= 0 ? [] : [`${files} more open files`]),
    ...small.differences(out),
  ]);
  tally.note(`memory ${(growth * 100).toFixed(2)} % over the last two thirds beside a jump of ${(jump * 100).toFixed(2)} %, ${leastFiles(last)} open files`);
  return [tally.result()];
}

/**
 * By how much readings grow, as a share of the first, without the two largest steps between parts of them, and those: Node's heap takes some 40 MB more once, when its
 * first large collection comes, which may be at any step and in the middle of a part. What leaks grows from part to part.
 */
export function growthOf(bytes: readonly number[]): { readonly growth: number; readonly jump: number } {
  const size = Math.ceil(bytes.length / PARTS);
  const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, part) => median(bytes.slice(part * size, (part + 1) * size)));
  const [first = 0, second = 0] = parts.slice(1).map((value, index) => Math.max(0, value - parts[index]!)).sort((a, b) => b - a);
  const jump = first + second;
  return { growth: (parts.at(-1)! - parts[0]! - jump) / parts[0]!, jump: jump / parts[0]! };
}

function usageOf(pid: number): { bytes: number; files: number } {
  try {
    const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    return { bytes: kilobytes * 1024, files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return { bytes: 0, files: 0 }; // it has ended
  }
}

const leastFiles = (readings: readonly Reading[]): number => Math.min(...readings.map(({ files }) => files));

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
