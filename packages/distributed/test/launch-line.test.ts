// What a launcher is called with, which launcher is found, and what is refused. Launchers that run ranks are tested with the programs.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { findLauncher, launchLine, runLauncher, type LaunchRequest } from '../src/node.js';
import { isRunning } from './is-running.js';

const request: LaunchRequest = { ranks: 4, command: ['node', 'cli.js', 'train'], cores: 8, isRoot: false, env: { XMOE_THREADS: '2', TERM: 'xterm' } };
const openMpi = { family: 'Open MPI', file: 'mpirun' } as const;
const mpich = { family: 'MPICH', file: 'mpirun' } as const;

describe('launchLine', () => {
  it.each([
    ['Open MPI, which is to bind nothing', openMpi, {}, ['-n', '4', '--bind-to', 'none']],
    ['more ranks than cores, as root', openMpi, { cores: 2, isRoot: true }, ['-n', '4', '--bind-to', 'none', '--allow-run-as-root', '--oversubscribe']],
    ['hosts, with our variables', openMpi, { hosts: 'a:3,b.example', cores: 2 }, ['-n', '4', '--bind-to', 'none', '-H', 'a:3,b.example:1', '-x', 'XMOE_THREADS']],
    ['MPICH', mpich, { cores: 1, isRoot: true }, ['-n', '4']],
    ['hosts of MPICH', mpich, { hosts: 'a:2,b:2' }, ['-n', '4', '-hosts', 'a:2,b:2']],
  ] as const)('%s', (_, launcher, changes, expected) => {
    expect(launchLine(launcher, { ...request, ...changes })).toEqual([...expected, ...request.command]);
  });

  it.each([
    ['', /"" is no host/], ['a:0,b:4', /"a:0" is no host/], ['a b:4', /"a b:4" is no host/], ['-x:4', /"-x:4" is no host/], ['a:4,', /"" is no host/], ['a:1,b:2', /places for 3 ranks, not for 4/],
  ])('refuses the hosts %j', (hosts, message) => {
    expect(() => launchLine(openMpi, { ...request, hosts })).toThrow(message);
  });
});

describe('launchers on the PATH', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-launchers-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'mpirun');
  const writeLauncher = (script: string): void => {
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  };
  const env = { PATH: folder };

  it('mpirun is what it says that it is', () => {
    writeLauncher('echo "HYDRA build details:"');
    expect(findLauncher(undefined, env)).toEqual({ family: 'MPICH', file });
    expect(() => findLauncher('Open MPI', env)).toThrow(/no launcher of Open MPI on the PATH/);
    writeLauncher('echo "mpirun (Open MPI) 5.0.7"');
    expect(findLauncher(undefined, env)).toEqual({ family: 'Open MPI', file });
    writeLauncher('echo "something else"');
    expect(() => findLauncher(undefined, env)).toThrow(/no launcher of Open MPI or MPICH on the PATH/);
  });

  it('its exit code is ours; where a signal asked us to stop, the launcher gets the one that it hands on, and the code is that of ours', async () => {
    writeLauncher('exit 7');
    expect(await runLauncher({ family: 'MPICH', file }, [])).toBe(7);
    const heard = join(folder, 'heard');
    writeLauncher(`trap 'echo USR2 > ${heard}; exit 0' USR2\ntouch ${folder}/up\nwhile true; do sleep 0.05; done`);
    const ended = runLauncher({ family: 'Open MPI', file }, []);
    await vi.waitUntil(() => existsSync(join(folder, 'up')), { timeout: 60_000 });
    process.kill(process.pid, 'SIGTERM');
    expect(await ended).toBe(143);
    expect(existsSync(heard)).toBe(true);
  });

  it.skipIf(!existsSync('/proc/self/stat')).each([['is asked to stop', '; exit 0', 60_000], ['is killed where it does not', '', 300]] as const)('of a process that SIGKILL ended it %s', async (_, ending, patience) => {
    const [pid, heard] = [join(folder, `pid${ending.length}`), join(folder, `heard${ending.length}`)];
    writeLauncher(`trap 'echo TERM > ${heard}${ending}' TERM\necho $$ > ${pid}.part && mv ${pid}.part ${pid}\nwhile true; do sleep 0.05; done`);
    const program = `
      import { spawn } from 'node:child_process';
      import { guardLauncher } from ${JSON.stringify(new URL('../src/launch/guard.ts', import.meta.url).href)};
      const child = spawn(${JSON.stringify(file)}, [], { stdio: 'ignore', detached: true });
      guardLauncher(child.pid, 'SIGTERM', ${patience});
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--import', createRequire(import.meta.url).resolve('tsx'), '--input-type=module', '--eval', program], { stdio: 'inherit' });
    await vi.waitUntil(() => existsSync(pid), { timeout: 60_000 });
    const launcher = Number(readFileSync(pid, 'utf8'));
    expect(isRunning(launcher)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitUntil(() => !isRunning(launcher), { timeout: 50_000 });
    if (ending !== '') expect(existsSync(heard)).toBe(true);
  });
});
