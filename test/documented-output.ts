// What a code block of the documentation says that it prints, in comments `// → …` at the ends of the lines that print; and whether that
// is what it printed. White space does not count, numbers may be rounded to three digits, and … stands for anything. Runs nothing.

/** All that a block says it prints, in order. Throws when a line that prints does not say what. */
export function documentedOutput(code: string): string {
  const parts: string[] = [];
  for (const line of code.split('\n')) {
    if (!/\bconsole\.log\(/.test(line)) continue;
    const said = /\/\/ → (.+)$/.exec(line)?.[1];
    if (said === undefined) throw new Error(`this line prints and does not say what: add "// → …" to ${line.trim()}`);
    parts.push(said);
  }
  return parts.join('\n');
}

const NUMBER = /^-?\d/;

function tokensOf(text: string): string[] {
  return text.match(/-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[^\s\d]/g) ?? [];
}

function agree(printed: string, documented: string): boolean {
  if (printed === documented) return true;
  if (!NUMBER.test(printed) || !NUMBER.test(documented) || !/[.e]/.test(printed)) return false;
  const [actual, rounded] = [Number(printed), Number(documented)];
  return Math.abs(actual - rounded) <= 5e-3 * Math.abs(actual);
}

/** Whether the tokens of `printed` from `at` on are those of `documented` from `from` on. */
function matches(printed: readonly string[], documented: readonly string[], at: number, from: number): boolean {
  let [i, j] = [at, from];
  for (; j < documented.length && documented[j] !== '…'; i++, j++) {
    if (i >= printed.length || !agree(printed[i]!, documented[j]!)) return false;
  }
  if (j === documented.length) return i === printed.length;
  for (; i <= printed.length; i++) if (matches(printed, documented, i, j + 1)) return true;
  return false;
}

/** Whether a block printed what it says. */
export function printsAsDocumented(printed: string, documented: string): boolean {
  return matches(tokensOf(printed), tokensOf(documented), 0, 0);
}
