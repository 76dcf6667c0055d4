// How kernels written for the host reach the contents of boxes: in place where the build's memory is host memory
// (cpu, wasm), through a copy elsewhere (node, CUDA). Not a kernel.
import type { Operand } from '@xmoe/core';
import { boxOf, roomyArray, type Box, type BoxStore, type HostArray } from './box.js';
import type { TfDataId, TfTensor } from './tfjs-module.js';

export interface Memory {
  /**
   * Runs `body` on typed arrays: `outputs` to be overwritten completely, `inputs` to be read. Arrays are valid only
   * inside `body`, which must not allocate on the device.
   */
  run(outputs: readonly Operand[], inputs: readonly Operand[], body: (outputs: HostArray[], inputs: HostArray[]) => void): void;
  /** As `run`, but `outputs` arrive with their contents. */
  update(outputs: readonly Operand[], inputs: readonly Operand[], body: (outputs: HostArray[], inputs: HostArray[]) => void): void;
}

/** Direct access to the contents behind a dataId. The array is dead after the next allocation on the device. */
export type ResidentView = (dataId: TfDataId, dtype: Operand['dtype'], length: number) => HostArray;

export function createResidentMemory(store: BoxStore, view: ResidentView): Memory {
  const viewOf = (box: Box): HostArray => box.words ?? view(store.tensorOf(box).dataId, box.dtype, box.length);
  const run = (keep: boolean): Memory['run'] => (outputs, inputs, body) => {
    // All storage is made before any view is taken: growing a wasm heap detaches views.
    for (const operand of outputs) {
      const box = boxOf(operand);
      if (!box.words) store.ownTensor(box, keep);
    }
    for (const operand of inputs) {
      const box = boxOf(operand);
      if (!box.words) store.tensorOf(box);
    }
    body(outputs.map((operand) => viewOf(boxOf(operand))), inputs.map((operand) => viewOf(boxOf(operand))));
  };
  return { run: run(false), update: run(true) };
}

export function createCopyMemory(store: BoxStore): Memory {
  const fetch = (operand: Operand): HostArray => {
    const box = boxOf(operand);
    return box.words ?? store.storage.readSync(store.tensorOf(box).dataId);
  };
  const blank = (operand: Operand): HostArray => {
    const box = boxOf(operand);
    return box.words ?? roomyArray(box.dtype, box.length);
  };
  const run = (keep: boolean): Memory['run'] => (outputs, inputs, body) => {
    const written = outputs.map((operand) => (keep && !boxOf(operand).words ? fetch(operand).slice() : blank(operand)));
    body(written, inputs.map(fetch));
    // All are made before any is put in its place: where there is no room for one, none changes.
    const boxes = outputs.map(boxOf);
    const made: (TfTensor | null)[] = [];
    try {
      boxes.forEach((box, index) => made.push(box.words ? null : store.make(written[index]!, box.length, box.dtype)));
    } catch (error) {
      for (const tensor of made) tensor?.dispose();
      throw error;
    }
    made.forEach((tensor, index) => tensor && store.replace(boxes[index], tensor));
  };
  return { run: run(false), update: run(true) };
}
