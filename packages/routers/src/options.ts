// The options of routers as data: kinds, ranges, defaults. Types of configurations, known keys, checks, schemas and flags derive from them.
// Not a schema language: no nesting, nothing that depends on another option.
import { XMoEError, describeArgument, requireFinite, requireFlag, requireInteger, requireName, requireOptions } from '@xmoe/core';

/** Whether a configuration has to set an option, may, or is given a default where it does not. */
export type Presence = 'required' | 'optional' | 'defaulted';

export interface Option<V = unknown, P extends Presence = Presence> {
  readonly kind: 'real' | 'integer' | 'integers' | 'flag' | 'name';
  /** What a name may be. */
  readonly names: readonly string[];
  /** Ends of the range, for numbers. */
  readonly least: number;
  readonly most: number;
  /** The least value is itself outside. */
  readonly above: boolean;
  readonly presence: P;
  readonly default: V | undefined;
  /** The model gives it where the configuration does not. */
  readonly given: boolean;
  /** A number of the layer's experts, or a list of them: it ends with their number. */
  readonly ofExperts: boolean;
  /** The value, checked. @throws XMoEError `value` naming it and the range. */
  readonly read: (op: string, name: string, value: unknown) => V;
  optional(): Option<V, 'optional'>;
  or(value: V): Option<V, 'defaulted'>;
  givenByModel(): Option<V, P>;
  withinExperts(): Option<V, P>;
}

export type Options = Readonly<Record<string, Option>>;
type ValueOf<O> = O extends Option<infer V> ? V : never;
type Needed<O> = { [K in keyof O]: O[K] extends Option<unknown, 'required'> ? K : never }[keyof O];

/** What a caller passes for these options. */
export type OptionsOf<O extends Options> = { readonly [K in keyof O as K extends Needed<O> ? K : never]: ValueOf<O[K]> } & {
  readonly [K in keyof O as K extends Needed<O> ? never : K]?: ValueOf<O[K]>;
};

/** The same with the defaults filled in. */
export type FilledOptions<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer V, 'optional'> ? V | undefined : ValueOf<O[K]> };

type Facts<V, P extends Presence> = Omit<Option<V, P>, 'optional' | 'or' | 'givenByModel' | 'withinExperts'>;

function option<V, P extends Presence>(facts: Facts<V, P>): Option<V, P> {
  return {
    ...facts,
    optional: () => option({ ...facts, presence: 'optional' }),
    or: (value) => option({ ...facts, presence: 'defaulted', default: value }),
    givenByModel: () => option({ ...facts, given: true }),
    withinExperts: () => option({ ...facts, ofExperts: true }),
  };
}

const FACTS = { least: -Infinity, most: Infinity, above: false, presence: 'required', default: undefined, given: false, ofExperts: false, names: [] } as const;

/** A finite number from `least` to `most`. */
export function real(least: number, most: number): Option<number, 'required'> {
  return option({ ...FACTS, kind: 'real', least, most, read: (op, name, value) => {
    const number = requireFinite(op, name, value);
    if (number >= least && number <= most) return number;
    throw new XMoEError('value', `${name} is ${number}, outside ${least} … ${most}`, { op, hint: `pass a number from ${least} to ${most}` });
  } });
}

/** A finite number above 0. */
export function positive(): Option<number, 'required'> {
  return option({ ...FACTS, kind: 'real', least: 0, above: true, read: (op, name, value) => {
    const number = requireFinite(op, name, value);
    if (number > 0) return number;
    throw new XMoEError('value', `${name} is ${number}, not above 0`, { op, hint: 'leave it out, or pass a number above 0' });
  } });
}

/** A whole number from `least` to `most`. */
export function integer(least: number, most: number = Number.MAX_SAFE_INTEGER): Option<number, 'required'> {
  return option({ ...FACTS, kind: 'integer', least, most, read: (op, name, value) => requireInteger(op, name, value, least, most) });
}

/** A list of whole numbers from `least` to `most`. */
export function integers(least: number, most: number): Option<readonly number[], 'required'> {
  return option({ ...FACTS, kind: 'integers', least, most, read: (op, name, value) => {
    if (!Array.isArray(value)) throw new XMoEError('value', `${name} is ${describeArgument(value)}, not a list`, { op, hint: 'pass an array of integers' });
    return Array.from(value, (entry, at) => requireInteger(op, `${name}[${at}]`, entry, least, most));
  } });
}

/** One of some names. */
export function names<const T extends string>(allowed: readonly T[]): Option<T, 'required'> {
  return option({ ...FACTS, kind: 'name', names: allowed, read: (op, name, value) => requireName(op, name, value, allowed) });
}

/** true or false. */
export function flag(otherwise: boolean): Option<boolean, 'defaulted'> {
  return option({ ...FACTS, kind: 'flag', presence: 'defaulted', default: otherwise, read: requireFlag });
}

/**
 * The values of `options` in `given`, with the defaults; other keys are not looked at.
 * @throws XMoEError `value` for what is no object, and for a value that is missing or out of range
 */
export function readOptions<O extends Options>(op: string, options: O, given: unknown): FilledOptions<O> {
  requireOptions(op, given);
  const values = Object.entries(options).map(([name, { read, presence, default: otherwise }]) => {
    const value = (given as Record<string, unknown>)[name];
    return [name, value === undefined && presence !== 'required' ? otherwise : read(op, name, value)] as const;
  });
  return Object.fromEntries(values) as FilledOptions<O>;
}
