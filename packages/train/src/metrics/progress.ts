// The live display of a run: one line redrawn in place on a terminal, plain lines now and then elsewhere. It writes to the
// given stream only. Not the metrics log.
import { formatCompact, formatDuration, formatShare } from './format.js';
import { createSmoother } from './throughput.js';

export interface ProgressUpdate {
  /** Steps done. */
  step: number;
  loss: number;
  tokensPerSecond?: number;
  /** Mean over the MoE layers. */
  expertsPerToken?: number;
  /** 0 to 1. */
  dropRate?: number;
  /** Updates so far that changed nothing. */
  skippedUpdates?: number;
}

export interface Progress {
  update(update: ProgressUpdate): void;
  /** A line of its own above the bar: an evaluation, a saved checkpoint, a warning. */
  message(text: string): void;
  /** Draws the last state once more and leaves the cursor on a new line. */
  finish(): void;
}

/** What is needed of a stream: `process.stderr` fits. */
export interface ProgressStream {
  /** Text, which a terminal may get without control characters. */
  write(text: string): unknown;
  /** What this program composed with control characters of its own, passed on as it is. Default: `write`. */
  draw?(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface ProgressOptions {
  readonly stream: ProgressStream;
  readonly totalSteps: number;
  /** Steps done before this process, after a resume: they do not count for the time left. */
  readonly firstStep?: number;
  /** Seconds between lines when not on a terminal. Default 10. */
  readonly plainIntervalSeconds?: number;
  /** Default `process.env`: NO_COLOR (any value but empty) turns colours off, TERM=dumb redrawing. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';
const LOSS_DECAY = 0.9;
/** Steps that say nothing about the time left: they compile, measure tiles and record. */
const SETTLING_STEPS = 3;

/** Writes control characters of the program's own. */
export function drawOn(stream: ProgressStream, text: string): void {
  if (stream.draw) stream.draw(text);
  else stream.write(text);
}

/** The display for one run. */
export function createProgress(options: ProgressOptions): Progress {
  const { stream, totalSteps, firstStep = 0, plainIntervalSeconds = 10, environment = process.env } = options;
  const now = options.now ?? (() => performance.now());
  const live = stream.isTTY === true && environment.TERM !== 'dumb';
  const color = live && !environment.NO_COLOR;
  const smooth = createSmoother(LOSS_DECAY);
  let settled: { readonly step: number; readonly at: number } | undefined;
  let latest: (ProgressUpdate & { smoothLoss: number }) | undefined;
  let drawnAt = -Infinity;
  let drawnStep = -1;

  const secondsLeft = (step: number) => (settled && step > settled.step ? ((now() - settled.at) / 1000 / (step - settled.step)) * (totalSteps - step) : undefined);
  const draw = () => {
    if (!latest) return;
    drawnAt = now();
    drawnStep = latest.step;
    const fields = describe(latest, secondsLeft(latest.step), totalSteps);
    if (!live) stream.write(`${fields.join('  ')}\n`);
    // One column stays free: a terminal wraps when the last one is written.
    else drawOn(stream, CLEAR_LINE + fit(fields, latest.step / totalSteps, (stream.columns || 80) - 1, color));
  };
  return {
    update(update) {
      latest = { ...update, smoothLoss: smooth(update.loss) };
      if (update.step >= firstStep + SETTLING_STEPS) settled ??= { step: update.step, at: now() };
      const wait = live ? REDRAW_MS : plainIntervalSeconds * 1000;
      if (now() - drawnAt >= wait || (live && update.step >= totalSteps)) draw();
    },
    message(text) {
      if (live) drawOn(stream, CLEAR_LINE);
      stream.write(`${text}\n`);
      if (live) draw();
    },
    finish() {
      if (live || (latest && latest.step !== drawnStep)) draw();
      if (live && latest) stream.write('\n');
    },
  };
}

/** The parts of the line, the most important first. */
function describe(update: ProgressUpdate & { smoothLoss: number }, left: number | undefined, total: number): string[] {
  const { step, loss, smoothLoss, tokensPerSecond, expertsPerToken, dropRate, skippedUpdates = 0 } = update;
  const shown = Number.isFinite(loss) ? smoothLoss.toFixed(3) : String(loss);
  return [
    `step ${step}/${total}`,
    `loss ${shown}`,
    ...(skippedUpdates > 0 ? [`${skippedUpdates} skipped`] : []),
    ...(step >= total ? ['done'] : left === undefined ? [] : [`${formatDuration(left)} left`]),
    ...(tokensPerSecond === undefined ? [] : [`${formatCompact(Math.round(tokensPerSecond))} tok/s`]),
    ...(expertsPerToken === undefined ? [] : [`${expertsPerToken.toFixed(2)} experts/tok`]),
    ...(dropRate === undefined ? [] : [`${formatShare(dropRate)} dropped`]),
  ];
}

const BAR_LEAST = 10;
const BAR_MOST = 30;

/** As many parts as fit in `width` columns, with a bar in what is left. */
function fit(fields: readonly string[], share: number, width: number, color: boolean): string {
  const shown: string[] = [];
  let used = 0;
  for (const field of fields) {
    if (used + field.length + 2 > width - BAR_LEAST && shown.length > 0) break;
    shown.push(field);
    used += field.length + 2;
  }
  const text = shown.join('  ');
  const length = Math.min(BAR_MOST, width - used);
  if (length < BAR_LEAST) return text.slice(0, Math.max(0, width));
  const full = Math.max(0, Math.min(length, Math.round(share * length)));
  const bar = '█'.repeat(full);
  const rest = '░'.repeat(length - full);
  return `${color ? `\u001b[36m${bar}\u001b[2m${rest}\u001b[0m` : bar + rest}  ${text}`;
}
