// What a section of `npm run faults` found: how many faults were tried, how many ended as promised, and what the others did.

/** One promise under one kind of fault. */
export interface FaultResult {
  /** Of docs/reliability.md, e.g. `F1`. */
  readonly fault: string;
  /** What was done, in a few words. */
  readonly what: string;
  readonly tried: number;
  readonly passed: number;
  /** One line per failure, and what the number alone does not say. */
  readonly notes: readonly string[];
}

/** What a section is told. */
export interface SectionOptions {
  /** An empty folder of its own. */
  readonly folder: string;
  /** How the programs are started. */
  readonly launch: Launch;
  /** The share of the full form to do, above 0 and up to 1. At least one case of each kind is done. */
  readonly share: number;
  /** Processes side by side. */
  readonly jobs: number;
  readonly seed: number;
  /** Told one line after another of what goes on. */
  say(line: string): void;
}

export type Section = (options: SectionOptions) => Promise<FaultResult[]>;

/** The command lines of the programs without their arguments: built, or from source. */
export type Launch = Readonly<Record<ProgramName, readonly string[]>>;
export type ProgramName = 'xmoe-lm' | 'xmoe-nmt';

/** Collects the outcomes of one kind of fault. */
export function createTally(fault: string, what: string) {
  const notes: string[] = [];
  let tried = 0;
  let passed = 0;
  return {
    /** Counts one case: no problem is a pass. */
    add(name: string, problems: readonly string[]): void {
      tried++;
      if (problems.length === 0) passed++;
      else notes.push(`${name}: ${problems.join('; ')}`);
    },
    note: (line: string) => void notes.push(line),
    result: (): FaultResult => ({ fault, what, tried, passed, notes }),
  };
}

/** Runs `work` for every item, `jobs` at a time, in the order of the items. */
export async function eachOf<Item>(items: readonly Item[], jobs: number, work: (item: Item, at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      await work(items[at]!, at);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));
}

/** Every `1 / share`-th item, the first and the last among them. */
export function sampleOf<Item>(items: readonly Item[], share: number): Item[] {
  const count = Math.min(items.length, Math.max(Math.min(2, items.length), Math.round(items.length * share)));
  if (count <= 1) return items.slice(0, count);
  return Array.from({ length: count }, (_, at) => items[Math.round((at * (items.length - 1)) / (count - 1))]!);
}

/** Numbers in [0, 1), always the same for a seed (the minimal standard generator of Park and Miller). */
export function createRandom(seed: number): () => number {
  let state = (seed % 2147483646) + 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}
