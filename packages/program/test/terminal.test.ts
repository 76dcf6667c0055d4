// Text for the terminal: wrapping, control characters, errors. The closing lines of a run are in the tests of runs.
import { XMoEError } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { createProgress } from '@xmoe/train/node';
import { errorText, alignedFacts, printable, progressLine, textOnly } from '../src/terminal.js';
import { wrapText } from '../src/wrap-text.js';
import { EXIT_CODES, exitCodeOf, exitCodesText } from '../src/exit-codes.js';
import { newProgram, runCommandLine } from '../src/run-command-line.js';

it('wrap breaks at spaces and keeps lines', () => {
  expect(wrapText('aa bb cc\n\ndddddddd e', 5)).toBe('aa bb\ncc\n\ndddddddd\ne');
  expect(wrapText('', 5)).toBe('');
});

it('printable takes control characters out, and nothing else', () => {
  expect(printable('a\u001b[31mb\u0007\tc\n\u009b2Jd é 日本 🎓')).toBe('a\ufffd[31mb\ufffd\tc\n\ufffd2Jd é 日本 🎓');
});

it('facts aligns the values', () => {
  expect(alignedFacts([['a', '1'], ['long', '2']])).toBe('  a     1\n  long  2');
});

it('errorText is a line and a hint; a bug keeps its stack, what the system refuses does not', () => {
  expect(errorText(new XMoEError('config', 'no such key', { hint: 'try another' }))).toBe('error: no such key\n  try another');
  expect(errorText(new TypeError('x is not a function'))).toMatch(/^unexpected error: TypeError: x is not a function\n +at /);
  const refused = Object.assign(new Error("EACCES: permission denied, mkdir '/x'"), { code: 'EACCES', syscall: 'mkdir' });
  expect(errorText(refused)).toBe("error: EACCES: permission denied, mkdir '/x'");
});

it('progressLine redraws on a terminal and is one line elsewhere', () => {
  const drawn = (isTTY: boolean): string => {
    let text = '';
    const line = progressLine({ write: (part) => (text += part), isTTY }, 'Scoring');
    for (const share of [0.001, 0.002, 0.5, 1]) line.update(share);
    line.done();
    return text;
  };
  expect(drawn(false)).toBe('Scoring\n');
  expect(drawn(true)).toBe('\rScoring   0%\rScoring  50%\rScoring 100%\n');
});

describe('S8: control characters of data', () => {
  const evil = 'a\u001b]0;title\u0007\u001b[2Jb';
  const collected = (isTTY: boolean) => {
    const texts: string[] = [];
    return { texts, stream: { write: (text: string) => texts.push(text), isTTY, columns: 90 } };
  };

  it('reach no terminal in a message, while the display still draws', () => {
    const { texts, stream } = collected(true);
    const progress = createProgress({ stream: textOnly(stream), totalSteps: 2, environment: {} });
    progress.update({ step: 1, loss: 1 });
    progress.message(`saved ${evil}`);
    expect(texts.join('')).toContain('saved a\ufffd]0;title\ufffd\ufffd[2Jb\n');
    expect(texts.join('')).toContain('\u001b[36m');
    progressLine(textOnly(stream), evil).update(0.5);
    expect(texts.slice(-2)).toEqual(['\r', 'a\ufffd]0;title\ufffd\ufffd[2Jb  50%']);
  });

  it.each([['terminal', true, false], ['file', false, true]])('in results and errors: a %s', async (_, isTTY, raw) => {
    const output = collected(isTTY);
    const messages = collected(isTTY);
    const code = await runCommandLine(['show'], { output: output.stream, messages: messages.stream }, (terminal) => {
      const program = newProgram('test', terminal);
      program.command('show').action(() => {
        terminal.output.write(evil);
        throw new XMoEError('data', `unknown key ${evil}`, { hint: evil });
      });
      return program;
    });
    expect(code).toBe(65);
    expect(output.texts.join('').includes('\u001b')).toBe(raw); // a file gets what a command made, as it is
    expect(messages.texts.join('')).not.toContain('\u001b');
  });
});

it('each kind of error has its exit code, and --help lists them', () => {
  const codes = (['config', 'value', 'checkpoint', 'data', 'numerics', 'backend', 'memory', 'io', 'busy', 'shape', 'autodiff'] as const).map((code) => exitCodeOf(new XMoEError(code, '')));
  expect(codes).toEqual([2, 2, 3, 65, 70, 71, 71, 74, 75, 1, 1]);
  expect(exitCodeOf(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' }))).toBe(74);
  expect(exitCodeOf(new TypeError('x is not a function'))).toBe(1);
  for (const code of Object.values(EXIT_CODES)) expect(exitCodesText().replaceAll('\n', ' ')).toMatch(new RegExp(`[:;] ${code} `));
  expect(exitCodesText()).toContain('130 SIGINT');
});
