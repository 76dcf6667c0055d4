// The processes of this machine, as Linux tells of them: for what looks at the processes that a launcher started.
import { readFileSync, readdirSync } from 'node:fs';

/**
 * By process id: the parent, and the command line with "\0" after each argument, which is empty once a process has ended.
 * @returns {Map<number, { parent: number, line: string }>}
 */
export function runningProcesses() {
  return new Map(readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const [, parent] = /\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'));
      return [[Number(name), { parent: Number(parent), line: readFileSync(`/proc/${name}/cmdline`, 'latin1') }]];
    } catch {
      return []; // ended meanwhile
    }
  }));
}

/**
 * Those that `pid` started, and those that these did.
 * @param {number} pid
 */
export function processesBelow(pid) {
  const all = runningProcesses();
  const isBelow = (/** @type {number} */ at) => {
    const parent = all.get(at)?.parent;
    return parent !== undefined && (parent === pid || isBelow(parent));
  };
  return new Map([...all].filter(([at]) => isBelow(at)));
}
