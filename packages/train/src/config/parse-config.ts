// Validates a configuration against its zod schema with errors that name the key path and the value, and suggest the
// nearest valid name. Not a loader of files (see presets.ts) nor a merger (see overrides.ts).
import { nearestName, XMoEError } from '@xmoe/core';
import type { z } from 'zod';
import { findUnknownKeys, type UnknownKey } from './unknown-keys.js';

/**
 * The value that `schema` makes of `value` (defaults filled in). Unknown keys are refused at every depth, even where the
 * schema's objects are not strict.
 * @param options.where what is being read, e.g. `presets/tiny.json`; begins every message
 * @throws XMoEError `config`, one line that lists every problem as `path: problem, got value`
 */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, options: { where: string }): z.output<S> {
  const unknown = findUnknownKeys(schema, value);
  const result = schema.safeParse(value);
  if (unknown.length === 0 && result.success) return result.data;
  const problems = [
    ...unknown.map(describeUnknownKey),
    // Strict objects report unknown keys as well: those are in the list already, with a better message.
    ...(result.success ? [] : result.error.issues.filter(({ code }) => code !== 'unrecognized_keys')).map((issue) =>
      describeIssue(issue, value),
    ),
  ];
  const known = unknown[0]?.known;
  throw new XMoEError('config', `${options.where}: ${[...new Set(problems)].join('; ')}`, {
    hint: known ? `known keys there: ${known.join(', ') || 'none'}` : 'correct the value, or leave the key out for its default',
  });
}

function describeUnknownKey({ path, value, known }: UnknownKey): string {
  const suggestion = nearestName(String(path.at(-1)), known);
  return `unknown key ${formatPath(path)} = ${formatValue(value)}${suggestion ? `, did you mean "${suggestion}"?` : ''}`;
}

function describeIssue(issue: z.core.$ZodIssue, root: unknown): string {
  const path = issue.path as readonly (string | number)[];
  const got = valueAt(root, path);
  if (issue.code === 'invalid_value') return describeChoice(issue, path, got);
  if (got === undefined) return `${formatPath(path)} is missing (${lowerFirst(issue.message).replace(/, received .*/, '')})`;
  return `${formatPath(path)}: ${reason(issue)}, got ${formatValue(got)}`;
}

function describeChoice(issue: z.core.$ZodIssueInvalidValue, path: readonly (string | number)[], got: unknown): string {
  const choices = issue.values.map((value) => JSON.stringify(value) ?? String(value));
  if (got === undefined) return `${formatPath(path)} is missing (one of ${choices.join(', ')})`;
  const names = issue.values.filter((value): value is string => typeof value === 'string');
  const near = typeof got === 'string' ? nearestName(got, names) : undefined;
  const suggestion = near ? `, did you mean "${near}"?` : '';
  return `${formatPath(path)}: expected one of ${choices.join(', ')}, got ${formatValue(got)}${suggestion}`;
}

function reason(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_union') {
    const options = issue.errors.map((errors) => errors.map((error) => {
      const at = error.path.length > 0 ? `${formatPath(error.path as (string | number)[])}: ` : '';
      return at + lowerFirst(error.message).replace(/^invalid input: /, '').replace(/, received .*/, '');
    }).join(' and '));
    if (options.length > 0) return options.join(', or ');
    return issue.message === 'Invalid input' ? 'fits none of the alternatives' : lowerFirst(issue.message);
  }
  return lowerFirst(issue.message).replace(/^invalid input: /, '').replace(/, received .*/, '');
}

/** `model.layers[2].size`, or `(the whole value)` for the root. */
function formatPath(path: readonly (string | number)[]): string {
  if (path.length === 0) return '(the whole value)';
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}

/** `value` as short JSON, at most about 60 characters. */
function formatValue(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function valueAt(root: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    root,
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
