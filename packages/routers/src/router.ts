// What a tensor router is given and what it returns, and the checks that all routers share. No router here.
import {
  XMoEError, cast, describeArgument, formatShape, multiply, requireInteger, requireOptions, select, Tensor,
  type Engine,
} from '@xmoe/core';
import { MOST_EXPERTS } from './reference/checks.js';
import type { RouterState, StateTensors } from './router-state.js';

/** One routing group: the tokens that compete for the same experts. */
export interface RouterInput {
  readonly engine: Engine;
  /** Gate logits float32 [T, N], or as many columns as `Router.gateOutputs` says; null for routers with `usesGate` false. */
  readonly logits: Tensor | null;
  /** T, padding included. */
  readonly tokens: number;
  /** N. */
  readonly experts: number;
  /** int32 [T]: the hash router needs them. */
  readonly tokenIds?: Tensor | null;
  /** bool [T]: false marks padding, which is never routed and enters no loss. */
  readonly mask?: Tensor | null;
  /** BASE balances and top-k draws noise in training only. Default false. */
  readonly training?: boolean;
  /** uint32 [2]: the key of this step; null draws no noise. */
  readonly key?: Tensor | null;
  /** Names the random site, so that layers draw different noise. Default 0. */
  readonly stream?: number;
  /** C: claims one expert takes (`capacityOf` of @xmoe/moe), for routers whose experts choose. A layer gives it. */
  readonly capacity?: number;
  /** The tensors of `Router.state`, for routers that have one. */
  readonly state?: StateTensors | null;
  /** float32 [N]: how often each expert was a first choice in the last update. The balance loss takes f from it, where it is not all 0. */
  readonly firstChoices?: Tensor | null;
  /** Which losses to compute. Default both. */
  readonly losses?: { readonly balance: boolean; readonly z: boolean };
}

/**
 * How claims compete for an expert, or for a budget. `rank-probability`: by rank, then larger p, then lower token (Section 3.2). `rank`: by
 * rank, then lower token. `probability`: by larger p whatever the rank, then lower token, then rank. `share`: as `probability`, by p over the
 * sum of the token's chosen ones.
 */
export type ClaimPriority = (typeof CLAIM_PRIORITIES)[number];
export const CLAIM_PRIORITIES = ['rank-probability', 'rank', 'probability', 'share'] as const;

/** The choices of every token in rank order. Dispose it as a whole, or let its scope do so. */
export interface Routing {
  readonly tokens: number;
  readonly experts: number;
  /** K: the columns of `expertIds` and `weights`. */
  readonly maxChoices: number;
  /** int32 [T, K]: the expert of choice 0, 1, …; −1 from `counts[t]` on, and for padding. */
  readonly expertIds: Tensor;
  /** float32 [T, K], differentiable. Where `expertIds` is −1 the value means nothing: every consumer goes by the ids. */
  readonly weights: Tensor;
  /** float32 [T, K]: what claims compete with, the weight before any re-normalisation. No gradient. */
  readonly scores: Tensor;
  /** int32 [T]: how many experts the token takes; 0 for padding, and for a real token that no expert chooses. */
  readonly counts: Tensor;
  /** bool [T]: false marks padding; null where every token is real. */
  readonly mask: Tensor | null;
  /** Known without looking at the device: every token takes all K choices, so no id is −1. */
  readonly full: boolean;
  /** p float32 [T, N], zero for padding; null for routers that have none. */
  readonly probabilities: Tensor | null;
  /** Unscaled load-balance loss float32 []; null where the router has none or it was not asked for. */
  readonly balanceLoss: Tensor | null;
  /** Unscaled router z-loss float32 []; as `balanceLoss`. */
  readonly zLoss: Tensor | null;
  readonly priority: ClaimPriority;
  /** What the state moves by: counts int32, without padding. Null in evaluation, and for routers without a state. */
  readonly statistics: StateTensors | null;
}

export interface Router {
  readonly name: string;
  /** Whether `route` reads logits. Layers without it have no router weight. */
  readonly usesGate: boolean;
  /** Columns of the gate's weight and logits for N experts. Absent: N. */
  gateOutputs?(experts: number): number;
  /** What it keeps between updates. Absent or null: nothing. */
  readonly state?: RouterState | null;
  /** K for N experts. Errors: the router wants more experts than there are. */
  maxChoices(experts: number): number;
  /** Routes on the device with static shapes; only BASE in training looks at values on the host. */
  route(input: RouterInput): Routing;
}

/** What a router's own part computes; the shared fields are filled in by {@link defineRouter}. */
export type RoutingParts = Omit<Routing, 'tokens' | 'experts' | 'maxChoices' | 'mask' | 'scores' | 'statistics'> & { readonly scores?: Tensor; readonly statistics?: StateTensors | null };

export interface RouterDefinition {
  readonly name: string;
  readonly usesGate: boolean;
  readonly state?: RouterState;
  gateOutputs?(experts: number): number;
  maxChoices(experts: number): number;
  /** `choices` is K. Runs in a scope of its own. The logits of padding are 0, whatever the caller's are. */
  choose(input: RouterInput, choices: number): RoutingParts;
}

/** A router from its own part: checks the input, frees temporaries, fills in shared fields. */
export function defineRouter({ name, usesGate, state, gateOutputs, maxChoices, choose }: RouterDefinition): Router {
  return {
    name,
    usesGate,
    state: state ?? null,
    ...(gateOutputs ? { gateOutputs } : {}),
    maxChoices,
    route(input) {
      requireOptions(`${name} router`, input);
      checkInput(name, usesGate, input);
      const { engine, tokens, experts } = input;
      const choices = maxChoices(experts);
      if (usesGate) checkLogits(name, input, gateOutputs?.(experts) ?? experts);
      return engine.scope(() => {
        const logits = input.logits && withoutPadding(input.logits, input.mask);
        const parts = choose({ ...input, logits }, choices);
        const mask = input.mask ? engine.alias(input.mask, [tokens]) : null; // freed with the routing, unlike the caller's
        return { tokens, experts, maxChoices: choices, mask, scores: parts.weights, statistics: null, ...parts };
      });
    },
  };
}

function checkInput(router: string, usesGate: boolean, { engine, logits, tokens, experts, mask, tokenIds, key, state, firstChoices }: RouterInput): void {
  const op = `${router} router`;
  if (typeof engine?.scope !== 'function') throw new XMoEError('value', 'the engine is missing', { op, hint: 'pass the engine of the logits' });
  requireInteger(op, 'tokens', tokens, 0);
  requireInteger(op, 'experts', experts, 1, MOST_EXPERTS);
  for (const [name, tensor] of Object.entries({ logits, mask, tokenIds, key, firstChoices, ...state })) {
    if (tensor === null || tensor === undefined) continue;
    if (!(tensor instanceof Tensor)) throw new XMoEError('value', `${name} is ${describeArgument(tensor)}, not a tensor`, { op, hint: 'make one with engine.tensor(values, shape)' });
    if (tensor.engine !== engine) throw new XMoEError('backend', `${name} lives on another engine`, { op, hint: 'pass the engine that made it' });
  }
  if (usesGate && !logits) throw new XMoEError('value', 'logits are missing', { op, hint: 'pass gate(h, weight), float32 [T, N]' });
  for (const [name, tensor, dtype] of [['mask', mask, 'bool'], ['tokenIds', tokenIds, 'int32']] as const) {
    if (!tensor) continue;
    if (tensor.dtype !== dtype) throw new XMoEError('dtype', `${name} must be ${dtype}, got ${tensor.dtype}`, { op, hint: 'cast it first' });
    if (tensor.size !== tokens) throw new XMoEError('shape', `${name} is ${formatShape(tensor.shape)} for ${tokens} tokens`, { op, hint: 'give one entry per token' });
  }
}

function checkLogits(router: string, { logits, tokens, experts }: RouterInput, columns: number): void {
  const op = `${router} router`;
  const { dtype, rank, shape } = logits!;
  if (dtype !== 'float32') throw new XMoEError('dtype', `logits must be float32, got ${dtype}`, { op, hint: 'gate() computes them in float32' });
  if (rank === 2 && shape[0] === tokens && shape[1] === columns) return;
  const more = columns > experts ? ` and ${columns - experts} null experts` : '';
  throw new XMoEError('shape', `logits are ${formatShape(shape)} for ${tokens} tokens and ${experts} experts${more}`, { op, hint: more ? `pass logits [T, ${columns}], those of null experts last` : 'pass logits [T, N]' });
}

/** A per-token tensor [T] as a column [T, 1]. Unrecorded: for masks and counts. */
export function asColumn(perToken: Tensor): Tensor {
  return perToken.engine.alias(perToken, [perToken.size, 1]);
}

/** x [T, ·] with zeros in the rows of padding, and no gradient from there: a mask after the fact would be 0 · NaN where a row is NaN. */
export function withoutPadding(x: Tensor, mask: Tensor | null | undefined): Tensor {
  requireRows(x, mask);
  return mask ? select(asColumn(mask), x, 0) : x;
}

/** Refuses what is no tensor, and a mask that has not one entry per row of x. */
export function requireRows(x: Tensor, mask: Tensor | null | undefined): void {
  for (const [name, tensor] of [['x', x], ['mask', mask ?? x]] as const) {
    if (!(tensor instanceof Tensor)) throw new XMoEError('value', `${name} is ${describeArgument(tensor)}, not a tensor`, { op: 'routers', hint: 'make one with engine.tensor(values, shape)' });
  }
  if (mask && mask.size !== x.shape[0]) {
    throw new XMoEError('shape', `mask is ${formatShape(mask.shape)} for ${formatShape(x.shape)}`, { op: 'routers', hint: 'give one entry per token' });
  }
}

/** The choices of a router that gives every real token exactly K experts. ids int32 [T, K] for all tokens. */
export function fixedChoices({ engine, tokens, mask }: RouterInput, ids: Tensor): Pick<Routing, 'expertIds' | 'counts' | 'full'> {
  const choices = ids.shape[1]!;
  if (!mask) return { expertIds: ids, counts: engine.full([tokens], choices, 'int32'), full: true };
  const real = cast(mask, 'int32');
  const counts = engine.alias(choices === 1 ? real : multiply(real, choices), [tokens]);
  return { expertIds: select(asColumn(mask), ids, -1), counts, full: false };
}
