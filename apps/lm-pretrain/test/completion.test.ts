// Completion as shells do it: the printed script in a real bash, and in zsh and fish where they are.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { mustRun, temporaryFolder } from './support.js';

const path = temporaryFolder();
const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;
const scripts: Record<string, string> = {};
beforeAll(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) writeFileSync((scripts[shell] = path(`script.${shell}`)), (await mustRun('completion', shell)).output);
  for (const run of ['runs/small one', 'runs/other']) {
    mkdirSync(join(path(run), 'checkpoints'), { recursive: true });
  }
  mkdirSync(path('empty'));
  writeFileSync(path('notes.txt'), '');
}, 60_000);
const shell = (name: string, args: string[]): string[] => execFileSync(name, args, { cwd: path('.'), encoding: 'utf8', env: { ...process.env, HOME: path('.'), TERM: 'dumb' } }).split('\n').filter(Boolean);

/** What a real bash would offer behind `line`. */
const inBash = (line: string): string[] => shell('bash', ['--norc', '-c', `source "$0"; COMP_LINE="$1" COMP_POINT=\${#1}; _xmoe_lm; printf '%s\\n' "\${COMPREPLY[@]}"`, scripts.bash!, line]);

/** By line, some of what every shell offers, and what none does. */
const LINES: readonly [line: string, offered: readonly string[], not: readonly string[]][] = [
  ['xmoe-lm ev', ['eval'], ['train']],
  ['xmoe-lm eval --ba', ['--backend', '--batch-size'], ['--split']],
  ['xmoe-lm eval --split ', ['train', 'validation', 'test'], ['eval']],
  ['xmoe-lm train --preset ti', ['tiny'], ['small']],
  ['xmoe-lm train --preset tiny --router thr', ['threshold'], ['topk']],
  ['xmoe-lm train --learning-r', ['--learning-rate'], []],
  ['xmoe-lm reproduce tab', ['table1', 'table2'], []],
];

describe('bash', () => {
  it.each(LINES)('%s', (line, offered, not) => {
    const found = inBash(line);
    expect(found).toEqual(expect.arrayContaining([...offered]));
    for (const name of not) expect(found).not.toContain(name);
  });

  it('offers runs alone where there are some, with names of several words, and files and folders elsewhere', () => {
    expect(inBash('xmoe-lm eval ru')).toEqual(['runs']);
    expect(inBash('xmoe-lm sample --seed 3 runs/').sort()).toEqual(['runs/other', 'runs/small one']);
    expect(inBash('xmoe-lm train --data no')).toEqual(['notes.txt']);
    expect(inBash('xmoe-lm train --data notes.txt no')).toEqual(['notes.txt']); // one more of the same
    expect(inBash('xmoe-lm train --out e')).toEqual(['empty']);
  });

  it('goes on behind a colon, which bash takes for the end of a word, and behind an equals sign', () => {
    expect(inBash('xmoe-lm eval --backend tfjs:w')).toEqual(['wasm']);
    expect(inBash('xmoe-lm eval --backend=webg')).toEqual(['webgpu']);
  });

  it('offers nothing where nobody can know, and starts no node', () => {
    expect(inBash('xmoe-lm sample runs/other --prompt ')).toEqual([]);
    expect(inBash('xmoe-lm no-such-command ')).toEqual([]);
    const [offered] = execFileSync('bash', ['--norc', '-c', 'source "$0"; PATH=; COMP_LINE="xmoe-lm ev" COMP_POINT=10; _xmoe_lm; echo "$COMPREPLY"', scripts.bash!], { encoding: 'utf8' }).split('\n');
    expect(offered).toBe('eval');
  });
});

describe.skipIf(!has('zsh'))('zsh (skipped where there is none)', () => {
  /** `compadd` and its like print what they are given, cut to the word as zsh would. */
  const inZsh = (line: string): string[] => {
    const words = line.split(' ');
    const stand = `compdef() { :; }; compset() { :; }
      compadd() { local -a given; while [[ "$1" == -* && "$1" != -- ]]; do [[ "$1" == -S ]] && shift; shift; done; [[ "$1" == -- ]] && shift; print -l -- \${(M)@:#\${PREFIX}*}; }
      _describe() { print -l -- \${(M)\${(@P)2}:#\${PREFIX}*}; }
      _files() { print -l -- \${~PREFIX}*(N); }`;
    return shell('zsh', ['-f', '-c', `${stand}; source ${scripts.zsh!}; words=("$@"); CURRENT=$#words; PREFIX="\${words[CURRENT]}"; _xmoe_lm`, 'zsh', ...words]).map((text) => text.split(':')[0]!); // without descriptions
  };

  it.each(LINES)('%s', (line, offered, not) => {
    const found = inZsh(line);
    expect(found).toEqual(expect.arrayContaining([...offered]));
    for (const name of not) expect(found).not.toContain(name);
  });

  it('offers runs', () => expect(inZsh('xmoe-lm eval runs/').sort()).toEqual(['runs/other', 'runs/small one']));
});

describe.skipIf(!has('fish'))('fish (skipped where there is none)', () => {
  const inFish = (line: string): string[] => shell('fish', ['--no-config', '-c', `source ${scripts.fish!}; complete -C ${JSON.stringify(line)}`]).map((text) => text.split('\t')[0]!);

  it.each(LINES)('%s', (line, offered, not) => {
    const found = inFish(line);
    expect(found).toEqual(expect.arrayContaining([...offered]));
    for (const name of not) expect(found).not.toContain(name);
  });

  it('offers runs', () => expect(inFish('xmoe-lm eval runs/').map((name) => name.replace(/\/$/, '')).sort()).toEqual(['runs/other', 'runs/small one']));
});
