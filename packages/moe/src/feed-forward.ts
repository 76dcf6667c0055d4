// The mixture-of-experts feed-forward layer: gate, router, plan, experts, auxiliary losses. The parts are in the other
// files; this one only puts them together behind core's FeedForward.
import {
  XMoEError, add, hashName, multiply, parameter, refuseUnknownKeys, requireFinite, requireInteger, requireName,
  type Engine, type FeedForward, type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import { CLAIM_PRIORITIES, gate, type ClaimPriority, type Router, type Routing, type StateTensors } from '@xmoe/routers';
import { createRouter, givenByModel, type RouterConfig } from '@xmoe/routers/by-name';
import { contributions, distillationLoss } from './distill.js';
import { expertsOfRank, type ExpertRanks } from './expert-ranks.js';
import { applyExperts, checkExperts, positivePerRow, requireActivation, type ExpertActivation, type ExpertsResult, type ExpertWeights } from './experts.js';
import { balanceState, firstChoices, layerState } from './layer-state.js';
import { planDispatch, type DispatchPath, type DispatchPlan } from './plan.js';
import { capacityOf, MIN_CAPACITY } from './reference/capacity.js';
import { applySharedExpert, sharedExpertParameters } from './shared-expert.js';
import { spreadExperts } from './spread-experts.js';
import { traceRouting, type RoutingTrace } from './trace.js';

export interface MoeFeedForwardConfig {
  /** Prefix of the parameters, e.g. `h.1.mlp`. */
  readonly name: string;
  /** d */
  readonly width: number;
  /** s, of one expert. */
  readonly hidden: number;
  /** N */
  readonly experts: number;
  /** Of an expert that every token takes beside those it is routed to; 0, the default: none. */
  readonly sharedHidden?: number;
  /** Default `gelu-tanh`. */
  readonly activation?: ExpertActivation;
  readonly router: RouterConfig;
  /** Default `padded`. */
  readonly dispatch?: DispatchPath;
  /** γ. Default 1. */
  readonly capacityFactor?: number;
  /** Padded path only. Default {@link MIN_CAPACITY}. */
  readonly minCapacity?: number;
  /** How claims compete where there is less room than claims. Default: as the router says, by rank first. */
  readonly priority?: ClaimPriority;
  /** Which tokens share a budget, on that path: those of the batch, or of each sequence alone (SeqTopK, arXiv 2511.06494). Default `batch`. */
  readonly pool?: 'batch' | 'sequence';
  /** Of the load-balance loss. Default 0.01. */
  readonly balanceCoefficient?: number;
  /** Which tokens the balance loss takes its shares of first choices from: its own, or all of the update before (global balance). Default `batch`. */
  readonly balanceOver?: 'batch' | 'update';
  /** Of the router z-loss. Default 0. */
  readonly zCoefficient?: number;
  /** Of the loss by which the gate learns what each expert contributes to all of them ({@link distillationLoss}). Default 0. */
  readonly distillCoefficient?: number;
  /** `copy`: all experts start equal, as in the published runs. Default `independent`. */
  readonly init?: 'independent' | 'copy';
  /** Of the router and W1. */
  readonly initStd: number;
  /** Of W2. Default: `initStd`. */
  readonly outputStd?: number;
  /** Number of token ids: the hash router needs it. */
  readonly vocabularySize?: number;
  /** Count positive hidden units when routing is collected: one more pass over them. Default false. */
  readonly trackPositive?: boolean;
  /** Those that hold the experts together; `apply` is called by all of them at once. Absent, or one: this rank holds all experts. */
  readonly ranks?: ExpertRanks;
}

const CONFIG_KEYS: readonly (keyof MoeFeedForwardConfig)[] = [
  'name', 'width', 'hidden', 'experts', 'sharedHidden', 'activation', 'router', 'dispatch', 'capacityFactor', 'minCapacity', 'priority', 'pool', 'balanceCoefficient', 'balanceOver',
  'zCoefficient', 'distillCoefficient', 'init', 'initStd', 'outputStd', 'vocabularySize', 'trackPositive', 'ranks',
];

/** A configuration with all defaults filled in, and its router. */
type Settings = Required<Omit<MoeFeedForwardConfig, 'vocabularySize' | 'router' | 'priority' | 'ranks'>> & Pick<MoeFeedForwardConfig, 'priority'> & {
  readonly router: Router;
  /** Null where this rank holds all experts. */
  readonly ranks: ExpertRanks | null;
};

/**
 * y = Σ over kept claims of w · E_i(x) (Eq. 2), plus the shared expert's if there is one; and the scaled auxiliary loss. Parameters: `name.router.weight` [d, N]
 * (unless the router has no gate; with more columns for null experts), `name.router.state.…` where the router keeps a state, `name.experts.w1` [N, d, s], `.b1` [N, s], `.w2` [N, s, d], `.b2` [N, d],
 * and those of {@link sharedExpertParameters}. Padding, and tokens without a kept claim where no expert is shared, give 0: they get only the residual. The auxiliary loss is computed in training, and whenever
 * routing is collected.
 * @throws XMoEError on unknown keys, names or bad values.
 */
export function createMoeFeedForward(config: MoeFeedForwardConfig): FeedForward<RoutingTrace> {
  const settings = readConfig(config);
  const { name, router, experts } = settings;
  const state = layerState(router, name, experts);
  const balance = settings.balanceOver === 'update' ? balanceState(name, experts) : null;
  const states = [state, balance].filter((one) => one !== null);
  return {
    parameters: [...parametersOf(settings), ...states.flatMap((one) => one.parameters)],
    states,
    apply(parameters, x, context) {
      const { engine } = x;
      const weights: ExpertWeights = {
        w1: parameter(parameters, `${name}.experts.w1`),
        b1: parameter(parameters, `${name}.experts.b1`),
        w2: parameter(parameters, `${name}.experts.w2`),
        b2: parameter(parameters, `${name}.experts.b2`),
      };
      checkExperts(weights, heldBy(settings).count, settings.width, settings.hidden);
      return engine.scope(() => {
        const collecting = context.collect !== 'nothing';
        const routing = routeTokens(settings, parameters, x, context, state?.read(parameters) ?? null, balance?.read(parameters).firstChoices ?? null);
        const { priority, pool } = settings;
        const poolTokens = pool === 'sequence' ? context.sequenceLength : undefined;
        const plan = planDispatch(routing, { ...settings, ...(priority ? { priority } : {}), ...(poolTokens ? { poolTokens } : {}) });
        const trackPositive = collecting && settings.trackPositive;
        const { output: routed, positive } = computeExperts(settings, x, routing.weights, plan, weights, context, trackPositive);
        const output = settings.sharedHidden === 0 ? routed : add(routed, applySharedExpert(parameters, name, x, context, settings.activation));
        const trace = collecting
          ? traceRouting({
              routing,
              plan,
              hidden: settings.hidden,
              positive,
              perToken: context.collect === 'tokens',
            })
          : null;
        const sums = {
          ...(state && routing.statistics ? state.named(routing.statistics) : {}),
          ...(balance && context.training && routing.probabilities ? balance.named(firstChoices(routing)) : {}),
        };
        return { output, auxLoss: scaledLoss(engine, settings, routing, context.training ? distilled(settings, routing, x, weights, context) : null), trace, sums: Object.keys(sums).length > 0 ? sums : null };
      });
    },
  };
}

/** The experts of this rank. */
const heldBy = ({ experts, ranks }: Settings): { begin: number; count: number } => (ranks ? expertsOfRank(experts, ranks) : { begin: 0, count: experts });

function computeExperts(
  { name, activation, ranks }: Settings, x: Tensor, weights: Tensor, plan: DispatchPlan, experts: ExpertWeights, { takeGradient }: ForwardContext, trackPositive: boolean,
): ExpertsResult {
  if (!ranks) return applyExperts(x, weights, plan, experts, activation, { trackPositive });
  const take: ForwardContext['takeGradient'] = takeGradient && ((of, source, gradient) => takeGradient(`${name}.experts.${of}`, source, gradient));
  const { output, counted } = spreadExperts({ x, weights, plan, experts, activation, ranks, countRows: trackPositive ? positivePerRow : null, take });
  return { output, positive: counted };
}

function routeTokens(settings: Settings, parameters: Parameters, x: Tensor, context: ForwardContext, state: StateTensors | null, first: Tensor | null): Routing {
  const { router, name, experts, capacityFactor, minCapacity, balanceCoefficient, zCoefficient } = settings;
  if (x.rank !== 2 || x.shape[1] !== settings.width) {
    throw new XMoEError('shape', `x is [${x.shape.join(', ')}], expected [tokens, ${settings.width}]`, { op: `moe layer ${name}`, hint: 'pass rows of the width of the layer' });
  }
  const collecting = context.collect !== 'nothing';
  const wanted = (coefficient: number): boolean => coefficient > 0 && (context.training || collecting);
  return router.route({
    engine: x.engine,
    logits: router.usesGate ? gate(x, parameter(parameters, `${name}.router.weight`), context.mask) : null,
    tokens: x.shape[0]!,
    experts,
    tokenIds: context.tokenIds,
    mask: context.mask,
    training: context.training,
    key: context.key,
    stream: hashName(`${name}.router`),
    capacity: capacityOf({ T: x.shape[0]!, N: experts, capacityFactor, minCapacity }),
    state,
    firstChoices: first,
    losses: { balance: collecting || wanted(balanceCoefficient), z: wanted(zCoefficient) },
  });
}

/** How far the gate is from what the experts contribute; null where nobody asks. */
function distilled({ distillCoefficient, activation }: Settings, { probabilities }: Routing, x: Tensor, weights: ExpertWeights, { mask }: ForwardContext): Tensor | null {
  return distillCoefficient > 0 ? distillationLoss(probabilities!, contributions(x, weights, activation, mask), mask) : null;
}

/** Each loss with its coefficient, of those there are, added up. */
function scaledLoss(engine: Engine, { balanceCoefficient, zCoefficient, distillCoefficient }: Settings, { balanceLoss, zLoss }: Routing, distillLoss: Tensor | null): Tensor | null {
  const parts = [[balanceLoss, balanceCoefficient], [zLoss, zCoefficient], [distillLoss, distillCoefficient]] as const;
  return engine.scope(() => parts.reduce<Tensor | null>((sum, [loss, coefficient]) => {
    if (!loss || coefficient === 0) return sum;
    const scaled = multiply(loss, coefficient);
    return sum ? add(sum, scaled) : scaled;
  }, null));
}

function parametersOf(settings: Settings): ParameterSpec[] {
  const { name, width, hidden, experts, sharedHidden, router, init, initStd, outputStd, ranks } = settings;
  const { begin, count } = heldBy(settings);
  const part = ranks ? { part: { begin, of: experts } } : {};
  const kind = init === 'copy' ? 'copies' : 'normal';
  const gateWeight: ParameterSpec = { name: `${name}.router.weight`, shape: [width, router.gateOutputs?.(experts) ?? experts], init: { kind: 'normal', std: initStd }, decay: true };
  return [
    ...(router.usesGate ? [gateWeight] : []),
    { name: `${name}.experts.w1`, shape: [count, width, hidden], init: { kind, std: initStd }, decay: true, ...part },
    { name: `${name}.experts.b1`, shape: [count, hidden], init: { kind: 'zeros' }, decay: false, ...part },
    { name: `${name}.experts.w2`, shape: [count, hidden, width], init: { kind, std: outputStd }, decay: true, ...part },
    { name: `${name}.experts.b2`, shape: [count, width], init: { kind: 'zeros' }, decay: false, ...part },
    ...sharedExpertParameters(name, { width, hidden: sharedHidden, initStd, outputStd }),
  ];
}

function readConfig(config: MoeFeedForwardConfig): Settings {
  const op = 'moe layer';
  refuseUnknownKeys(op, config, CONFIG_KEYS);
  const count = (key: 'width' | 'hidden' | 'experts'): number => requireInteger(op, key, config[key], 1);
  const notNegative = (key: 'balanceCoefficient' | 'zCoefficient' | 'distillCoefficient' | 'initStd' | 'outputStd', fallback?: number): number => {
    const value = requireFinite(op, key, config[key] ?? fallback);
    if (value >= 0) return value;
    throw new XMoEError('value', `${key} is ${value}, below 0`, { op, hint: 'pass 0 or more' });
  };
  if (typeof config.name !== 'string' || config.name === '') throw new XMoEError('value', 'name is no text', { op, hint: 'pass the prefix of the parameters, for example h.1.mlp' });
  const router = createRouter(givenByModel(config.router, { vocabularySize: config.vocabularySize }));
  const settings = {
    name: config.name,
    width: count('width'),
    hidden: count('hidden'),
    experts: count('experts'),
    sharedHidden: requireInteger(op, 'sharedHidden', config.sharedHidden ?? 0, 0),
    activation: requireActivation(config.activation ?? 'gelu-tanh'),
    router,
    dispatch: requireName(op, 'dispatch', config.dispatch ?? 'padded', ['padded', 'grouped', 'budget']),
    capacityFactor: config.capacityFactor ?? 1,
    minCapacity: config.minCapacity ?? MIN_CAPACITY,
    ...(config.priority === undefined ? {} : { priority: requireName(op, 'priority', config.priority, CLAIM_PRIORITIES) }),
    pool: requireName(op, 'pool', config.pool ?? 'batch', ['batch', 'sequence']),
    balanceCoefficient: notNegative('balanceCoefficient', 0.01),
    balanceOver: requireName(op, 'balanceOver', config.balanceOver ?? 'batch', ['batch', 'update']),
    zCoefficient: notNegative('zCoefficient', 0),
    distillCoefficient: notNegative('distillCoefficient', 0),
    init: requireName(op, 'init', config.init ?? 'independent', ['independent', 'copy']),
    initStd: notNegative('initStd'),
    outputStd: notNegative('outputStd', config.initStd),
    trackPositive: config.trackPositive ?? false,
    ranks: config.ranks && config.ranks.size > 1 ? config.ranks : null,
  };
  router.maxChoices(settings.experts); // the router must fit
  if (settings.distillCoefficient > 0) requireDistillable(op, settings);
  capacityOf({ T: 1, N: settings.experts, capacityFactor: settings.capacityFactor, minCapacity: settings.minCapacity });
  return settings;
}

/** Routers by softmax over the experts. */
const DISTILLABLE: ReadonlySet<string> = new Set(['threshold', 'controlled-threshold', 'topk', 'switch']);

function requireDistillable(op: string, { router, ranks }: Settings): void {
  const refuse = (problem: string, hint: string): never => {
    throw new XMoEError('config', `distillCoefficient: ${problem}`, { op, hint });
  };
  if (!DISTILLABLE.has(router.name)) refuse(`the ${router.name} router has no probability for each expert that its gate could be taught`, `use one of ${[...DISTILLABLE].join(', ')}`);
  if (ranks) refuse('experts are spread over ranks, and each token would have to meet all of them', 'train with expertParallel 1');
}
