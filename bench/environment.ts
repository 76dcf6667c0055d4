// Where and when it was measured, and what makes the figures doubtful. No measurement.
import { availableParallelism, arch, cpus, loadavg, platform, totalmem } from 'node:os';

export interface Environment {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly platform: string;
  /** Running processes over the last minute, before the first measurement. */
  readonly load: number;
  readonly backends: readonly string[];
  /** Other libraries with their versions and threads. */
  readonly peers: readonly string[];
  /** Backends and peers that do not work here, with the reason. */
  readonly absent: readonly string[];
  readonly warnings: readonly string[];
}

export interface BackendNames {
  readonly backends: readonly string[];
  readonly peers: readonly string[];
  readonly absent: readonly string[];
}

/** Looks at the machine now. `quick` results are marked. */
export function describeEnvironment({ backends, peers, absent }: BackendNames, options: { quick: boolean; repeat: number }): Environment {
  const cores = availableParallelism();
  const [load] = loadavg();
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC',
    cpu: cpus()[0]?.model.trim() || 'unknown CPU',
    cores,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${platform()} ${arch()}`,
    load,
    backends,
    peers,
    absent,
    warnings: warningsFor(load, cores, options),
  };
}

function warningsFor(load: number, cores: number, { quick, repeat }: { quick: boolean; repeat: number }): string[] {
  const warnings: string[] = [];
  if (quick) warnings.push('--quick: tiny shapes, the figures mean nothing');
  else if (repeat < 5) warnings.push(`only ${repeat} rounds: report figures from 5 or more`);
  if (load > cores / 4) warnings.push(`the machine is busy (load ${load.toFixed(2)} on ${cores} cores): trust the ratios of the shortest times at most`);
  if (!('gc' in globalThis)) warnings.push('garbage is collected inside the clock: start it with pnpm bench, or with node --expose-gc');
  if (import.meta.resolve('@xmoe/core').includes('/src/')) warnings.push('the packages run from their sources through a TypeScript loader, which is slower: use pnpm bench');
  return warnings;
}

/** The lines above the tables. */
export function environmentMarkdown(environment: Environment): string {
  const { date, cpu, cores, memoryGiB, node, platform: system, load, backends, peers, absent, warnings } = environment;
  return [
    '# xmoe benchmarks',
    '',
    `- ${date}`,
    `- ${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${memoryGiB} GiB, ${system}, Node ${node}, load ${load.toFixed(2)} at the start`,
    ...backends.map((backend) => `- backend ${backend}`),
    ...peers.map((peer) => `- peer ${peer}`),
    ...absent.map((reason) => `- absent: ${reason}`),
    ...warnings.map((warning) => `- **Warning:** ${warning}`),
    '',
  ].join('\n');
}
