// Repeating device work without its host code, where the backend records: a training step calls hundreds of kernels in the same
// order every time. Which work may be repeated is the caller's to say; what a recording is, is the backend's.
import type { CommandRecording } from './contract.js';
import type { Engine } from './engine.js';
import { collectTensors, mapTensors } from './tensor.js';

/**
 * A piece of device work. Its kernels depend on nothing of the host but the signature: what changes from time to time is in
 * tensors, written outside of segments, and these tensors are the same ones every time.
 */
export type Segment = <R>(fn: () => R) => R;

export interface Replay {
  /**
   * Runs `body`, whose device work is in segments. From the third time on with one signature, segments are replayed: `fn` is not
   * called, and the results are those tensors of the second time, with new contents. They are the caller's to dispose, as ever,
   * and hold their contents until the next replay. `body` may be asynchronous: then one at a time.
   */
  run<R>(signature: string, body: (segment: Segment) => R): R;
  /** How runs of this signature go now. `refused` has the reason: the host wrote or read a tensor inside a segment. */
  status(signature: string): 'new' | 'seen' | 'recorded' | { readonly refused: string };
  /** Frees the recordings and what they hold. */
  dispose(): void;
}

/** Beyond this many signatures the others always run as usual: a recording holds its results, and memory of its own. */
const MOST_SIGNATURES = 8;

interface RecordedSegment {
  readonly recording: CommandRecording;
  /** References of its own to the results. */
  readonly results: unknown;
}

type Entry = 'seen' | { readonly refused: string } | { readonly segments: readonly RecordedSegment[] };

/** On backends that do not record, runs everything as usual. */
export function createReplay(engine: Engine): Replay {
  return new SegmentReplay(engine);
}

class SegmentReplay implements Replay {
  readonly #engine: Engine;
  readonly #entries = new Map<string, Entry>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  run<R>(signature: string, body: (segment: Segment) => R): R {
    const entry = this.#entries.get(signature);
    if (typeof entry === 'object' && 'segments' in entry) return this.#runReplaying(entry.segments, body);
    const { backend, profiler } = this.#engine;
    // A timer of the host's sees calls of kernels, not replays.
    if (backend.record && profiler === backend.profiler) {
      if (entry === 'seen') return this.#runRecording(signature, body);
      if (entry === undefined && this.#entries.size < MOST_SIGNATURES) return this.#runWarmUp(signature, body);
    }
    return body((fn) => fn());
  }

  /**
   * The first time constants are made and kernels are compiled. It is recorded for its memory alone, which is that of all
   * recordings then: outside of them a second step's worth would lie idle from now on.
   */
  #runWarmUp<R>(signature: string, body: (segment: Segment) => R): R {
    const recordings: CommandRecording[] = [];
    this.#entries.set(signature, 'seen');
    return whenDone(() => body((fn) => {
      let made: unknown;
      const recording = this.#engine.backend.record!(() => (made = this.#engine.scope(fn)));
      if (!('refused' in recording)) recordings.push(recording);
      return made as ReturnType<typeof fn>;
    }), () => {
      for (const recording of recordings) recording.dispose();
    });
  }

  #runRecording<R>(signature: string, body: (segment: Segment) => R): R {
    const engine = this.#engine;
    const segments: RecordedSegment[] = [];
    let refused: string | undefined;
    const recordSegment: Segment = (fn) => {
      if (refused !== undefined) return fn();
      let made: unknown;
      const recording = engine.backend.record!(() => (made = engine.scope(fn)));
      if ('refused' in recording) refused = recording.refused;
      else segments.push({ recording, results: mapTensors(made, (tensor) => engine.retain(tensor)) });
      return made as ReturnType<typeof fn>;
    };
    return whenDone(() => body(recordSegment), (isWhole) => {
      if (isWhole) this.#entries.set(signature, refused === undefined ? { segments: segments.splice(0) } : { refused });
      free(segments); // those that are not kept
    });
  }

  #runReplaying<R>(segments: readonly RecordedSegment[], body: (segment: Segment) => R): R {
    let next = 0;
    return body(<S>(): S => {
      const { recording, results } = segments[next++]!;
      recording.replay();
      return mapTensors(results, (tensor) => this.#engine.alias(tensor)) as S;
    });
  }

  status(signature: string): ReturnType<Replay['status']> {
    const entry = this.#entries.get(signature);
    if (entry === undefined) return 'new';
    if (entry === 'seen' || 'refused' in entry) return entry;
    return 'recorded';
  }

  dispose(): void {
    for (const entry of this.#entries.values()) if (typeof entry === 'object' && 'segments' in entry) free(entry.segments);
    this.#entries.clear();
  }
}

/** What `make` returns, a promise too; `end` is called when it is done, and told whether it succeeded. */
function whenDone<R>(make: () => R, end: (isWhole: boolean) => void): R {
  let made: R;
  try {
    made = make();
  } catch (error) {
    end(false);
    throw error;
  }
  if (!(made instanceof Promise)) {
    end(true);
    return made;
  }
  return made.then((value: unknown) => {
    end(true);
    return value;
  }, (error: unknown) => {
    end(false);
    throw error;
  }) as R;
}

function free(segments: readonly RecordedSegment[]): void {
  for (const { recording, results } of segments) {
    for (const tensor of collectTensors(results)) tensor.dispose();
    recording.dispose();
  }
}
