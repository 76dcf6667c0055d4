// Tokens to text as it may be shown: whole characters alone, and nothing of a stop sequence or what may yet become one.

export interface StoppedText {
  /** The text that the next token lets out. */
  add(bytes: Uint8Array): string;
  /** Whether a stop sequence has come: nothing comes after it. */
  readonly stopped: boolean;
  /** What was held back, when no more tokens come. A character that is not whole is U+FFFD. */
  end(): string;
}

/** @param stops none of them empty */
export function createStoppedText(stops: readonly string[]): StoppedText {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let held = '';
  let stopped = false;
  const release = (text: string): string => {
    held += text;
    const found = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      stopped = true;
      return held.slice(0, Math.min(...found));
    }
    const out = held.slice(0, held.length - unsettled(held, stops));
    held = held.slice(out.length);
    return out;
  };
  return {
    get stopped() {
      return stopped;
    },
    add: (bytes) => (stopped ? '' : release(decoder.decode(bytes, { stream: true }))),
    end() {
      if (stopped) return '';
      const out = release(decoder.decode());
      return stopped ? out : out + held;
    },
  };
}

/** Characters at the end of `text` that a stop sequence may begin with. */
function unsettled(text: string, stops: readonly string[]): number {
  return stops.reduce((most, stop) => {
    for (let length = Math.min(stop.length - 1, text.length); length > most; length--) if (text.endsWith(stop.slice(0, length))) return length;
    return most;
  }, 0);
}
