// Translations for whoever asks: requests that wait and ask for the same settings are translated together, and a batch whose clients have
// all gone away is ended. Sentences do not depend on what is translated beside them. Knows no protocol.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DecodingOptions, LineTranslator, SourceLine, TextTranslation } from '@xmoe/models';

export interface TranslationRequest {
  readonly lines: LineTranslator;
  readonly sources: readonly SourceLine[];
  readonly decoding: DecodingOptions;
  readonly signal: AbortSignal;
}

export interface TranslateQueue {
  /** The translations of each source, best first; null when the signal was aborted. */
  translate(request: TranslationRequest): Promise<TextTranslation[][] | null>;
  /** Sources in the batch that is translated now, and those that wait. */
  load(): { running: number; waiting: number };
}

interface Waiting extends TranslationRequest {
  resolve(translations: TextTranslation[][] | null): void;
  reject(error: unknown): void;
}

/** @param most sources of a batch; a request with more is a batch of its own */
export function createTranslateQueue(most: number): TranslateQueue {
  let waiting: Waiting[] = [];
  let running: Waiting[] = [];
  let busy = false;
  const count = (requests: readonly Waiting[]): number => requests.reduce((sum, { sources }) => sum + sources.length, 0);

  /** The first that waits, with those that ask for the same. */
  const take = (): Waiting[] => {
    waiting = waiting.filter((request) => !request.signal.aborted || void request.resolve(null));
    const [first] = waiting;
    if (!first) return [];
    const settings = (request: Waiting): string => JSON.stringify(request.decoding);
    const taken: Waiting[] = [];
    for (const request of waiting) {
      const fits = taken.length === 0 || count(taken) + request.sources.length <= most;
      if (request.lines === first.lines && settings(request) === settings(first) && fits) taken.push(request);
    }
    waiting = waiting.filter((request) => !taken.includes(request));
    return taken;
  };
  const translateTogether = async (requests: readonly Waiting[]): Promise<void> => {
    const [{ lines, decoding }] = requests as [Waiting];
    try {
      const found = await lines.translate(requests.flatMap(({ sources }) => sources), { ...decoding, stopped: () => requests.every(({ signal }) => signal.aborted) });
      let next = 0;
      for (const { sources, signal, resolve } of requests) {
        const own = found.slice(next, (next += sources.length));
        resolve(signal.aborted ? null : own);
      }
    } catch (error) {
      for (const { reject } of requests) reject(error);
    }
  };
  const run = async (): Promise<void> => {
    busy = true;
    await nextTurn(); // who asks in the same turn is translated together
    for (running = take(); running.length > 0; running = take()) {
      await translateTogether(running);
      await nextTurn();
    }
    busy = false;
  };
  return {
    translate: (request) => new Promise((resolve, reject) => {
      waiting.push({ ...request, resolve, reject });
      if (!busy) void run();
    }),
    load: () => ({ running: count(running), waiting: count(waiting) }),
  };
}
