// The contract between core and backends: every primitive here, but those of experts in contract-experts.ts. Signatures only; no code.
//
// Rules that hold for every row:
// - A call is `kernel(inputs, outputs, attributes)`: operands by name, so that none can be taken for another. A field holds an operand, a
//   list of them, or null where the row says so; whoever looks at kernels from outside (checks, recordings) walks these names.
// - Kernels write into *given* outputs, completely (stale contents never show through). Inputs are never changed. An output never
//   shares a buffer with an input. A row that changes operands in place has `updates` instead of outputs: they are read too.
// - Operands are dense, row-major. A reshape is an alias, so kernels trust `shape` of the operand, not of the buffer.
// - No kernel waits for the host. What changes per step (keys, learning rate) comes from a buffer, never an attribute.
// - float: float32 or float16. All float operands of a call share one dtype unless the row says "float32 only".
//   Accumulation, softmax, norms and statistics are in float32 whatever the storage.
// - Any size may be 0. Index operands are int32.
// - NaN: element-wise ops, sums, max and min pass it on; orders (argReduce, topK, sortByKey) put it last; as an integer it is 0.
// - Ties break on the lowest index. Sums over scattered rows run in ascending source order. Results are deterministic.
import type { ExpertKernels } from './contract-experts.js';
import type { DType, TensorData } from './dtype.js';

/** Storage on a backend. Only the backend that made it looks inside. */
export interface BackendBuffer {
  /** Marks the type; never present at run time. */
  readonly __backendBuffer?: never;
}

/** A view that a kernel reads or writes: `shape` row-major over the whole buffer. Every Tensor is an Operand. */
export interface Operand {
  readonly buffer: BackendBuffer;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export type UnaryOp =
  | 'negate' | 'abs' | 'sign' | 'exp' | 'log' | 'sqrt' | 'rsqrt' | 'square' | 'reciprocal'
  | 'tanh' | 'erf' | 'sigmoid' | 'relu' | 'sin' | 'cos' | 'floor' | 'ceil' | 'logicalNot';

/** floorDivide and remainder: int32 and uint32 only, divisor > 0, rounding towards −∞ (remainder in [0, divisor)). */
export type BinaryOp =
  | 'add' | 'subtract' | 'multiply' | 'divide' | 'maximum' | 'minimum' | 'power'
  | 'floorDivide' | 'remainder' | 'logicalAnd' | 'logicalOr';

export type CompareOp = 'equal' | 'notEqual' | 'less' | 'lessEqual' | 'greater' | 'greaterEqual';

export type ReduceOp = 'sum' | 'max' | 'min';

export type Activation = 'none' | 'relu' | 'gelu-tanh' | 'gelu-erf';

/**
 * Which claims keep a row. `padded`: of each expert its C best, in C slots. `grouped`: every claim. `budget`: the best B
 * over all experts.
 */
export type DispatchPath = 'padded' | 'grouped' | 'budget';

/** x seen as [outer, size, inner]; the middle axis is reduced or scanned. */
export interface AxisView {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
}

export interface AttentionOptions {
  /** Heads per batch row: the leading dimension of q is B·heads. */
  readonly heads: number;
  /** Query i sees keys j ≤ i + (Tk − Tq). */
  readonly causal: boolean;
  readonly scale: number;
  /**
   * Dropout on the probabilities: element [b, i, j] is dropped when uniform(key, stream)[(b·Tq + i)·Tk + j] < rate. The whole index
   * counts, also beyond 2^32 pairs.
   */
  readonly dropoutRate: number;
  readonly stream: number;
}

export interface CrossEntropyChunk {
  /** Id of the first column of `logits` in the whole vocabulary. */
  readonly offset: number;
  readonly labelSmoothing: number;
  /** Size V of the whole vocabulary (not of the chunk). */
  readonly vocabulary: number;
}

/** The inputs of a primitive that reads nothing. */
export type NoOperands = Readonly<Record<string, never>>;

/** Primitives every backend implements. */
export interface RequiredKernels {
  /** out[…] = value. Any dtype. */
  fill(inputs: NoOperands, outputs: { out: Operand }, attributes: { value: number }): void;
  /** out[i] = start + i·step. int32, uint32 or float32; out [n]. */
  iota(inputs: NoOperands, outputs: { out: Operand }, attributes: { start: number; step: number }): void;
  /**
   * Uniform [0, 1) by Threefry-2x32-20, bit-equal to `fillUniform` of core: element i by the whole of i, also beyond 2^32. key uint32 [2];
   * out float32.
   */
  random(inputs: { key: Operand }, outputs: { out: Operand }, attributes: { stream: number }): void;
  /** Element-wise. float (negate, abs, sign also int32; logicalNot bool → bool). */
  unary(inputs: { x: Operand }, outputs: { out: Operand }, attributes: { op: UnaryOp }): void;
  /** NumPy broadcasting: a and b have the rank of out, each axis equal to out's or 1. logical*: bool. */
  binary(inputs: { a: Operand; b: Operand }, outputs: { out: Operand }, attributes: { op: BinaryOp }): void;
  /** As `binary`; out bool; a and b of one dtype, any. */
  compare(inputs: { a: Operand; b: Operand }, outputs: { out: Operand }, attributes: { op: CompareOp }): void;
  /** out = condition ? a : b, broadcasting as `binary`. condition bool; a, b, out of one dtype, any. */
  select(inputs: { condition: Operand; a: Operand; b: Operand }, outputs: { out: Operand }): void;
  /**
   * Converts between any two dtypes: float → int truncates, beyond the range to its nearest end, NaN to 0; int32 ↔ uint32 keeps the bits;
   * number → bool is ≠ 0, NaN included; bool → number is 0 or 1.
   */
  cast(inputs: { x: Operand }, outputs: { out: Operand }): void;
  /** [outer, size, inner] → [outer, inner]. float or int32. Over size 0: sum 0, max −∞, min +∞ (int32: −2^31, 2^31 − 1). */
  reduce(inputs: { x: Operand }, outputs: { out: Operand }, attributes: AxisView & { op: ReduceOp }): void;
  /** Lowest index of the extreme: [outer, size, inner] → int32 [outer, inner]. x float or int32, size ≥ 1. NaN only among nothing else. */
  argReduce(inputs: { x: Operand }, outputs: { out: Operand }, attributes: AxisView & { op: 'max' | 'min' }): void;
  /** Running sum along the last axis of [rows, n]; exclusive: out[0] = 0. float32 or int32, summed left to right. */
  cumsum(inputs: { x: Operand }, outputs: { out: Operand }, attributes: { exclusive: boolean }): void;
  /**
   * out[b] = op(a[b]) · op(b[b]). a [B, M, K] ([B, K, M] if transposeA), b [B or 1, K, N] ([.., N, K] if transposeB),
   * out [B, M, N]. float in; out float16 or float32.
   */
  matmul(inputs: { a: Operand; b: Operand }, outputs: { out: Operand }, attributes: { transposeA: boolean; transposeB: boolean }): void;
  /** Axis i of out is axis permutation[i] of x. Any dtype. */
  transpose(inputs: { x: Operand }, outputs: { out: Operand }, attributes: { permutation: readonly number[] }): void;
  /** out = x[begin[0] : begin[0] + out.shape[0], …]. Any dtype. */
  slice(inputs: { x: Operand }, outputs: { out: Operand }, attributes: { begin: readonly number[] }): void;
  /** Repeats axes of size 1: x has the rank of out. Any dtype. */
  broadcast(inputs: { x: Operand }, outputs: { out: Operand }): void;
  /** Joins along `axis`. At least one input. Any dtype. */
  concat(inputs: { parts: readonly Operand[] }, outputs: { out: Operand }, attributes: { axis: number }): void;
  /** out[i] = x[indices[i]]; a zero row where the index is outside 0 … R−1. x [R, D], indices [n], out [n, D]. Any dtype. */
  gatherRows(inputs: { x: Operand; indices: Operand }, outputs: { out: Operand }): void;
  /** out[r] = Σ x[i] over i with indices[i] = r, ascending i; others ignored. x [n, D], indices [n], out [R, D]. float32, float16, int32. */
  scatterAddRows(inputs: { x: Operand; indices: Operand }, outputs: { out: Operand }): void;
  /** out[r, j] = x[r, indices[r, j]], 0 where the index is outside. x [R, C], indices [R, k], out [R, k]. float, int32. */
  takeAlongLast(inputs: { x: Operand; indices: Operand }, outputs: { out: Operand }): void;
  /** out[r, c] = Σ_j x[r, j] over j with indices[r, j] = c. x [R, k], indices [R, k], out [R, C]. float, int32. */
  addAlongLast(inputs: { x: Operand; indices: Operand }, outputs: { out: Operand }): void;
  /** The k largest of each row, descending, NaN last, ties by lowest index. x float [R, C]; values [R, k]; indices int32 [R, k]. */
  topK(inputs: { x: Operand }, outputs: { values: Operand; indices: Operand }): void;
  /** Stable ascending argsort: keys[permutation[i]] ≤ keys[permutation[i+1]], NaN last. keys float32 or int32 [n]; int32 [n]. */
  sortByKey(inputs: { keys: Operand }, outputs: { permutation: Operand }): void;
  /** out[b] = how many x equal b; values outside 0 … bins−1 are ignored. x int32 [n], out int32 [bins]. */
  bincount(inputs: { x: Operand }, outputs: { out: Operand }): void;
  /**
   * Row r of segment g (offsets[g] ≤ r < offsets[g+1]) times w[g]. x [R, K], w [G, K, M] ([G, M, K] if transposeW),
   * offsets int32 [G + 1] ascending from 0, out [R, M]. Rows at or after offsets[G] become zero and cost nothing.
   */
  groupedMatmul(inputs: { x: Operand; w: Operand; offsets: Operand }, outputs: { out: Operand }, attributes: { transposeW: boolean }): void;
  /** out[g] = x[segment g]ᵀ · dy[segment g]; zero for an empty segment. x [R, K], dy [R, M], out [G, K, M]. */
  groupedMatmulWeightGrad(inputs: { x: Operand; dy: Operand; offsets: Operand }, outputs: { out: Operand }): void;
}

/** Primitives a backend may implement for speed. Core has a fallback for each, written in required ones. */
export interface FusedKernels extends ExpertKernels {
  /**
   * Softmax of the last axis. x float [R, C], out float (may be float32 for float16 x). A row of −∞ gives zeros; a row that
   * holds NaN or +∞ has no softmax and becomes NaN.
   */
  softmax(inputs: { x: Operand }, outputs: { out: Operand }): void;
  /** dx = y · (dy − Σ y·dy). y, dy, dx [R, C]. */
  softmaxGrad(inputs: { y: Operand; dy: Operand }, outputs: { dx: Operand }): void;
  /**
   * Of one chunk of the vocabulary, per row: peak = the largest logit (`LOWEST_FLOAT32` if none is above), sum = Σ exp(logits − peak),
   * total = Σ (logits − peak), or null where nobody asks; all three NaN where a logit is NaN or +∞. picked = the target's logit, 0 if the target is
   * not in the chunk, NaN if it is V or more: no id of the vocabulary. Nothing is kept as one log-sum-exp: with logits near c it
   * would be rounded to the spacing of floats at c.
   * logits [R, C], targets int32 [R] (ids in the whole vocabulary; negative: no target), others float32 [R].
   */
  crossEntropyStats(
    inputs: { logits: Operand; targets: Operand },
    outputs: { peak: Operand; sum: Operand; picked: Operand; total: Operand | null }, attributes: { offset: number; vocabulary: number },
  ): void;
  /**
   * dlogits = (exp(logits − peak) / sum − (1 − ε)·[column is target] − ε/V) · scale, with peak (no logit is above it) and sum of the
   * whole vocabulary. Zeros where there is no target (a negative id), whatever else the row holds; NaN where the id is V or
   * more, and where `sum` is NaN or 0. peak, sum, scale float32 [R].
   */
  crossEntropyGrad(
    inputs: { logits: Operand; targets: Operand; peak: Operand; sum: Operand; scale: Operand },
    outputs: { dlogits: Operand }, attributes: CrossEntropyChunk,
  ): void;
  /** (x − mean)·rstd·gamma + beta per row. x, out [R, D]; gamma, beta float32 [D]; mean, rstd float32 [R]. */
  layerNorm(inputs: { x: Operand; gamma: Operand; beta: Operand }, outputs: { out: Operand; mean: Operand; rstd: Operand }, attributes: { epsilon: number }): void;
  /**
   * dx [R, D]; dgamma, dbeta float32 [D]. `mean` and `rstd` are those of `layerNorm`. The rounding of `mean` is measured and taken out again:
   * far from 0 it would be a part of the deviations.
   */
  layerNormGrad(inputs: { x: Operand; gamma: Operand; mean: Operand; rstd: Operand; dy: Operand }, outputs: { dx: Operand; dgamma: Operand; dbeta: Operand }): void;
  /**
   * out = activation(x + bias[g]) for the rows of segment g. Of ±∞: 0 and ∞ for ReLU and GELU, whose slopes there are 0 and 1. x, out [R, C]; bias float32 or x's dtype [G, C] or null;
   * offsets int32 [G + 1], or null for one segment (G = 1). Rows at or after offsets[G] become zero.
   */
  biasActivation(inputs: { x: Operand; bias: Operand | null; offsets: Operand | null }, outputs: { out: Operand }, attributes: { activation: Activation }): void;
  /**
   * dx [R, C] and, if not null, dbias [G, C] (float32 or x's dtype). With activation none x and bias do not matter: core
   * passes dy for x and null for bias, dbias all the same.
   */
  biasActivationGrad(
    inputs: { x: Operand; bias: Operand | null; offsets: Operand | null; dy: Operand },
    outputs: { dx: Operand; dbias: Operand | null }, attributes: { activation: Activation },
  ): void;
  /**
   * softmax(scale·q·kᵀ + mask)·v. q [B·heads, Tq, D], k and v [B·heads, Tk, D], keyMask bool [B, Tk] (false: unseen, whatever k
   * and v hold there) or null,
   * key uint32 [2] (null when dropoutRate is 0), out as q. stats float32 [B·heads, Tq, 2]: of each query its largest score, and
   * 1 / Σ exp(score − largest). A query that sees no key gives zeros, and `LOWEST_FLOAT32` and 0.
   */
  attention(
    inputs: { q: Operand; k: Operand; v: Operand; keyMask: Operand | null; key: Operand | null },
    outputs: { out: Operand; stats: Operand }, attributes: AttentionOptions,
  ): void;
  /** Of `attention`, from its out and stats. Scores are computed as there, bit for bit: of large ones the rounding matters. */
  attentionGrad(
    inputs: { q: Operand; k: Operand; v: Operand; keyMask: Operand | null; key: Operand | null; out: Operand; stats: Operand; dout: Operand },
    outputs: { dq: Operand; dk: Operand; dv: Operand }, attributes: AttentionOptions,
  ): void;
  /** x / (1 − rate) where uniform(key, stream)[flat index] ≥ rate, else 0; the index as in `random`. Its gradient is itself on dy. */
  dropout(inputs: { x: Operand; key: Operand }, outputs: { out: Operand }, attributes: { rate: number; stream: number }): void;
  /**
   * AdamW (Loshchilov and Hutter 2019) in place on parameters, m and v: lists of one length with the gradients, float32, entry i of
   * each of one size.
   * hyper float32 [10]: learning rate, beta1, beta2, epsilon, weight decay, 1 − beta1^t, 1 − beta2^t, gradient scale, 1 − beta1, 1 − beta2
   * (formed on the host: in float32 little is left of 1 − β where β is near 1).
   * g = gradient·scale; p −= lr·(m̂/(√v̂ + ε) + decay·p). Without `decay` the weight decay is not applied.
   * A gradient scale of 0 means "skip this step": nothing changes, whatever the gradient holds.
   */
  adamStep(
    inputs: { gradients: readonly Operand[]; hyper: Operand },
    updates: { parameters: readonly Operand[]; m: readonly Operand[]; v: readonly Operand[] }, attributes: { decay: boolean },
  ): void;
  /**
   * In place: sums[indices[i]] += x[i], one after the other in ascending i; indices outside add nothing. x [n, D], indices [n], sums [R, D]. float32
   * only. For gradients that are there already: what `scatterAddRows` makes has as many rows as the table, nearly all of them zero.
   */
  addRows(inputs: { x: Operand; indices: Operand }, updates: { sums: Operand }): void;
  /** out float32 [1] = Σ x² over every x of the list: all float32 or all float16, of any shapes. 0 for none. */
  sumSquares(inputs: { parts: readonly Operand[] }, outputs: { out: Operand }): void;
  /**
   * XMoE Algorithm 1: of the K largest p of each token, descending (ties by lowest id), those that it takes: the
   * first m with m the smallest whose sum reaches t, at least 1, at most K; t ≥ 1 takes all K. A token whose mask is false takes none.
   * Sums are of whole units of 2^-30, into which each p is rounded down (NaN and below 0: none; above 1: as 1), and have reached t from
   * `massToReach(t, N)` units on: N equal p take j at t = j / N.
   * t is `threshold` of the inputs, float32 [1], as a double; the attribute where that is null.
   * p [T, N], mask bool [T] or null; values float32 [T, K] and indices int32 [T, K] (0 and −1 from the count on), counts
   * int32 [T]; K ≤ N.
   */
  thresholdSelect(
    inputs: { p: Operand; mask: Operand | null; threshold: Operand | null },
    outputs: { values: Operand; indices: Operand; counts: Operand }, attributes: { threshold: number },
  ): void;
  /**
   * The dispatch plan of one routing group (XMoE, Section 3.2). Claim c = t·K + j is token t's choice j, unused where its id is
   * outside 0 … N−1. Priority: rank j, then larger score, then lower token; with `rankOnly` rank, then lower token.
   * padded: of each expert its R/N best claims, row = expert·R/N + slot, by priority. grouped: every claim, by expert, then
   * claim; the caller gives R ≥ claims. budget: the R best claims over all experts, by expert, then priority.
   * expertIds int32 [T, K], scores float32 [T, K] → rowClaim int32 [R] (−1: empty row), rowToken int32 [R] (its token, −1),
   * claimRow int32 [T, K] (the inverse; −1: unused or dropped), offsets int32 [N + 1] (where each expert's rows begin; padded:
   * multiples of R/N; else empty rows come last), wanted int32 [N] (claims before dropping), load int32 [N] (claims with a row).
   */
  dispatchClaims(
    inputs: { expertIds: Operand; scores: Operand },
    outputs: { rowClaim: Operand; rowToken: Operand; claimRow: Operand; offsets: Operand; wanted: Operand; load: Operand },
    attributes: { dispatch: DispatchPath; rankOnly: boolean },
  ): void;
}

/** Every primitive: what an engine has, and what the reference backend implements. */
export type Kernels = RequiredKernels & FusedKernels;
/** What a backend implements: a fused primitive that it leaves out runs as core's fallback. */
export type BackendKernels = RequiredKernels & Partial<FusedKernels>;
export type KernelName = keyof Kernels;

/** The operands that a primitive reads, by name. */
export type KernelInputs<Name extends KernelName> = Parameters<Kernels[Name]>[0];
/** The operands that a primitive writes, by name. */
export type KernelOutputs<Name extends KernelName> = Parameters<Kernels[Name]>[1];
export type KernelAttributes<Name extends KernelName> = Parameters<Kernels[Name]>[2];

/** What a field of `inputs` or `outputs` holds. */
export type OperandField = Operand | readonly Operand[] | null;
/** `inputs` or `outputs` of any primitive, for those who look at kernels from outside. */
export type Operands = Readonly<Record<string, OperandField>>;
/** Any primitive, seen from outside. Without attributes the third argument is undefined. */
export type AnyKernel = (inputs: Operands, outputs: Operands, attributes: unknown) => void;

/** What a device can do, as data. */
export interface BackendCapabilities {
  readonly float16: boolean;
  /** Largest buffer in bytes. */
  readonly maxBufferBytes: number;
  /** Bytes of all buffers together at most, where that is known and may be less than the memory of the machine. */
  readonly memoryBytes?: number;
  /**
   * Whose multiplications leave out rows without a source (to within a tile): groupedLinear's and groupedLinearWeightGrad's (`all`), or
   * only the former's (`linear`). Default `none`: empty rows are multiplied as zeros.
   */
  readonly skipsEmptyRows?: 'all' | 'linear' | 'none';
  /** Elements of the logits that `linearCrossEntropy` makes at once, float32: as many as keep the device busy. Default 2²³. */
  readonly logitsAtOnce?: number;
}

/** Launches that were recorded once and run again without their host code. */
export interface CommandRecording {
  /** Runs all of it again, on whatever its inputs now hold, into the outputs of the first time. */
  replay(): void;
  dispose(): void;
}

/** Time of one kernel over the calls that were measured. */
export interface KernelTime {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
}

/** What `tune` did. */
export interface TuneReport {
  /** Kinds of work that were measured now. */
  readonly measured: number;
  /** Those that the time was too short for. */
  readonly left: number;
}

/** A device behind the contract. Make one with the backend package's `createXBackend`, give it to `createEngine`. */
export interface Backend {
  /** e.g. `cpu`, `tfjs:wasm`. */
  readonly name: string;
  /** One line for people: device, variant, versions. */
  readonly description: string;
  /** Name, version and kernels of a library outside of xmoe on which the last bits of results depend, where there is one that may be exchanged. */
  readonly library?: string;
  readonly capabilities: BackendCapabilities;
  readonly kernels: BackendKernels;
  /** A buffer of `length` elements with undefined contents. */
  allocate(dtype: DType, length: number): BackendBuffer;
  free(buffer: BackendBuffer): void;
  /** Replaces the whole contents. `data` has the length of the buffer; float16 is given as numbers and rounded here; bool: ≠ 0, NaN included. */
  write(operand: Operand, data: ArrayLike<number>): void;
  /** A copy of the contents. The only place where the host waits. */
  read(operand: Operand): Promise<TensorData>;
  /** As `read`, where the device can answer at once. Absent elsewhere. */
  readSync?(operand: Operand): TensorData;
  /** The memory of a float32 operand itself, where it is the host's: what kernels write shows in it until the buffer is freed. */
  hostView?(operand: Operand): Float32Array;
  /** Calls `fn` now and, within a recording, again in each replay, at the same place between its kernels. `fn` itself calls none. There where `hostView` is. */
  between?(fn: () => void): void;
  /**
   * Runs `fn` and keeps its kernel launches, where replaying them is cheaper than calling the kernels again. What `fn` reads
   * and does not make must stay alive; what it makes and keeps holds the results of each replay. `refused` says why not: the
   * host wrote or read a tensor inside. Recordings share memory: replaying one may overwrite what another kept.
   */
  record?(fn: () => void): CommandRecording | { readonly refused: string };
  /**
   * Spends about `milliseconds` (default 1,000) on finding faster ways to do what kernels were asked for so far. Results do not
   * change. Waits for the device. Does nothing within a recording or while the profiler runs; what was recorded stays as it is.
   */
  tune?(options?: { milliseconds?: number }): Promise<TuneReport>;
  /** Time per kernel, measured by the device. Slower while it runs. */
  readonly profiler?: { start(): void; stop(): Promise<readonly KernelTime[]> };
  /** Bytes that the backend holds, pools included. */
  memory(): { bytes: number };
  dispose(): void;
}
