// The entry of `npm run faults`: flags, sections in order, a table at the end. What is done to the programs is in the file of each section.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '@xmoe/testing/programs';
import { fuzzArguments } from './arguments.js';
import { crashPoints } from './crash-points.js';
import { damage } from './damage.js';
import { failingCalls } from './failing-calls.js';
import { kills } from './kills.js';
import { fuzz } from './fuzz.js';
import { helpText, parseOptions, type FaultsOptions } from './options.js';
import { builtPrograms } from './processes.js';
import { races } from './races.js';
import { ranks } from './ranks.js';
import { putTable, readRecord, tableOf, type SectionResults } from './record.js';
import type { FaultResult, Section } from './result.js';
import { signals } from './signals.js';
import { soak } from './soak.js';
import { surroundings } from './surroundings.js';

const SECTIONS = {
  kills: { about: 'kill -9 at random moments, until a run is through (F1)', run: kills },
  'crash-points': { about: 'killed before, in and after every call that changes a file (F2, F3)', run: crashPoints },
  'failing-calls': { about: 'every such call fails once; full disks (F8, F9)', run: failingCalls },
  damage: { about: 'damaged checkpoints (F11)', run: damage },
  fuzz: { about: 'a million changed files, one reader after another (F12, F25, S2, S3)', run: fuzz },
  arguments: { about: 'fuzzed arguments of public functions, fifty seeds', run: fuzzArguments },
  races: { about: 'several processes in one run directory (F16 to F18)', run: races },
  signals: { about: 'signals and lost readers at random moments (F4)', run: signals },
  surroundings: { about: 'other clocks, zones, rights; places without room for a run; order of syncs (F10, F15, F44)', run: surroundings },
  ranks: { about: 'two and three ranks, launched again and again, garbage collected under what travels (F39); wants an MPI', run: ranks },
  soak: { about: 'a long run: memory and files stay flat (F43)', run: soak },
} satisfies Record<string, { about: string; run: Section }>;
type Name = keyof typeof SECTIONS;
const NAMES = Object.keys(SECTIONS) as Name[];

async function main({ sections, share, jobs, seed, record }: FaultsOptions<Name>): Promise<boolean> {
  if (record) readRecord(record); // not after hours
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-faults-'));
  const done: SectionResults[] = [];
  try {
    for (const section of sections) {
      const since = Date.now();
      const load = loadavg()[0]!.toFixed(1);
      const own = join(folder, section);
      mkdirSync(own);
      const results = await SECTIONS[section].run({ folder: own, launch: builtPrograms(), share, jobs, seed, say: (line) => void process.stderr.write(`${section}: ${line}\n`) });
      rmSync(own, { recursive: true, force: true });
      results.forEach(report);
      const minutes = ((Date.now() - since) / 60_000).toFixed(1);
      const about = `${new Date().toISOString().slice(0, 10)}, ${availableParallelism()} cores, Node ${process.versions.node}, load ${load} before, ${minutes} min, share ${share}, seed ${seed}`;
      done.push({ section, results, about });
      // After each: a run of hours that is ended keeps what it found.
      if (record) writeFileSync(record, putTable(readRecord(record), done, NAMES, record));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`\n${tableOf(done)}`);
  return done.every(({ results }) => results.every(({ tried, passed }) => passed === tried));
}

function report({ fault, what, tried, passed, notes }: FaultResult): void {
  process.stdout.write(`${passed === tried ? '✓' : '✗'} ${fault} ${what}: ${passed} of ${tried}\n${notes.map((note) => `    ${note}\n`).join('')}`);
}

await runTool(async () => {
  const options = parseOptions(process.argv.slice(2), NAMES);
  if (!options.help) return (await main(options)) ? 0 : 1;
  process.stdout.write(helpText(Object.fromEntries(NAMES.map((name) => [name, SECTIONS[name].about]))));
});
