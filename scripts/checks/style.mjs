// House style that the linter has no rule for: names, sizes, first comments, leftovers. One function per rule.
import { isSource, isToolConfig, problemsByLine } from './files.mjs';

/** @typedef {import('./files.mjs').TextFile} TextFile */

const MAX_LINES = 400;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

/** File and folder names are kebab-case. @param {TextFile[]} files */
export const names = (files) => files
  .filter(({ path }) => isSource(path))
  .filter(({ path }) => !path.split('/').every((part) => KEBAB.test(part)))
  .map(({ path }) => `${path}: names are kebab-case`);

/** No drawer for everything. @param {TextFile[]} files */
export const noDrawers = (files) => files
  .filter(({ path }) => /(^|\/)(utils?|misc)\.[a-z]+$/.test(path))
  .map(({ path }) => `${path}: name a file after its one idea`);

/** @param {TextFile[]} files */
export const sizes = (files) => files
  .filter(({ path }) => isSource(path))
  .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, '').split('\n').length }))
  .filter(({ lines }) => lines > MAX_LINES)
  .map(({ path, lines }) => `${path}: ${lines} lines, at most ${MAX_LINES}`);

/** The first thing in a file says what it is and what it is not. @param {TextFile[]} files */
export const firstComments = (files) => files
  .filter(({ path }) => isSource(path) && !isToolConfig(path))
  .filter(({ text }) => !/^(#!.*\n)?\s*(\/\/|\/\*)/.test(text))
  .map(({ path }) => `${path}: begin with a comment that says what the file is and what it is not`);

/** @param {TextFile[]} files */
export const noLeftovers = (files) => files
  .filter(({ path }) => isSource(path))
  .flatMap((file) => problemsByLine(file, (line) => {
    // The brackets keep these patterns from matching this very line.
    if (/\b(TO[D]O|FIX[M]E|HA[C]K)\b/.test(line)) return 'finish it or open an issue';
    if (/^(<{7}|>{7}) /.test(line)) return 'left over from a merge';
    return undefined;
  }));
