// The strict reader equals JSON.parse on clean JSON and refuses what JSON.parse lets through.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { assertJson } from '../../src/json/json-value.js';
import { parseJson } from '../../src/json/strict-json.js';

const where = 'test.json';

describe('parseJson', () => {
  it('equals JSON.parse on any JSON without duplicate keys', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 2), (text, indent) => {
        const value: unknown = JSON.parse(text);
        fc.pre(!text.includes('__proto__'));
        expect(parseJson(JSON.stringify(value, null, indent), { where })).toEqual(value);
      }),
    );
  });

  it('refuses duplicate keys, however they are written, and says where', () => {
    expect(() => parseJson('{"a": {"b": 1,\n  "b": 2}}', { where })).toThrow(
      'test.json, line 2, column 3: the key "b" appears twice in one object',
    );
    expect(() => parseJson('{"a":1,"\\u0061":2}', { where })).toThrow('the key "a" appears twice');
    expect(() => parseJson('[{"x":[{"k":1}],"x":2}]', { where })).toThrow('the key "x" appears twice');
  });

  it('accepts the same key in different objects, and as a string value', () => {
    const text = '{"a":{"a":["a","a",{"a":1}]},"b":"a","c":{"a":2}}';
    expect(parseJson(text, { where })).toEqual(JSON.parse(text));
  });

  it('S3: refuses __proto__ at any depth, plain or escaped', () => {
    expect(() => parseJson('{"a":[{"__proto__":{"x":1}}]}', { where })).toThrow('"__proto__" is not allowed');
    expect(() => parseJson('{"\\u005f_proto__":1}', { where })).toThrow('"__proto__" is not allowed');
  });

  it('reports a syntax error with its line, its column and the given code', () => {
    expect(() => parseJson('{\n  "a": 1,\n}', { where, code: 'checkpoint' })).toThrow(
      expect.objectContaining({ code: 'checkpoint', message: expect.stringMatching(/^test\.json is not valid JSON/) }),
    );
    expect(() => parseJson('{\n  "a": 1,\n}', { where })).toThrow('line 3, column 1');
    expect(() => parseJson('', { where })).toThrow('test.json is not valid JSON');
  });
});

describe('parseJson on large and deep text', () => {
  it('takes time linear in the number of keys', () => {
    // With a look at all text before each key, as it once was, these take ten minutes.
    const keys = Array.from({ length: 100_000 }, (_, i) => `"key${i}":${i}`);
    expect(Object.keys(parseJson(`{${keys.join(',\n')}}`, { where }) as object)).toHaveLength(100_000);
    expect(() => parseJson(`{${keys.join(',\n')},"key7":0}`, { where })).toThrow('line 100000, column 18: the key "key7" appears twice');
  });

  it('refuses what is nested too deeply, and says where', () => {
    expect(parseJson('['.repeat(256) + ']'.repeat(256), { where })).toHaveLength(1);
    expect(() => parseJson(`\n${'['.repeat(257)}${']'.repeat(257)}`, { where })).toThrow('test.json, line 2, column 257: more than 256 levels');
    expect(() => parseJson('{"a":'.repeat(200_000) + '1' + '}'.repeat(200_000), { where })).toThrow('more than 256 levels');
  });

  it('says on one line what is wrong, also where the text spans lines', () => {
    const error = catchError(() => parseJson('{"a": \n\u001b[31m\u2028x', { where }));
    expect(error.message).not.toMatch(/[\p{Cc}\u2028]/u);
  });
});

function catchError(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('assertJson', () => {
  it('names the path of what JSON cannot hold', () => {
    const cases: [unknown, string][] = [
      [{ a: [1, Number.NaN] }, 'state.a[1] is NaN'],
      [{ a: { b: Infinity } }, 'state.a.b is Infinity'],
      [[undefined], 'state[0] is undefined'],
      [{ w: new Float32Array(1) }, 'state.w is an instance of Float32Array'],
      [{ f: () => 1 }, 'state.f is a function'],
      [{ n: 1n }, 'state.n is a bigint'],
      [JSON.parse('{"__proto__": 1}'), 'forbidden key "__proto__"'],
    ];
    for (const [value, message] of cases) expect(() => assertJson(value, { where: 'state' })).toThrow(message);
  });

  it('refuses what is no text', () => {
    for (const given of [undefined, null, 7, {}]) expect(() => parseJson(given as never)).toThrow(/^the text is .*, not text$/);
  });

  it('refuses a cycle but not an object used twice', () => {
    const shared = { x: 1 };
    assertJson({ a: shared, b: shared, left: undefined }, { where: 'state' });
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(() => assertJson(cycle, { where: 'state' })).toThrow('state.self refers back');
  });
});
