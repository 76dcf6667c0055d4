// The kernels of TensorFlow's own library: a table of operations by the binding, host loops for what TensorFlow refuses (uint32, empty operands)
// or the host does sooner, core's fallbacks for the rest.
import type { AnyKernel, Backend, BackendKernels, FusedKernels, Operand, Operands } from '@xmoe/core';
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
import { groupedKernels, joiningKernels } from './experts.js';
import { createOps, type Ops, type Products } from './ops.js';
import { rowKernels } from './rows.js';
import { optimizerKernels } from './variables.js';

export interface TensorflowKernels {
  readonly kernels: BackendKernels;
  readonly ops: Ops;
  dispose(): void;
}

export interface TensorflowOptions {
  /** A read makes the host wait for a device, so that no kernel may do with a read what it can do without. */
  readonly waits: boolean;
  /** Default `float32`. */
  readonly products?: Products;
}

/** `dispatchClaims`, `host`: loops of the host. */
export function tensorflowKernels(
  tf: Tfjs, store: BoxStore, dispatchClaims: FusedKernels['dispatchClaims'], host: HostKernels, { waits, products = 'float32' }: TensorflowOptions,
): TensorflowKernels {
  const ops = createOps(tf, store, products);
  const read = (operand: Operand): ArrayLike<number> => store.storage.readSync(store.tensorOf(boxOf(operand)).dataId);
  const readNow = waits ? null : read;
  const pieces = createPieces(ops, readNow);
  const activations = createActivations(ops, pieces);
  const table = named({ ...nativeKernels(tf, 'tensorflow', store, host) });
  let fallbacks: FusedKernels | undefined;
  const others = (): FusedKernels => (fallbacks ??= createFallbacks({ allocate: store.allocate, free: store.free, kernels: table } as unknown as Backend));
  /** Where TensorFlow refuses an operand. */
  const instead = (name: string): AnyKernel => named(host)[name] ?? named(others())[name]!;

  const { groupedLinear, groupedLinearWeightGrad, ...grouped } = groupedKernels(ops, pieces, activations, read);
  const direct = {
    ...directElementwise(ops, pieces), ...directIndexing(ops, pieces), dropout: dropoutKernel(ops, pieces), ...grouped, ...rowKernels(ops, pieces), ...activationKernels(ops, pieces, activations), ...joiningKernels(ops, pieces, activations),
    // Core's own way through equal segments reads no offsets.
    ...(waits ? {} : { groupedLinear, groupedLinearWeightGrad }),
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
  // Small whole numbers, which the host has in its hands at once.
  if (!waits) Object.assign(table, { dispatchClaims, thresholdSelect: host.thresholdSelect });
  return {
    kernels: table as unknown as BackendKernels,
    ops,
    dispose() {
      freeMasks();
      ops.dispose();
    },
  };
}

/** Any kernels by their names. */
const named = (kernels: object): Record<string, AnyKernel> => kernels as unknown as Record<string, AnyKernel>;

function anyNeedsHost(operands: Operands): boolean {
  return Object.values(operands).some(needsHost);
}
