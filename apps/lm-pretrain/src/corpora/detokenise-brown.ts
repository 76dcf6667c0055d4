// Brown's tagged text (Form C: `The/at jury/nn said/vbd ,/,`) back to running text. Spacing, quotes and doubled marks only;
// the words stay as they are.

const ATTACH_LEFT = new Set([',', '.', ';', ':', '?', '!', ')', ']']);
const ATTACH_RIGHT = new Set(['(', '[']);
/** Form C writes these twice at the end of a sentence or clause. */
const DOUBLED = new Set(['?', '!', ';']);

/** Running text: sentences of a paragraph on one line, paragraphs apart by a blank line. */
export function detokeniseBrown(tagged: string): string {
  return tagged
    .split(/\n\s*\n/)
    .map(detokeniseParagraph)
    .filter((paragraph) => paragraph !== '')
    .join('\n\n');
}

function detokeniseParagraph(paragraph: string): string {
  let text = '';
  let glue = true; // no space before the next word
  let insideSingle = false;
  let previous = '';
  for (const token of paragraph.split(/\s+/)) {
    // Words hold slashes too (1/2/cd); **zg and the like stand for symbols that were never typed.
    const word = token.slice(0, token.lastIndexOf('/')).replace(/\*\*[a-z]*/g, '');
    if (word === '' || (text === '' && ATTACH_LEFT.has(word))) continue; // a mark left over from an omitted formula
    if (DOUBLED.has(word) && word === previous) continue;
    const opensSingle = word === "'" && !insideSingle;
    if (word === "'") insideSingle = !insideSingle;
    const closes = ATTACH_LEFT.has(word) || word === "''" || (word === "'" && !opensSingle) || word === '/';
    text += (glue || closes ? '' : ' ') + word.replaceAll("''", '"').replaceAll('``', '"');
    glue = ATTACH_RIGHT.has(word) || word === '``' || opensSingle || word === '/';
    previous = word;
  }
  return text;
}
