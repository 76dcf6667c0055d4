// What a program that trains is apart from all others: its configuration, data, model and closing words. Seven members; what is the
// same for every task, from the command to the checkpoint, is open-training.ts and train-command.ts.
import type { Engine, FloatDType } from '@xmoe/core';
import type { RankGroups } from '@xmoe/distributed';
import type { BytePairTokenizer } from '@xmoe/text';
import type { dataFingerprint } from '@xmoe/text/node';
import type { Reduction, StoredTensor, Trainer } from '@xmoe/train';
import type { BatchSource, Evaluation, ProgressStream, RunOutcome } from '@xmoe/train/node';
import type { MemoryKnob, MemoryNeeds } from '@xmoe/models';
import type { TrainingRun } from './open-training.js';
import type { ReadInitialWeights } from './initial-weights.js';
import type { ConfigResolver } from './resolve-config.js';
import type { RunRecord } from './run-directory.js';

/** What every configuration of a training holds; the rest of it is the task's. */
export interface TaskConfig {
  train: {
    steps: number;
    seed: number;
    precision: FloatDType;
    /** How the gradients of micro-batches become one: see `Reduction` of @xmoe/train. */
    reduction?: Reduction;
    /** Ranks over which experts are spread. Absent: 1. */
    expertParallel?: number;
    evalEvery: number;
    checkpointEvery: number;
    keepCheckpoints: number;
    routingEvery: number;
  };
}

/** Prepared data, opened. */
export interface TaskData {
  readonly dataset: { readonly directory: string; readonly index: Parameters<typeof dataFingerprint>[0]; close(): void };
  readonly tokenizer: BytePairTokenizer;
}

/** A model on an engine, and what trains it. */
export interface TaskModel<Host> {
  readonly trainer: Trainer<Host>;
}

/** Batches, and when they make an update or end a run. */
export interface TaskBatches<Host> {
  readonly source: BatchSource<Host>;
  /** Micro-batches per update, or whether those so far are enough for one. */
  readonly accumulation: number | ((microBatches: readonly Host[]) => boolean);
  /** End the run after so many evaluations in a row without a better metric. Default: never. */
  readonly patience?: number;
  /** Also save after an evaluation with a better metric than all before. Default false. */
  readonly saveBest?: boolean;
}

/** What a completed run ends with. */
export interface Finished {
  /** For the terminal. */
  text: string;
  /** The same for --json. */
  document: object;
  /** Why the result is none, where it is not a number. */
  problem?: string;
}

export interface Task<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host> {
  readonly configuration: {
    /** The name of the program, for the records of its runs. */
    readonly program: string;
    readonly resolver: ConfigResolver<Config>;
    /** config.json of a run of this program. */
    readRecord(directory: string): Promise<RunRecord<Config>>;
    /** @throws XMoEError `config` when going on with `current` would make a run of `saved` another one */
    checkResumable(saved: unknown, current: Config, where: string): void;
    /** Weights that exist, for a run to begin with; absent where the task has none. */
    readonly readInitial?: ReadInitialWeights<Config>;
  };
  /** What can be said of a configuration alone. */
  readonly describe: {
    /** One line: what is trained. */
    headline(config: Config): string;
    /** Of the report of a run. */
    title(preset: string, config: Config): string;
    /** What --dry-run prints, and the same for --json. */
    dryRun(preset: string, config: Config): { text: string; document: object };
    /** Memory of each of so many ranks, by default one, and the settings that lower it. @throws XMoEError `config` for what could not be trained to an end */
    needs(config: Config, ranks?: number): { needs: MemoryNeeds; knobs: readonly MemoryKnob[] };
  };
  /** Opens the data of a run: those in `found`, which a run was trained on, or those of the configuration, made under `root` if need be. */
  prepare(config: Config, place: { root: string; found: string | undefined; stream: ProgressStream }): Promise<Data>;
  /** The model with fresh parameters, or with those that the run begins with; a checkpoint is loaded into its trainer later. `ranks`: who trains it. */
  build(config: Config, engine: Engine, data: Data, initial: { tensors: readonly StoredTensor[]; where: string } | undefined, ranks: RankGroups): Model;
  batches(config: Config, data: Data): TaskBatches<Host>;
  /** What scores the parameters as they are, called by all ranks at once; undefined without a split for it. */
  validate(run: Pick<TrainingRun<Config, Data, Model>, 'plan' | 'ranks' | 'device' | 'data' | 'model'>): (() => Promise<Evaluation>) | undefined;
  /**
   * Evaluates and reports a completed run. Null when a signal ended that: nothing is written then. Called by all ranks: the others compute with
   * the first, write nothing and return null.
   */
  finish(run: TrainingRun<Config, Data, Model>, outcome: RunOutcome): Promise<Finished | null>;
}
