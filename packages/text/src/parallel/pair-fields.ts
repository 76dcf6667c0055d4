// Takes the two sides and the kind out of a row: a TSV line's columns or an object's fields. It reads no file.
import { nearestName, XMoEError } from '@xmoe/core';
import { PAIRS_OP, type FieldName, type PairFields } from './pair-sources.js';
import type { LanguagePair } from './pairs.js';

/** The sides and kind of a row, or why it has none. */
export type RowSides = { readonly source: string; readonly target: string; readonly kind?: string } | { readonly problem: string };

/** The fields of a table whose top-level columns are `columns`. `sample` is one row. Throws when none fit. */
export function chooseFields(
  columns: readonly string[],
  sample: Record<string, unknown>,
  wanted: PairFields | undefined,
  languages: LanguagePair,
  path: string,
): PairFields {
  if (wanted !== undefined) {
    for (const field of [wanted.source, wanted.target, wanted.kind]) {
      if (field === undefined || columns.includes(String(field).split('.')[0])) continue;
      const near = nearestName(String(field), columns);
      throw new XMoEError('data', `${path} has no field "${field}" (it has ${columns.join(', ')})`, {
        op: PAIRS_OP,
        hint: near === undefined ? 'name the fields of the source and the target' : `did you mean "${near}"?`,
      });
    }
    return wanted;
  }
  const { source, target } = languages;
  const kind = columns.includes('kind') ? 'kind' : undefined;
  const known = [
    { source: 'source', target: 'target', kind },
    { source, target, kind },
    { source: `translation.${source}`, target: `translation.${target}`, kind },
  ];
  const found = known.find((fields) => [fields.source, fields.target].every((field) => typeof fieldOf(sample, field) === 'string'));
  if (found !== undefined) return found;
  throw new XMoEError('data', `${path}: the fields of source and target are not clear (it has ${columns.join(', ')})`, {
    op: PAIRS_OP,
    hint: `name them in fields; known by themselves: source and target, ${source} and ${target}, translation.${source} and translation.${target}`,
  });
}

/** The sides of an object. */
export function sidesOfObject(row: Record<string, unknown>, fields: PairFields): RowSides {
  const source = fieldOf(row, fields.source);
  const target = fieldOf(row, fields.target);
  for (const [name, value] of [[fields.source, source], [fields.target, target]] as const) {
    if (value instanceof Uint8Array) return { problem: `field "${name}" is not UTF-8` };
    if (typeof value !== 'string') return { problem: `no string field "${name}"` };
    if (/\p{Surrogate}/u.test(value)) return { problem: `field "${name}" holds half a surrogate pair` };
  }
  const kind = fields.kind === undefined ? undefined : fieldOf(row, fields.kind);
  return { source: source as string, target: target as string, kind: typeof kind === 'string' ? kind : undefined };
}

/** Columns of a table, from 1. */
export interface TableColumns {
  source: number;
  target: number;
  kind?: number;
}

/**
 * The fields that the first line of a table names, or undefined when it is a pair like any other. Known are source and target (src,
 * tgt, trg) and the codes and names of the languages.
 */
export function fieldsOfHeader(header: readonly string[], languages: LanguagePair): PairFields | undefined {
  const find = (known: readonly string[]) => header.find((column) => known.includes(column.trim().replace(/^"(.*)"$/, '$1').toLowerCase()));
  const source = find(['source', 'src', ...namesOfLanguage(languages.source)]);
  const target = find(['target', 'tgt', 'trg', ...namesOfLanguage(languages.target)]);
  return source === undefined || target === undefined ? undefined : { source, target, kind: find(['kind']) };
}

/** The code, and the name in English and in the language itself, in lower case. */
function namesOfLanguage(code: string): string[] {
  const nameIn = (language: string): string => {
    try {
      return new Intl.DisplayNames([language], { type: 'language' }).of(code) ?? code;
    } catch {
      return code; // no code of a language
    }
  };
  return [code, nameIn('en'), nameIn(code)].map((name) => name.toLowerCase());
}

/** The sides of a line's cells; `fields` are columns from 1. Without `fields` the third of three columns is the kind. */
export function sidesOfColumns(
  columns: readonly string[],
  fields: TableColumns | undefined,
  separated: 'tab-separated' | 'comma-separated',
): RowSides {
  const { source, target, kind } = fields ?? { source: 1, target: 2, kind: 3 };
  const needed = Math.max(source, target);
  if (columns.length < needed) {
    return { problem: `${columns.length} ${separated} ${columns.length === 1 ? 'column' : 'columns'} instead of ${needed}` };
  }
  return { source: columns[source - 1], target: columns[target - 1], kind: kind === undefined ? undefined : columns[kind - 1] };
}

/** Columns from 1 of the names in a TSV header, or the numbers themselves. */
export function columnsOfHeader(header: readonly string[], fields: PairFields, path: string): TableColumns {
  const numberOf = (field: FieldName): number => {
    if (typeof field === 'number') return field;
    const at = header.indexOf(field);
    if (at >= 0) return at + 1;
    const near = nearestName(field, header);
    throw new XMoEError('data', `${path} has no column "${field}" in its first line (it has ${header.join(', ')})`, {
      op: PAIRS_OP,
      hint: near === undefined ? 'give the numbers of the columns, from 1, where there is no header' : `did you mean "${near}"?`,
    });
  };
  return {
    source: numberOf(fields.source),
    target: numberOf(fields.target),
    kind: fields.kind === undefined ? undefined : numberOf(fields.kind),
  };
}

function fieldOf(row: Record<string, unknown>, field: FieldName): unknown {
  let value: unknown = row;
  for (const name of String(field).split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
