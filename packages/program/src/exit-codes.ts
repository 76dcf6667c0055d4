// Which exit code a program ends with: one table, by the kind of the error. Raising errors and printing them is elsewhere.
import { isXMoEError, type ErrorCode } from '@xmoe/core';
import { STOP_EXIT_CODES } from '@xmoe/train/node';
import { wrapText } from './wrap-text.js';

/** By kind; where sysexits.h has a name for it, the number is that one. After a signal: 128 + its number. */
export const EXIT_CODES = {
  done: 0,
  /** A fault of the program. */
  unexpected: 1,
  /** The command line or the configuration. */
  usage: 2,
  /** No valid checkpoint where one is needed. */
  checkpoint: 3,
  data: 65,
  /** The run diverged, or ended without a finite result. */
  noResult: 70,
  /** The device, its memory or the machine's. */
  device: 71,
  io: 74,
  /** Another process has the run directory. */
  busy: 75,
} as const;

const MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  done: 'done',
  unexpected: 'an unexpected error, which is a fault of the program',
  usage: 'the command line or the configuration is wrong',
  checkpoint: 'there is no valid checkpoint',
  data: 'the data is missing, damaged or too little',
  noResult: 'the run diverged, or ended without a finite result',
  device: 'the backend does not work here, or memory does not suffice',
  io: 'a file cannot be read or written, e.g. a full disk',
  busy: 'another process has the run directory',
};

const KINDS: Readonly<Partial<Record<ErrorCode, keyof typeof EXIT_CODES>>> = {
  config: 'usage', value: 'usage', checkpoint: 'checkpoint', data: 'data', numerics: 'noResult', backend: 'device', memory: 'device', io: 'io', busy: 'busy',
};

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (isXMoEError(error)) return EXIT_CODES[KINDS[error.code] ?? 'unexpected'];
  return EXIT_CODES[isFromSystem(error) ? 'io' : 'unexpected'];
}

/** What the system refuses (a full disk, no permission) is no fault of the program. */
export function isFromSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** All of them, for --help. */
export function exitCodesText(): string {
  const kinds = (Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[]).map((kind) => `${EXIT_CODES[kind]} ${MEANINGS[kind]}`);
  const signals = Object.entries(STOP_EXIT_CODES).map(([signal, code]) => `${code} ${signal}`).join(', ');
  return wrapText(`Exit codes: ${kinds.join('; ')}; 128 + n after signal n, saved: ${signals}`, HELP_COLUMNS);
}

const HELP_COLUMNS = 100;
