// The results as a markdown table, and that table put between its marks in a document.
import { XMoEError } from '@xmoe/core';
import type { FaultResult } from './result.js';

const BEGIN = '<!-- faults: begin -->';
const END = '<!-- faults: end -->';

/** `about` says on what it was run. */
export function tableOf(results: readonly FaultResult[], about: string): string {
  const rows = results.map(({ fault, what, tried, passed }) => `| ${fault} | ${what} | ${passed} of ${tried} |`);
  return [about, '', '| fault | what was done | as promised |', '|---|---|--:|', ...rows, ''].join('\n');
}

/** @throws XMoEError `data` when the document has no place for it */
export function putTable(document: string, table: string, where: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new XMoEError('data', `${where} has no place for the table`, { hint: `put ${BEGIN} and ${END} where it belongs` });
  return `${document.slice(0, begin + BEGIN.length)}\n${table}${document.slice(end)}`;
}
