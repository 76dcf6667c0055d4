// The kernels of TensorFlow's own library: a table of operations by the binding, host loops for what TensorFlow refuses (uint32, empty operands)
// or the host does sooner, core's fallbacks for the rest.
import { sizeOf, type AnyKernel, type Backend, type BackendKernels, type CommandRecording, type FusedKernels, type Operand, type Operands } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { boxOf, type BoxStore } from '../box.js';
import type { HostKernels } from '../kernels/host.js';
import { needsHost } from '../kernels/native-calls.js';
import { nativeKernels } from '../kernels/native.js';
import type { Tfjs } from '../tfjs-module.js';
import { activationKernels, createActivations } from './activation.js';
import { attentionKernels } from './attention.js';
import { dropoutKernel } from './dropout.js';
import { createPieces, directElementwise, directIndexing } from './elementwise.js';
import { groupedKernels, joiningKernels, type Offsets } from './experts.js';
import { createOps, type Ops, type Products } from './ops.js';
import { Recorder, type ShowModel } from './recorder.js';
import { rowKernels } from './rows.js';
import { optimizerKernels } from './variables.js';

export interface TensorflowKernels {
  readonly kernels: BackendKernels;
  /** Where recordings pay. `refuse`: the host looks into a tensor or writes one. */
  readonly recording: { record(fn: () => void): CommandRecording | { readonly refused: string }; refuse(reason: string): void } | null;
  dispose(): void;
}

export interface TensorflowOptions {
  /** A read makes the host wait for a device, so that no kernel may do with a read what it can do without. */
  readonly waits: boolean;
  /** Default `float32`. */
  readonly products?: Products;
  /** Shows the addon a graph in a file. Without it nothing is recorded. */
  readonly showModel?: ShowModel | undefined;
}

type Table = Record<string, AnyKernel>;

/** Kernels that stay the host's, or work on variables: a recording calls them between two parts of its graph. */
const CALLED = ['dispatchClaims', 'thresholdSelect', 'adamStep'] as const;

/** `dispatchClaims`, `host`: loops of the host, the former with {@link rememberingSpacing}. */
export function tensorflowKernels(
  tf: Tfjs, store: BoxStore, dispatchClaims: FusedKernels['dispatchClaims'], host: HostKernels, { waits, products = 'float32', showModel }: TensorflowOptions,
): TensorflowKernels {
  const ops = createOps(tf, store, products);
  const read = (operand: Operand): ArrayLike<number> => store.storage.readSync(store.tensorOf(boxOf(operand)).dataId);
  const base = named({ ...nativeKernels(tf, 'tensorflow', store, host) });
  const bounds: Offsets = { read, batches: waits ? () => true : isSpaced };
  const { table: plain, dispose } = tableOf(store, ops, base, named(host), { bounds, readNow: waits ? null : read, hasRagged: !waits });
  // Small whole numbers, which the host has in its hands at once.
  if (!waits) Object.assign(plain, { dispatchClaims, thresholdSelect: host.thresholdSelect });
  if (waits || !showModel) return { kernels: plain as unknown as BackendKernels, recording: null, dispose };

  const recorder = new Recorder(ops.binding, store, showModel);
  const called = (kernels: Table): Table => Object.fromEntries(Object.entries(kernels).map(([name, kernel]) => [name, recorder.calling(kernel)]));
  const notedOps = createOps(tf, store, products, recorder.watch);
  const noted = tableOf(store, notedOps, called(plain), called(named(host)), { bounds: { read: spacedNumbers, batches: isSpaced }, readNow: null, hasRagged: true });
  for (const name of CALLED) noted.table[name] = recorder.calling(plain[name]!);
  Object.assign(noted.table, recordedIota(notedOps, noted.table['iota']!));
  return {
    kernels: eitherOf(plain, noted.table, () => recorder.isActive) as unknown as BackendKernels,
    recording: { record: (fn) => recorder.record(fn, ops), refuse: (reason) => recorder.refuse(reason) },
    dispose() {
      noted.dispose();
      dispose();
    },
  };
}

/** The numbers are the same in every replay: no reason to leave the graph for them. */
function recordedIota(ops: Ops, instead: AnyKernel): Pick<BackendKernels, 'iota'> {
  return {
    iota(inputs, { out }, { start, step }) {
      if (out.dtype !== 'int32' || needsHost(out)) return instead(inputs, { out }, { start, step });
      ops.step(() => ops.put(out, ops.upload(Int32Array.from({ length: sizeOf(out.shape) }, (_, index) => start + index * step), out.shape)));
    },
  };
}

/** Remembers that experts have equal parts where they do for any data: a recording may rely on it, and so a step in full does no other products. */
export const rememberingSpacing = (dispatchClaims: FusedKernels['dispatchClaims']): FusedKernels['dispatchClaims'] => (inputs, outputs, attributes) => {
  dispatchClaims(inputs, outputs, attributes);
  const [experts, rows] = [outputs.load, outputs.rowClaim].map(({ shape }) => sizeOf(shape)) as [number, number];
  if (attributes.dispatch === 'padded' && experts > 0) boxOf(outputs.offsets).spacing = Math.floor(rows / experts);
};

const isSpaced = (operand: Operand): boolean => boxOf(operand).spacing > 0;

function spacedNumbers(operand: Operand): Int32Array | null {
  const { spacing: step, length } = boxOf(operand);
  return step > 0 ? Int32Array.from({ length }, (_, index) => index * step) : null;
}

/** The kernels of `recorded` while a recording is under way. */
function eitherOf(plain: Table, recorded: Table, isActive: () => boolean): Table {
  return Object.fromEntries(Object.keys(plain).map((name) => [name, (inputs, outputs, attributes) => (isActive() ? recorded : plain)[name]!(inputs, outputs, attributes)] as [string, AnyKernel]));
}

interface Reading {
  readonly bounds: Offsets;
  /** What costs no waiting. */
  readonly readNow: ((operand: Operand) => ArrayLike<number>) | null;
  /** Experts' products are of segments that the host or TensorFlow's SplitV cuts; else core's own way, which reads no offsets where segments are equal. */
  readonly hasRagged: boolean;
}

/** `base`: kernels for what has no operations here. `host`: what runs where TensorFlow refuses an operand. */
function tableOf(store: BoxStore, ops: Ops, base: Table, host: Table, { bounds, readNow, hasRagged }: Reading): { table: Table; dispose(): void } {
  const pieces = createPieces(ops, readNow);
  const activations = createActivations(ops, pieces);
  const table = { ...base };
  let fallbacks: FusedKernels | undefined;
  const others = (): FusedKernels => (fallbacks ??= createFallbacks({ allocate: store.allocate, free: store.free, kernels: table } as unknown as Backend));
  const instead = (name: string): AnyKernel => host[name] ?? named(others())[name]!;

  const { groupedLinear, groupedLinearWeightGrad, ...grouped } = groupedKernels(ops, pieces, activations, bounds);
  const direct = {
    ...directElementwise(ops, pieces), ...directIndexing(ops, pieces), dropout: dropoutKernel(ops, pieces), ...grouped, ...rowKernels(ops, pieces), ...activationKernels(ops, pieces, activations), ...joiningKernels(ops, pieces, activations),
    ...(hasRagged ? { groupedLinear, groupedLinearWeightGrad } : {}),
  };
  for (const [name, kernel] of Object.entries(named(direct))) {
    table[name] = (inputs, outputs, attributes) => {
      if (anyNeedsHost({ ...inputs, key: null }) || anyNeedsHost(outputs)) instead(name)(inputs, outputs, attributes);
      else ops.step(() => kernel(inputs, outputs, attributes));
    };
  }
  // These know what they do not cover, and make their own steps.
  const { dispose: freeMasks, ...attention } = attentionKernels(ops, pieces, others);
  Object.assign(table, attention, optimizerKernels(ops, pieces, readNow, others));
  return {
    table,
    dispose() {
      freeMasks();
      ops.dispose();
    },
  };
}

/** Any kernels by their names. */
const named = (kernels: object): Table => kernels as unknown as Table;

function anyNeedsHost(operands: Operands): boolean {
  return Object.values(operands).some(needsHost);
}
