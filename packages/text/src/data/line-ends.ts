// Line ends of old Macintosh files: a bare carriage return. A file that has those and no line feed is given line feeds, so that
// its lines are lines to every reader. A carriage return in a file with line feeds is left to whoever reads the line.

const LINE_FEED = 10;
const RETURN = 13;
/** Enough to see the first line ends of any text; more only for lines longer than this. */
const LOOKED_AT_BYTES = 1 << 16;

/** The same bytes, with line feeds for carriage returns where the beginning of the file has only the latter. */
export async function* withLineFeeds(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  let returns: boolean | undefined; // unknown until enough was seen
  for await (const chunk of chunks) {
    if (returns !== undefined) {
      yield returns ? replaceReturns(chunk) : chunk;
      continue;
    }
    waiting.push(chunk);
    bytes += chunk.length;
    if (bytes < LOOKED_AT_BYTES) continue;
    returns = endsLinesByReturns(waiting);
    yield* returns ? waiting.map(replaceReturns) : waiting;
    waiting = [];
  }
  yield* endsLinesByReturns(waiting) ? waiting.map(replaceReturns) : waiting;
}

function endsLinesByReturns(chunks: readonly Buffer[]): boolean {
  const text = Buffer.concat(chunks);
  // The last one seen does not count: a line feed may follow it.
  return !text.includes(LINE_FEED) && text.subarray(0, -1).includes(RETURN);
}

function replaceReturns(chunk: Buffer): Buffer {
  const bytes = Buffer.from(chunk);
  for (let at = bytes.indexOf(RETURN); at >= 0; at = bytes.indexOf(RETURN, at + 1)) bytes[at] = LINE_FEED;
  return bytes;
}
