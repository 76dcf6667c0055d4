// --vary: values, grids, and the names of what comes of them.
import { describe, expect, it } from 'vitest';
import { combinationsOf, nameOfCombination, parseVary, settingsOf } from '../../src/experiments/vary.js';

describe('parseVary', () => {
  it.each([
    ['moe.router.threshold=0.5,0.9', 'moe.router.threshold', [0.5, 0.9]],
    ['--router=topk, switch', 'router', ['topk', 'switch']],
    ['model.dropout=0', 'model.dropout', [0]],
    ['train.patience=null,3', 'train.patience', [null, 3]],
    ['data.files=[["a,b"],["c"]]', 'data.files', [['a,b'], ['c']]],
  ])('%s', (text, key, values) => {
    expect(parseVary(text)).toEqual({ key, values });
  });

  it.each([
    ['threshold', 'expected key=value,value'], ['=1,2', 'expected key=value,value'], ['t=', 'a value is missing'], ['t=1,,2', 'a value is missing'],
    ['t=0.5,0.50', '0.5 is named twice'], ['seed=1,2', 'seeds are given by --seeds'], ['t=[1,2', '--vary t'], ['t=[]', 'a value is missing'],
  ])('refuses %s', (text, message) => {
    expect(() => parseVary(text)).toThrow(message);
  });
});

describe('combinations', () => {
  it('are all of them, one of nothing, and refused where they are too many', () => {
    expect(combinationsOf([])).toEqual([[]]);
    expect(combinationsOf([parseVary('a=1,2'), parseVary('b.c=x,y')]).map((some) => nameOfCombination(some, 'tiny'))).toEqual(['a-1-c-x', 'a-1-c-y', 'a-2-c-x', 'a-2-c-y']);
    expect(() => combinationsOf([parseVary('a=1'), parseVary('a=2')])).toThrow('--vary a is given twice');
    const many = (key: string) => ({ key, values: Array.from({ length: 50 }, (_, index) => index) });
    expect(() => combinationsOf([many('a'), many('b')])).toThrow('--vary asks for 2500 configurations');
  });

  it('become flags by their kind, and names that any file system has', () => {
    const some = [['router', 'topk'], ['moe.experts', 8], ['learning-rate', 1e-3]] as const;
    expect(settingsOf(some)).toEqual({ router: 'topk', set: ['moe.experts=8'], flags: { 'learning-rate': 1e-3 } });
    expect(nameOfCombination([['data.files', ['/Some dir/ü.txt']]], 'tiny')).toBe('files-some-dir-.txt');
    expect(nameOfCombination([], 'My Preset')).toBe('my-preset');
    expect(nameOfCombination([['a', '../..']], 'x')).toBe('a'); // no way out of the folder
  });
});
