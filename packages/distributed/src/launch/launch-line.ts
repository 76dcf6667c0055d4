// The command line of a launcher: how many ranks, on which hosts, with the flags that each MPI needs so that ranks are not bound to one core. Starts nothing.
import { XMoEError } from '@xmoe/core';
import type { MpiFamily } from '../mpi/launcher.js';

/** A launcher that is there. */
export interface Launcher {
  readonly family: MpiFamily;
  readonly file: string;
}

export interface LaunchRequest {
  readonly ranks: number;
  /** `a:2,b:2`: names with places; a name alone has one. Absent: this machine. */
  readonly hosts?: string;
  /** What each rank runs. */
  readonly command: readonly string[];
  /** Of this machine. */
  readonly cores: number;
  readonly isRoot: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What goes along to other hosts. */
const PASSED = /^(XMOE_\w+|UCX_\w+|LD_LIBRARY_PATH)$/;

/** Arguments of `launcher`. @throws XMoEError `config` for hosts that are none, or too few places */
export function launchLine({ family }: Launcher, { ranks, hosts, command, cores, isRoot, env }: LaunchRequest): string[] {
  const places = hosts === undefined ? undefined : placesOf(hosts, ranks);
  if (family === 'MPICH') return ['-n', String(ranks), ...(places ? ['-hosts', places] : []), ...command];
  return [
    '-n', String(ranks),
    '--bind-to', 'none', // of two ranks it would bind each to one core, threads included
    ...(isRoot ? ['--allow-run-as-root'] : []),
    ...(places ? ['-H', places, ...Object.keys(env).filter((name) => PASSED.test(name)).flatMap((name) => ['-x', name])] : []),
    ...(places === undefined && ranks > cores ? ['--oversubscribe'] : []),
    ...command,
  ];
}

function placesOf(hosts: string, ranks: number): string {
  const all = hosts.split(',').map((text) => {
    const [, name, places = '1'] = /^([\w.-]+)(?::([1-9]\d*))?$/.exec(text) ?? [];
    if (name === undefined || name.startsWith('-')) throw new XMoEError('config', `${JSON.stringify(text)} is no host`, { op: 'launch', hint: '--hosts takes names with places, e.g. a:2,b:2' });
    return { name, places: Number(places) };
  });
  const sum = all.reduce((total, { places }) => total + places, 0);
  if (sum < ranks) throw new XMoEError('config', `${hosts} has places for ${sum} ranks, not for ${ranks}`, { op: 'launch', hint: 'a name alone has one place; write how many, e.g. a:2,b:2' });
  return all.map(({ name, places }) => `${name}:${places}`).join(',');
}
