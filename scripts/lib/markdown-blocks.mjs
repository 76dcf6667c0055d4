// Finds the fenced code blocks of a Markdown text. Does not run them.

/**
 * @typedef {object} Block
 * @property {string} language  the first word after the fence, in lower case; '' if there is none
 * @property {string[]} marks   the further words after the fence
 * @property {string} code
 * @property {number} line      1-based line of the opening fence
 */

/** @param {string} text @returns {Block[]} */
export function codeBlocks(text) {
  const blocks = [];
  let open;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const fence = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(line);
    if (open) {
      const closes = fence && fence[2].startsWith(open.fence) && fence[3].trim() === '';
      if (!closes) {
        // A block inside a list is indented as a whole.
        open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
        continue;
      }
      blocks.push({ ...open.head, code: `${open.lines.join('\n')}\n` });
      open = undefined;
    } else if (fence) {
      const [language = '', ...marks] = fence[3].trim().split(/\s+/);
      open = { indent: fence[1], fence: fence[2], lines: [], head: { language: language.toLowerCase(), marks, line: index + 1 } };
    }
  }
  return blocks;
}
