// The experts that every token of a text took, on the host and as text for a terminal. Running a model is the program's.
import type { TokenTrace } from '@xmoe/moe';
import { alignedFacts } from './terminal.js';

export interface TokenRouting {
  /** Expert ids in rank order. */
  experts: number[];
  /** Those among them that capacity dropped. */
  dropped: number[];
  /** Probability of each, in the same order; empty for routers without one. */
  probabilities: number[];
}

export interface InspectedText {
  /** Text of each token; '' where a character goes on in the next one. */
  tokens: string[];
  layers: { name: string; experts: number; perToken: TokenRouting[] }[];
}

/** Reads the routing of each of `tokens` tokens. */
export async function readTokenRouting(trace: TokenTrace, tokens: number, experts: number): Promise<TokenRouting[]> {
  const [ids, counts, rows] = [await trace.expertIds.data(), await trace.counts.data(), await trace.claimRow.data()];
  const probabilities = trace.probabilities ? await trace.probabilities.data() : null;
  const choices = ids.length / tokens;
  return Array.from({ length: tokens }, (_, token) => {
    const places = Array.from({ length: counts[token]! }, (__, rank) => token * choices + rank);
    return {
      experts: places.map((place) => ids[place]!),
      dropped: places.filter((place) => rows[place]! < 0).map((place) => ids[place]!),
      probabilities: probabilities ? places.map((place) => probabilities[token * experts + ids[place]!]!) : [],
    };
  });
}

/** How a token looks. */
export const shownToken = (text: string): string => (text === '' ? '⋯' : text);

const MOST_LISTED = 6;
const MOST_BLOCKS = 8;

/** One token's experts as a bar and their numbers, the first in rank first. */
function cell({ experts, dropped }: TokenRouting): string {
  const list = experts.slice(0, MOST_LISTED).map((expert) => (dropped.includes(expert) ? `(${expert})` : String(expert)));
  const more = experts.length - list.length;
  return `${'█'.repeat(Math.min(MOST_BLOCKS, experts.length)).padEnd(MOST_BLOCKS)} ${list.join(' ')}${more > 0 ? ` +${more}` : ''}`;
}

/** Each token with its experts by layer, and the mean by layer. */
export function tokenRoutingText({ tokens, layers }: InspectedText): string {
  const columns = [
    ['token', ...tokens.map((token) => JSON.stringify(shownToken(token)).slice(1, -1).slice(0, 16))],
    ...layers.map(({ name, perToken }) => [name, ...perToken.map(cell)]),
  ].map((column) => {
    const width = column.reduce((most, text) => Math.max(most, text.length), 0);
    return column.map((text) => text.padEnd(width));
  });
  const rows = columns[0]!.map((_, row) => `  ${columns.map((column) => column[row]).join('  ').trimEnd()}`);
  const means = layers.map(({ name, perToken }) => [name, `${(perToken.reduce((sum, { experts }) => sum + experts.length, 0) / perToken.length).toFixed(2)} experts per token`] as const);
  const anyDropped = layers.some(({ perToken }) => perToken.some(({ dropped }) => dropped.length > 0));
  return [...rows, '', alignedFacts(means), ...(anyDropped ? ['  (n): dropped by capacity'] : [])].join('\n');
}
