// The probe of re-vectorised kernels: children that crash, hang or say nothing sensible; answers that are remembered, damaged or cannot be
// written; and, where this Node can, the real one.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askChild } from '../src/engine/child.js';
import { askOnce, SLOW } from '../src/engine/probe.js';
import { whyNoJoining } from '../src/engine/revectorize.js';
import { WASM_FILES } from '../src/wasm-files.js';

let folder = '';
const cache = (): string => join(folder, 'cache');
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xmoe-probe-'));
  vi.stubEnv('XMOE_CACHE_DIR', cache());
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

const DEADLINE = 60_000;

/** The arguments that start `code` as a probe, which leaves a line in a file first. */
function probe(code: string): string[] {
  const file = join(folder, 'probe.mjs');
  writeFileSync(file, `import { appendFileSync } from 'node:fs';\nappendFileSync(${JSON.stringify(join(folder, 'starts'))}, '.');\n${code}\n`);
  return [file];
}

const starts = (): number => (existsSync(join(folder, 'starts')) ? readFileSync(join(folder, 'starts')).length : 0);
const answers = (refusal: string | null): string => `process.stdout.write(${JSON.stringify(JSON.stringify({ refusal }))})`;

describe('an answer', () => {
  it.each([null, 'the kernels computed wrong numbers'])('%s is remembered for its question', async (refusal) => {
    const args = probe(answers(refusal));
    for (let i = 0; i < 3; i++) expect(await askOnce('a question', args, DEADLINE)).toBe(refusal);
    expect(starts()).toBe(1);
    await askOnce('another question', args, DEADLINE);
    expect(starts()).toBe(2);
    expect(readdirSync(cache())).toHaveLength(2);
  });

  it('that is only about speed is asked for again after a day', async () => {
    const args = probe(answers('not faster here: 1.01 times'));
    expect(await askOnce('a question', args, DEADLINE)).toContain('not faster');
    expect(await askOnce('a question', args, DEADLINE)).toContain('not faster');
    expect(starts()).toBe(1);
    vi.useFakeTimers({ now: Date.now() + 25 * 60 * 60 * 1000, toFake: ['Date'] });
    expect(await askOnce('a question', args, DEADLINE)).toContain('not faster');
    expect(starts()).toBe(2);
  });

  it('is found out again where the file is damaged, of another question, or not a file', async () => {
    const args = probe(answers(null));
    await askOnce('a question', args, DEADLINE);
    const [name] = readdirSync(cache());
    const path = join(cache(), name);
    const whole = readFileSync(path, 'utf8');
    const contents = ['', whole.slice(0, 20), whole.replace('a question', 'b question'), whole.replace(/"refusal": null/, '"refusal": 7'), whole.replace(/"until": null/, '"until": "later"'), 'null', '[]'];
    for (const [index, text] of contents.entries()) {
      writeFileSync(path, text);
      expect(await askOnce('a question', args, DEADLINE), text).toBeNull();
      expect(starts(), text).toBe(2 + index);
      expect(readFileSync(path, 'utf8')).toBe(whole);
    }
    rmSync(path);
    mkdirSync(path);
    expect(await askOnce('a question', args, DEADLINE)).toBeNull();
    expect(readdirSync(cache())).toEqual([name]);
  });

  it('is given where it cannot be remembered', async () => {
    writeFileSync(join(folder, 'file'), '');
    vi.stubEnv('XMOE_CACHE_DIR', join(folder, 'file', 'below'));
    const args = probe(answers(null));
    expect(await askOnce('a question', args, DEADLINE)).toBeNull();
    expect(await askOnce('a question', args, DEADLINE)).toBeNull();
    expect(starts()).toBe(2);
  });

  it('is the same for several that ask at once, and leaves one whole file', async () => {
    const args = probe(answers('the kernels computed wrong numbers'));
    const found = await Promise.all(Array.from({ length: 5 }, () => askOnce('a question', args, DEADLINE)));
    expect(new Set(found)).toEqual(new Set(['the kernels computed wrong numbers']));
    const names = readdirSync(cache());
    expect(names).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(cache(), names[0]), 'utf8'))).toEqual({ question: 'a question', refusal: 'the kernels computed wrong numbers', until: null });
  });
});

describe('a probe', () => {
  it('that crashes is a refusal for good, in the words of the crash', async () => {
    const args = probe(`process.stderr.write('\\n#\\n# Fatal error in , line 0\\n# Check failed: something != something.\\n#\\n'); process.abort();`);
    const refusal = 'the probe failed: it ended with SIGABRT: Check failed: something != something.';
    if (process.platform === 'win32') return;
    expect(await askOnce('a question', args, DEADLINE)).toBe(refusal);
    expect(await askOnce('a question', args, DEADLINE)).toBe(refusal);
    expect(starts()).toBe(1);
    expect(JSON.parse(readFileSync(join(cache(), readdirSync(cache())[0]), 'utf8'))).toMatchObject({ until: null });
  });

  it.each([
    ['hangs', 'for (;;);', 1500, 'it took longer than 1.5 s'],
    ['throws', `throw new Error('no memory')`, DEADLINE, 'it ended with exit status 1'],
  ])('that %s is a refusal for a day', async (_what, code, deadline, problem) => {
    const args = probe(code);
    expect(await askOnce('a question', args, deadline)).toContain(`the probe failed: ${problem}`);
    const { until } = JSON.parse(readFileSync(join(cache(), readdirSync(cache())[0]), 'utf8')) as { until: number };
    expect(until).toBeGreaterThan(Date.now());
  });

  it('that someone ends, or that cannot be started, is a refusal of the moment', async () => {
    const args = probe(`process.kill(process.pid, 'SIGKILL'); setInterval(() => 0, 1000);`);
    if (process.platform !== 'win32') expect(await askOnce('a question', args, DEADLINE)).toBe('the probe failed: it ended with SIGKILL');
    const program = process.execPath;
    process.execPath = join(folder, 'no such program');
    try {
      expect(await askOnce('a question', args, DEADLINE)).toBe('the probe failed: it could not be started: ENOENT');
    } finally {
      process.execPath = program;
    }
    expect(existsSync(cache())).toBe(false);
  });

  it.each(['', 'null', '{}', '{"refusal":7}', 'Debugger attached.'])('that prints %j is a refusal', async (text) => {
    expect(await askOnce('a question', probe(`process.stdout.write(${JSON.stringify(text)})`), DEADLINE)).toBe(`the probe printed ${JSON.stringify(text)}`);
  });

  it('does not get what NODE_OPTIONS would load', async () => {
    vi.stubEnv('NODE_OPTIONS', `--require=${join(folder, 'no such file.cjs')}`);
    expect(await askChild(probe(answers(null)), DEADLINE)).toMatchObject({ holds: 'always', output: '{"refusal":null}' });
  });
});

describe('this process', () => {
  const { node } = process.versions;
  const { execPath, arch } = process;
  afterEach(() => {
    Object.defineProperty(process.versions, 'node', { value: node, enumerable: true });
    Object.defineProperty(process, 'arch', { value: arch, enumerable: true });
    process.execPath = execPath;
    vi.resetModules();
  });

  it('starts no child where it is not Node itself', async () => {
    Object.defineProperty(process.versions, 'node', { value: '24.1.0', enumerable: true });
    Object.defineProperty(process, 'arch', { value: 'x64', enumerable: true });
    process.execPath = join(folder, 'my-app');
    vi.resetModules();
    const { whyNotRevectorized } = await import('../src/engine/probe.js');
    expect(await whyNotRevectorized()).toBe('a probe would need Node itself, and this is my-app');
  });

  it.runIf(whyNoJoining() === undefined)('has a probe that answers, and whose answer is remembered', async () => {
    vi.resetModules();
    const { whyNotRevectorized } = await import('../src/engine/probe.js');
    const answer = await whyNotRevectorized();
    const names = readdirSync(cache());
    expect(names).toHaveLength(1);
    const { question, refusal } = JSON.parse(readFileSync(join(cache(), names[0]), 'utf8')) as { question: string; refusal: string | null };
    expect(refusal ?? undefined).toBe(answer);
    expect(JSON.parse(question)).toMatchObject({ node: process.versions.node, v8: process.versions.v8, arch: 'x64' });
    // A processor without wide registers is no defect.
    if (process.env.XMOE_EXPECT_REVECTORIZED) expect(answer ?? SLOW).toContain(SLOW);
  });

  it('finds the program of its probe beside the kernels', () => {
    expect(existsSync(new URL('probe.mjs', WASM_FILES.revectorized))).toBe(true);
  });
});
