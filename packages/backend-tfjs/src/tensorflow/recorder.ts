// Records a piece of work on TensorFlow's library as a graph: its operations run in one call then, side by side where they can, and TensorFlow joins
// some of them. What cannot be in a graph (a kernel that reads on the host, the optimizer's variables) is called between two parts of it. Which work
// may be repeated is @xmoe/core's replay.ts.
import { XMoEError, type AnyKernel, type CommandRecording, type DType, type Operand, type OperandField, type Operands } from '@xmoe/core';
import { boxOf, type Box, type BoxStore } from '../box.js';
import { Graph, type Attribute, type AttributeKinds, type Feed, type Id, type Made, type Result } from './graph.js';
import { encodeSavedModel, MODEL_TAG } from './saved-model.js';

/** Writes a model where `load` finds it as long as that runs: `saved_model.pb` in a folder. */
export type ShowModel = (model: Uint8Array, load: (folder: string) => number) => number;

/** What the addon has for graphs. */
export interface GraphBinding extends AttributeKinds {
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(model: number): void;
  runSavedModel(model: number, inputs: readonly Id[], inputNames: string, outputNames: string): Result[];
  tensorDataSync(id: Id): Float32Array | Int32Array | Uint8Array;
}

/** What runs recordings: operations by number outside of them. */
export interface Runner {
  id(operand: Operand): Id;
  upload(values: Float32Array, shape: readonly number[]): Id;
  /** Takes `id` as made in this step. */
  adopt(id: Id): Id;
  put(out: Operand, id: Id): void;
  step(body: () => void): void;
}

/** What is told to a recording as it happens. */
export interface Watch {
  ran(operation: string, attributes: readonly Attribute[], inputs: readonly Id[], results: readonly Result[]): void;
  /** `id` holds the contents of the operand. */
  read(id: Id, operand: Operand): void;
  /** `id` holds numbers that are the same each time. */
  fixed(id: Id, dtype: DType, shape: readonly number[]): void;
  /** `id` holds what is made anew each time of what `from` then holds. */
  fed(id: Id, from: Operand, made: Made): void;
  /** `id` becomes the contents of `out`. */
  put(out: Operand, id: Id): void;
  freed(id: Id): void;
}

interface Part {
  readonly feeds: readonly Feed[];
  /** What boxes hold after it. */
  readonly results: ReadonlyMap<Box, Fetch>;
}

interface Fetch {
  readonly name: string;
  readonly operand: Operand;
}

interface Call {
  readonly kernel: AnyKernel;
  readonly inputs: Operands;
  readonly outputs: Operands;
  readonly attributes: unknown;
}

type Work = { readonly part: { readonly feeds: readonly Feed[]; readonly fetches: readonly Fetch[] } } | { readonly call: Call };

interface Underway {
  readonly graph: Graph;
  readonly work: (Part | Call)[];
  /** Of the present part. */
  results: Map<Box, Fetch>;
  /** All that were seen, which live as long as this does. */
  readonly boxes: Set<Box>;
  refused: string | undefined;
}

export class Recorder {
  readonly watch: Watch;
  private readonly binding: GraphBinding;
  private readonly store: BoxStore;
  private readonly show: ShowModel;
  private readonly constants = new Map<Id, { readonly dtype: DType; readonly shape: readonly number[] }>();
  private current: Underway | undefined;

  constructor(binding: GraphBinding, store: BoxStore, show: ShowModel) {
    this.binding = binding;
    this.store = store;
    this.show = show;
    this.watch = {
      ran: (operation, attributes, inputs, results) => this.noting(({ graph }) => {
        graph.note(operation, attributes, inputs.map((id) => this.named(graph, id)), results);
      }),
      read: (id, operand) => this.noting(({ graph }) => {
        if (graph.nameOf(id) === undefined) graph.feed(id, this.lasting(operand));
      }),
      fixed: (id, dtype, shape) => void this.constants.set(id, { dtype, shape: [...shape] }),
      fed: (id, from, made) => this.noting(({ graph }) => graph.feed(id, this.lasting(from), made)),
      put: (out, id) => this.noting(({ graph, results }) => {
        const operand = this.lasting(out);
        results.set(boxOf(operand), { name: this.named(graph, id), operand });
      }),
      freed: (id) => void this.constants.delete(id),
    };
  }

  /** Whether kernels are noted now. */
  get isActive(): boolean {
    return this.current !== undefined && this.current.refused === undefined;
  }

  /** What cannot be repeated happened: the recording is refused with this reason. */
  refuse(reason: string): void {
    if (this.current) this.current.refused ??= reason;
  }

  /** `kernel`, called by the host between two parts of the graph. */
  calling(kernel: AnyKernel): AnyKernel {
    return (inputs, outputs, attributes) => {
      this.noting((underway) => {
        this.endPart(underway);
        underway.work.push({ kernel, inputs: this.lastingAll(inputs), outputs: this.lastingAll(outputs), attributes });
      });
      kernel(inputs, outputs, attributes);
    };
  }

  /** As the contract has it; `run` runs the parts of the graph. */
  record(fn: () => void, runner: Runner): CommandRecording | { readonly refused: string } {
    if (this.current) throw new XMoEError('backend', 'a recording is under way', { op: 'record', hint: 'end it first' });
    const underway: Underway = { graph: new Graph(this.binding), work: [], results: new Map(), boxes: new Set(), refused: undefined };
    this.current = underway;
    try {
      fn();
      if (underway.refused === undefined) {
        this.endPart(underway);
        return this.recordingOf(underway, runner);
      }
    } finally {
      this.current = undefined;
      for (const box of underway.boxes) this.store.letGo(box);
    }
    return { refused: underway.refused };
  }

  private noting(note: (underway: Underway) => void): void {
    if (this.current !== undefined && this.current.refused === undefined) note(this.current);
  }

  /** The name of `id`, which is a constant where the graph has no other. */
  private named(graph: Graph, id: Id): string {
    const known = graph.nameOf(id);
    if (known !== undefined) return known;
    const constant = this.constants.get(id);
    if (constant) return graph.constant(id, { ...constant, values: this.binding.tensorDataSync(id).slice() });
    this.refuse('an operation takes what was not recorded');
    return '';
  }

  /** The operand without its tensor, whose box stays. */
  private lasting({ buffer, shape, dtype }: Operand): Operand {
    const operand = { buffer, shape: [...shape], dtype };
    const box = boxOf(operand);
    if (!this.current!.boxes.has(box)) {
      this.current!.boxes.add(box);
      this.store.retain(box);
    }
    return operand;
  }

  private lastingAll(operands: Operands): Operands {
    const field = (value: OperandField): OperandField => (value === null ? null : 'buffer' in value ? this.lasting(value) : value.map((operand) => this.lasting(operand)));
    return Object.fromEntries(Object.entries(operands).map(([name, value]) => [name, field(value)]));
  }

  private endPart(underway: Underway): void {
    const { graph, results } = underway;
    const feeds = graph.endPart();
    if (results.size > 0) underway.work.push({ feeds, results });
    underway.results = new Map();
  }

  private recordingOf({ graph, work: recorded, boxes }: Underway, runner: Runner): CommandRecording | { readonly refused: string } {
    const { store, binding } = this;
    const { work, used } = needed(recorded, boxes);
    let model: number;
    try {
      model = this.show(encodeSavedModel(graph.nodes), (folder) => binding.loadSavedModel(folder, MODEL_TAG));
    } catch (cause) {
      return { refused: `TensorFlow does not take the step as a graph: ${(cause as Error).message?.split('\n')[0]}` };
    }
    for (const box of used) store.retain(box);
    /** What was made and freed inside, or by a later recording of the same update: empty between replays. */
    const passing = [...used].filter(({ released }) => released);
    let disposed = false;
    return {
      replay() {
        if (disposed) throw new XMoEError('disposed', 'a recording was replayed after it was disposed', { op: 'replay', hint: 'record again' });
        for (const one of work) {
          if ('call' in one) one.call.kernel(one.call.inputs, one.call.outputs, one.call.attributes);
          else runPart(binding, model, one.part, runner);
        }
        for (const box of passing) store.empty(box);
      },
      dispose() {
        if (disposed) return;
        disposed = true;
        binding.deleteSavedModel(model);
        for (const box of used) store.letGo(box);
      },
    };
  }
}

/** Which results of parts somebody takes later: another part, a call, or who holds the box when the work is done. */
function needed(recorded: readonly (Part | Call)[], boxes: ReadonlySet<Box>): { work: readonly Work[]; used: ReadonlySet<Box> } {
  const wanted = new Set([...boxes].filter(({ released }) => !released));
  const used = new Set<Box>();
  const work: Work[] = [];
  const want = (operand: Operand): void => {
    const box = boxOf(operand);
    wanted.add(box);
    used.add(box);
  };
  for (const one of recorded.toReversed()) {
    if ('kernel' in one) {
      for (const operands of [one.inputs, one.outputs]) for (const field of Object.values(operands)) listed(field).forEach(want);
      work.unshift({ call: one });
      continue;
    }
    const fetches = [...one.results].filter(([box]) => wanted.delete(box)).map(([box, fetch]) => (used.add(box), fetch));
    for (const { operand } of one.feeds) want(operand);
    if (fetches.length > 0) work.unshift({ part: { feeds: one.feeds, fetches } });
  }
  return { work, used };
}

const listed = (field: OperandField): readonly Operand[] => (field === null ? [] : 'buffer' in field ? [field] : field);

function runPart(binding: GraphBinding, model: number, { feeds, fetches }: { readonly feeds: readonly Feed[]; readonly fetches: readonly Fetch[] }, runner: Runner): void {
  runner.step(() => {
    const inputs = feeds.map(({ operand, made }) => (made ? runner.upload(made.make(operand), made.shape) : runner.id(operand)));
    const outputs = binding.runSavedModel(model, inputs, feeds.map(({ name }) => name).join(), fetches.map(({ name }) => name).join());
    outputs.forEach(({ id }) => runner.adopt(id));
    fetches.forEach(({ operand }, index) => runner.put(operand, outputs[index]!.id));
  });
}
