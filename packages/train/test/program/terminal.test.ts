// Text for the terminal: wrapping, control characters, errors. The closing lines of a run are in the tests of runs.
import { XMoEError } from '@xmoe/core';
import { expect, it } from 'vitest';
import { errorText, facts, printable, progressLine, wrap } from '@xmoe/train/program';

it('wrap breaks at spaces and keeps lines', () => {
  expect(wrap('aa bb cc\n\ndddddddd e', 5)).toBe('aa bb\ncc\n\ndddddddd\ne');
  expect(wrap('', 5)).toBe('');
});

it('printable takes control characters out, and nothing else', () => {
  expect(printable('a\u001b[31mb\u0007\tc\n\u009b2Jd é 日本 🎓')).toBe('a\ufffd[31mb\ufffd\tc\n\ufffd2Jd é 日本 🎓');
});

it('facts aligns the values', () => {
  expect(facts([['a', '1'], ['long', '2']])).toBe('  a     1\n  long  2');
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
