// Links between the pages of the repository: each leads to a file or folder that is there, and to a heading that the page has. Links to the web are not followed.
import { existsSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { root } from '../lib/repository.mjs';
import { problemsByLine } from './files.mjs';

/** @typedef {import('./files.mjs').TextFile} TextFile */

const LINK = /\]\(([^()\s]+)\)/g;
const FENCE = /^\s*(?:```|~~~)/;

/** The text with empty lines in place of its blocks of code. */
function proseOf(text) {
  let isCode = false;
  return text.split('\n').map((line) => {
    const isFence = FENCE.test(line);
    if (isFence) isCode = !isCode;
    return isCode || isFence ? '' : line;
  }).join('\n');
}

/** As GitHub makes them: letters, digits, - and _ in lower case, spaces as -, a number behind those that there are already. */
function headingsOf(text) {
  const slugs = new Set();
  const seen = new Map();
  for (const [, heading] of text.matchAll(/^#{1,6}\s+(.*)$/gm)) {
    const slug = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    slugs.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, id] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) slugs.add(id);
  return slugs;
}

/** @param {TextFile[]} files */
export function links(files) {
  const pages = new Map(files.filter(({ path }) => path.endsWith('.md')).map(({ path, text }) => [path, { path, text: proseOf(text) }]));
  const headings = new Map();
  const headingsIn = (path) => {
    if (!headings.has(path)) headings.set(path, headingsOf(pages.get(path).text));
    return headings.get(path);
  };
  return [...pages.values()].flatMap((file) => problemsByLine(file, (line) => {
    for (const [, target] of line.replaceAll(/`[^`]*`/g, '').matchAll(LINK)) {
      if (/^[a-z]+:/i.test(target)) continue;
      const [name, anchor] = target.split('#');
      const path = name === '' ? file.path : posix.normalize(posix.join(dirname(file.path), decodeURIComponent(name))).replace(/\/$/, '');
      if (!pages.has(path) && !existsSync(join(root, path))) return `a link to ${path}, which is not there`;
      if (anchor !== undefined && pages.has(path) && !headingsIn(path).has(decodeURIComponent(anchor))) return `a link to the heading #${anchor}, which ${path} does not have`;
    }
    return undefined;
  }));
}
