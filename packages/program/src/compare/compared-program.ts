// What a program tells `compare` of its runs. Types only.
import type { JsonObject } from '@xmoe/files';
import type { FigureColumn, Figures, Quality } from '../experiments/experiment.js';
import type { RecordedRun } from '../experiments/run-files.js';
import type { RunRecord } from '../run-directory.js';
import type { TaskConfig } from '../task.js';

/** What prepared data hold, as hex digits that are equal for equal data. */
export interface DataIdentity {
  /** All splits and the tokenizer. */
  readonly all: string;
  /** What the test scores depend on: runs with other test data are not compared. */
  readonly test: string;
}

export interface ComparedProgram {
  /** Its name on the command line. */
  readonly program: string;
  /** config.json of a run. @throws XMoEError naming what is no run of this program */
  readRecord(directory: string): Promise<RunRecord<TaskConfig>>;
  /** Of the prepared data in a directory. */
  identify(data: string): Promise<DataIdentity>;
  readonly quality: Quality;
  readonly columns: readonly FigureColumn[];
  /** Keys of the columns that fit a terminal. */
  readonly few: readonly string[];
  /** What the summary and the metrics of a finished run say. Figures that are not finite stay out. */
  figures(recorded: RecordedRun, config: JsonObject): Figures;
  /** How much was scored, e.g. `32768 tokens`; undefined where nothing was. */
  scored(summary: JsonObject): string | undefined;
  /** Forward and backward FLOPs of the model for one token that the rows of metrics count, at the budget of its experts. */
  flopsPerToken(config: JsonObject): number;
}
