// What every backend on host memory shares: buffers, freeing, transfers. Where arrays lie and who computes is given.
import { XMoEError, formatShape, sizeOf, type Backend, type Kernels, type Operand, type TensorData } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { decodeHalves, encodeHalves } from './half.js';
import type { Recorder } from './engine/recorder.js';
import type { BufferPool } from './pool.js';
import { CpuBuffer, elements } from './storage.js';

/** What differs between the backends of this package. */
export interface HostBackendParts extends Pick<Backend, 'name' | 'description' | 'library' | 'dispose'> {
  readonly kernels: Kernels;
  readonly pool: BufferPool;
  /** Where the arrays lie in a memory of limited size. */
  readonly memoryBytes?: number;
  /** What repeats kernel calls, on arrays of the pool. Default: nothing does. */
  readonly recorder?: Recorder;
}

export function createHostBackend({ name, description, library, kernels, pool: ownPool, memoryBytes, recorder, dispose }: HostBackendParts): Backend {
  const pool = recorder?.pool ?? ownPool;

  function readSync(operand: Operand): TensorData {
    recorder?.refuse('a tensor is read by the host');
    const data = elements(operand);
    return data instanceof Uint16Array ? decodeHalves(data) : data.slice();
  }

  const hostView = (operand: Operand): Float32Array => elements(operand) as Float32Array;

  const noted = recorder?.noting(kernels) ?? kernels;
  const backend: Backend = {
    name,
    description,
    library,
    capabilities: { float16: true, maxBufferBytes: 2 ** 31, skipsEmptyRows: 'all', ...(memoryBytes === undefined ? {} : { memoryBytes }) },
    kernels: { ...noted, ...expertsByParts(noted, () => backend) },
    ...(recorder === undefined ? {} : { record: (fn: () => void) => recorder.record(fn), between: (fn: () => void) => recorder.between(fn), hostView }),
    allocate: (dtype, length) => new CpuBuffer(pool.take(dtype, length), dtype),
    free(buffer) {
      if (!(buffer instanceof CpuBuffer) || buffer.data === undefined) {
        throw new XMoEError('disposed', 'a buffer was freed twice or belongs to another backend', {
          op: 'free',
          hint: 'free each buffer once, on the backend that made it',
        });
      }
      pool.give(buffer.dtype, buffer.data);
      buffer.data = undefined;
    },
    write(operand, data) {
      recorder?.refuse('a tensor is written by the host');
      const target = elements(operand);
      if (data.length !== target.length || sizeOf(operand.shape) !== target.length) {
        const shape = formatShape(operand.shape);
        throw new XMoEError('shape', `${data.length} values for ${shape} in a buffer of ${target.length}`, {
          op: 'write',
          hint: 'give as many values as the shape has elements',
        });
      }
      if (target instanceof Uint16Array) encodeHalves(data, target);
      else if (operand.dtype === 'bool') for (let i = 0; i < target.length; i++) target[i] = data[i] !== 0 ? 1 : 0;
      else target.set(data);
    },
    // Copies at once: what happens to the buffer after the call does not show.
    read: async (operand) => readSync(operand),
    readSync,
    memory: () => ({ bytes: pool.bytes() }),
    dispose,
  };
  return backend;
}

type ExpertKernels = Pick<Kernels, 'expertsForward' | 'expertsBackward'>;

/** In float16 what passes from one product to the next is rounded, as between kernels: then a layer has the bits that it has over ranks, where rows travel in between. */
function expertsByParts(own: ExpertKernels, backend: () => Backend): ExpertKernels {
  let parts: ExpertKernels | undefined;
  const chosen = ({ dtype }: Operand): ExpertKernels => (dtype === 'float16' ? (parts ??= createFallbacks(backend())) : own);
  return {
    expertsForward: (inputs, outputs, attributes) => chosen(inputs.x).expertsForward(inputs, outputs, attributes),
    expertsBackward: (inputs, outputs, attributes) => chosen(inputs.x).expertsBackward(inputs, outputs, attributes),
  };
}
