// Text broken into lines at its spaces.
/** Breaks lines at spaces so that none is longer than `width`, where words allow it. */
export function wrapText(text: string, width: number): string {
  const lines = text.split('\n').flatMap((line) => {
    const out = [''];
    for (const word of line.split(' ')) {
      if (out.at(-1) !== '' && out.at(-1)!.length + 1 + word.length > width) out.push(word);
      else out[out.length - 1] = out.at(-1) === '' ? word : `${out.at(-1)} ${word}`;
    }
    return out;
  });
  return lines.join('\n');
}
