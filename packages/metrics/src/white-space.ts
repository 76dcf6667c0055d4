// White space as Python has it: sacreBLEU splits and strips with str.split and str.strip, and JavaScript's \s differs (it
// takes U+FEFF and leaves U+001C … U+001F and U+0085).

const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const RUN = new RegExp(`[${SPACE}]+`, 'g');
const AT_START = new RegExp(`^[${SPACE}]+`);
const AT_END = new RegExp(`[${SPACE}]+$`);

export const trimEnd = (text: string): string => text.replace(AT_END, '');
export const trim = (text: string): string => text.replace(AT_START, '').replace(AT_END, '');

/** The words between white space. */
export const splitWords = (text: string): string[] => text.split(RUN).filter((word) => word !== '');

export const withoutSpace = (text: string): string => text.replace(RUN, '');
