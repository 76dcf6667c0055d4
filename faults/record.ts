// The results as a markdown table, and that table put between its marks in a document: sections that were run replace their rows there.
import { existsSync, readFileSync } from 'node:fs';
import { XMoEError } from '@xmoe/core';
import type { FaultResult } from './result.js';

const BEGIN = '<!-- faults: begin -->';
const END = '<!-- faults: end -->';
const HEAD = ['| section | fault | what was done | as promised | run |', '|---|---|---|--:|---|'];

/** What one section found, and `about` the run: machine, load, date. */
export interface SectionResults {
  readonly section: string;
  readonly results: readonly FaultResult[];
  readonly about: string;
}

/** The document at `path`. @throws XMoEError `data` when it is not there, or has no place for the table */
export function readRecord(path: string): string {
  if (!existsSync(path)) throw new XMoEError('data', `there is no file ${path}`, { hint: 'name a markdown file that has the marks of the table' });
  const document = readFileSync(path, 'utf8');
  putTable(document, [], [], path);
  return document;
}

export function tableOf(sections: readonly SectionResults[]): string {
  return [...HEAD, ...sections.flatMap(rowsOf), ''].join('\n');
}

function rowsOf({ section, results, about }: SectionResults): string[] {
  return results.map(({ fault, what, tried, passed }) => `| ${section} | ${fault} | ${what} | ${passed} of ${tried} | ${about} |`);
}

/**
 * The document with these rows in its table; other sections keep theirs. `order` is that of the sections.
 * @throws XMoEError `data` when the document has no place for it
 */
export function putTable(document: string, sections: readonly SectionResults[], order: readonly string[], where: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new XMoEError('data', `${where} has no place for the table`, { hint: `put ${BEGIN} and ${END} where it belongs` });
  const sectionOf = (row: string): string => row.split('|')[1]!.trim();
  const fresh = new Set(sections.map(({ section }) => section));
  const kept = document.slice(begin, end).split('\n').filter((line) => line.startsWith('| ') && !HEAD.includes(line) && !fresh.has(sectionOf(line)));
  const rows = [...kept, ...sections.flatMap(rowsOf)].sort((a, b) => order.indexOf(sectionOf(a)) - order.indexOf(sectionOf(b)));
  return `${document.slice(0, begin + BEGIN.length)}\n${[...HEAD, ...rows].join('\n')}\n${document.slice(end)}`;
}
