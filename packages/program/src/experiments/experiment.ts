// What an experiment is, as data: arms that are trained, how each is evaluated, the tables that show them and the claims that they
// are to decide. Which there are is the program's; running and reporting them is the other files'.
import type { JsonObject } from '@xmoe/files';
import type { Chart } from '../report/charts.js';

/**
 * One model that is trained: a valid configuration but for its seed, which the plan sets at `train.seed`. Defaults are left out: a run is
 * known by this text, also to later versions that have more of them.
 */
export interface Arm {
  /** For the names of run directories: lower case, digits and dashes. Arms of one configuration have one name. */
  readonly name: string;
  readonly config: JsonObject;
  /** The arm whose weights a run begins with: of the same seed, and made before it. Absent: random ones. */
  readonly from?: Arm;
}

/** How a trained model is evaluated; what its keys mean, the program says. */
export type Point = JsonObject;

/** One line of a table: a model, evaluated in one way. */
export interface Row {
  readonly label: string;
  readonly arm: Arm;
  readonly point: Point;
  /** What others published for it, by the title of its column. */
  readonly published?: Readonly<Record<string, number>>;
}

/** Rows that may be compared: one size, one corpus. */
export interface RowGroup {
  readonly title: string;
  readonly note?: string;
  readonly rows: readonly Row[];
  /** The row that the differences of all others are from. */
  readonly baseline?: Row;
}

/** A sentence that two rows decide. */
export interface Claim {
  /** As its author has it. */
  readonly text: string;
  readonly row: Row;
  readonly than: Row;
  /** `better`: by more than the noise. `no worse`: not worse by more than the noise, nor by `within` of the figure. */
  readonly expect: 'better' | 'no worse';
  /** Relative to the figure, as `0.01`; default 0. */
  readonly within?: number;
}

/** What is measured and not trained, e.g. times: once per folder, and kept as JSON. */
export interface Measurement {
  /** Of its file. */
  readonly name: string;
  /** What it takes about, seconds. */
  readonly seconds: number;
  /** @param backend as --backend has it */
  measure(backend: string): Promise<JsonObject>;
  show(measured: JsonObject): Shown;
}

/** A table of texts, and charts, of a measurement. */
export interface Shown {
  readonly columns: readonly { readonly title: string; readonly numeric?: boolean }[];
  readonly rows: readonly (readonly string[])[];
  readonly sentences: readonly string[];
  readonly charts: readonly Chart[];
}

export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** What it asks, and what to know when reading it; one or two sentences. */
  readonly question: string;
  readonly groups: readonly RowGroup[];
  readonly claims: readonly Claim[];
  /** Keys of columns that its tables show beside the quality; default: all. */
  readonly columns?: readonly string[];
  /** What its rows do not say. Run directories of an arm are those that are finished. */
  charts?(results: Results): Chart[];
  readonly measurement?: Measurement;
  /** What follows from several rows together. */
  readonly derived?: Derived;
}

/** Numbers that rest on more rows than one, as JSON, and how they are shown. */
export interface Derived {
  measure(results: Results): JsonObject;
  show(measured: JsonObject): Shown;
}

/** Named numbers of one model, evaluated in one way. */
export type Figures = Readonly<Record<string, number>>;

/** What has been measured so far. */
export interface Results {
  /** By seed, in their order; undefined where the run or the evaluation is missing. */
  figures(row: Pick<Row, 'arm' | 'point'>): readonly (Figures | undefined)[];
  /** Run directories of an arm's finished runs. */
  directories(arm: Arm): readonly string[];
}

/** A column of the tables. */
export interface FigureColumn {
  /** Of the figures. */
  readonly key: string;
  readonly title: string;
  /** What it is, for the legend. */
  readonly meaning: string;
  readonly digits: number;
  /** Shown as a percentage. */
  readonly share?: boolean;
  /** Shown as `1.23G`, for what spans powers of ten. */
  readonly compact?: boolean;
}

/** The figure that decides. */
export interface Quality extends FigureColumn {
  readonly lowerIsBetter: boolean;
  /** Of differences, e.g. `nats`. */
  readonly unit: string;
  /** What a difference of this figure, about a value, means in another way, e.g. `6.4 % of perplexity`. */
  readonly inOtherWords?: (difference: number) => string;
}
