// Beam search for one source, on the host: which hypotheses live on, which are finished, and when no better one can come. The
// probabilities come from beam-search.ts.
import type { Hypothesis } from './hypothesis.js';

export interface BeamSettings {
  /** Hypotheses that live on; 1 is greedy. */
  beam: number;
  /** How many are wanted, at most `beam`. */
  nBest: number;
  /** α of score = log p / (tokens + 1)^α, the end counted. */
  lengthPenalty: number;
  endToken: number;
  /** Never produced. */
  forbiddenTokens: readonly number[];
  /** Tokens, the end not counted. */
  maxLength: number;
}

/** The likeliest next tokens of one live hypothesis. */
export interface Continuations {
  /** At least beam + 1 that are not forbidden, or the whole vocabulary, likeliest first. */
  tokens: ArrayLike<number>;
  logProbabilities: ArrayLike<number>;
  /** Of the end token, whether it is among `tokens` or not. */
  end: number;
}

/** A hypothesis of the next position. */
export interface LiveHypothesis {
  /** Which live hypothesis it continues. */
  readonly parent: number;
  readonly tokens: readonly number[];
  readonly logProbability: number;
}

export interface Beam {
  /** Best first; before the first position one without tokens. Empty once the search is over. */
  readonly live: readonly LiveHypothesis[];
  readonly done: boolean;
  /** Takes the continuations of each live hypothesis. */
  advance(continuations: readonly Continuations[]): void;
  /** The `nBest` best of those finished, best first. */
  best(): Hypothesis[];
}

interface Candidate extends LiveHypothesis {
  readonly token: number;
}

/**
 * Each position keeps the `beam` best continuations. One that ends is finished if it is among the `beam` best of all. The
 * search ends with `beam` finished hypotheses, or when no live one can get a better score than the `nBest` best. At the
 * maximum length every live one ends.
 */
export function createBeam(settings: BeamSettings): Beam {
  const { beam, nBest, endToken, maxLength } = settings;
  let live: LiveHypothesis[] = [{ parent: 0, tokens: [], logProbability: 0 }];
  let done = false;
  const finished: Hypothesis[] = [];

  const finish = (tokens: readonly number[], logProbability: number, complete: boolean): void => {
    const hypothesis = { tokens, logProbability, score: scoreOf(settings, logProbability, tokens.length), complete };
    const place = finished.findIndex(({ score }) => score < hypothesis.score); // equals stay in the order they came
    finished.splice(place < 0 ? finished.length : place, 0, hypothesis);
  };
  const end = (): void => {
    done = true;
    live = [];
  };

  return {
    get live() {
      return live;
    },
    get done() {
      return done;
    },
    advance(continuations) {
      if (live[0]!.tokens.length >= maxLength) {
        live.forEach(({ tokens, logProbability }, index) => {
          const { tokens: next, end: logEnd } = continuations[index]!;
          if (logProbability + logEnd > -Infinity) finish(tokens, logProbability + logEnd, next[0] === endToken);
        });
        return end();
      }
      const next: LiveHypothesis[] = [];
      candidatesOf(settings, live, continuations).forEach(({ parent, token, tokens, logProbability }, rank) => {
        if (token !== endToken && next.length < beam) next.push({ parent, tokens: [...tokens, token], logProbability });
        if (token === endToken && rank < beam) finish(tokens, logProbability, true);
      });
      live = next;
      if (live.length === 0 || finished.length >= beam) return end();
      const lengths = [live[0]!.tokens.length, maxLength];
      // Probabilities only fall; whichever length flatters most bounds what can still come.
      const bound = Math.max(...lengths.map((length) => scoreOf(settings, live[0]!.logProbability, length)));
      if (finished.length >= nBest && finished[nBest - 1]!.score >= bound) end();
    },
    best: () => finished.slice(0, nBest),
  };
}

function scoreOf({ lengthPenalty }: BeamSettings, logProbability: number, tokens: number): number {
  return logProbability / (tokens + 1) ** lengthPenalty;
}

/** All continuations that are possible, best first; equals in the order of their hypotheses. */
function candidatesOf({ forbiddenTokens }: BeamSettings, live: readonly LiveHypothesis[], continuations: readonly Continuations[]): Candidate[] {
  return live
    .flatMap(({ tokens, logProbability: before }, parent) =>
      Array.from(continuations[parent]!.tokens, (token, index) => ({
        parent, token, tokens, logProbability: before + continuations[parent]!.logProbabilities[index]!,
      })))
    .filter(({ token, logProbability }) => logProbability > -Infinity && !forbiddenTokens.includes(token))
    .sort((a, b) => b.logProbability - a.logProbability);
}
