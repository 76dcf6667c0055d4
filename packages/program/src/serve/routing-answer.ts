// POST /route: the experts that each token of a text took, by layer, as JSON. How it is routed is the program's.
import type { InspectedText } from '../token-routing.js';

/** A text that is to be routed: more would be no page any more. */
export const MOST_ROUTED_CHARACTERS = 20_000;

/** Expert ids in rank order with those that capacity dropped, and their probabilities where the router has them. */
export function routingAnswer({ tokens, layers }: InspectedText): object {
  return { tokens, layers: layers.map(({ name, experts, perToken }) => ({ name, experts, tokens: perToken })) };
}
