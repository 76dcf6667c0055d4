// What a process shows and how it ends, whatever its libraries print and its readers do. Real processes.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { outliveTerminal } from '../../src/process/start-program.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));

function start(load: string, run: string): ChildProcessWithoutNullStreams {
  const script = `
    import { startProgram } from './packages/program/src/process/index.js';
    await startProgram(async () => { ${load} }, async (_, streams) => { ${run} });`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cwd: root });
}

async function ended(child: ChildProcessWithoutNullStreams) {
  const text = { output: '', messages: '' };
  child.stdout.on('data', (data: Buffer) => (text.output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text.messages += data.toString()));
  const [code] = await once(child, 'close');
  return { code, ...text };
}

it('shows what the program writes, and nothing that Node or a library prints', async () => {
  const foreign = `console.warn('Hi, looks like you are running a library'); console.log('loaded'); process.emitWarning('old', 'DeprecationWarning', 'DEP0');
    process.emitWarning('new', 'ExperimentalWarning');`;
  const child = start(foreign, `${foreign} streams.output.write('result\\n'); streams.messages.write('told\\n'); return 7;`);
  expect(await ended(child)).toEqual({ code: 7, output: 'result\n', messages: 'told\n' });
});

it.each([
  ['too little memory', "throw new RangeError('WebAssembly.Memory(): could not allocate memory')", 71, /^error: cannot load: WebAssembly\.Memory.*\n {2}raise the limit/],
  ['a fault', "throw new TypeError('x is not a function')", 1, /^unexpected error: TypeError: x is not a function\n +at /],
])('says in words that loading failed: %s', async (_, load, code, message) => {
  const result = await ended(start(load, 'return 0;'));
  expect(result).toMatchObject({ code, output: '' });
  expect(result.messages).toMatch(message);
});

it('lets go of terminals that are gone when it ends, and of no other', () => {
  const once = vi.spyOn(process, 'once');
  const closed: number[] = [];
  outliveTerminal([0, 2], { isTerminal: (descriptor) => descriptor === 2, close: (descriptor) => void closed.push(descriptor) });
  const [event, atEnd] = once.mock.calls.at(-1)! as [string, () => void];
  once.mockRestore();
  process.off('exit', atEnd);
  expect([event, closed]).toEqual(['exit', []]);
  atEnd();
  expect(closed).toEqual([0]);
});

const WRITING = "for (let i = 0; i < 200; i++) { streams.output.write('line\\n'.repeat(1000)); streams.messages.write('line\\n'); await new Promise((resolve) => setTimeout(resolve, 5)); }";

it.each([
  ['the product', '', 0],
  ['not the product', 'streams.outliveReaders();', 9],
])('both readers go away from a command whose output is %s', async (_, first, code) => {
  const child = start('', `${first} ${WRITING} return 9;`);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  child.stderr.destroy();
  expect((await once(child, 'exit'))[0]).toBe(code);
});
