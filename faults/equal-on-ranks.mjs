// `node faults/equal-on-ranks.mjs [--ranks 2,4] [--mpi openmpi] [--only lm,topk] [--layout experts] [--steps 60] [--fresh]`: small models of both programs with every router
// end with the same weights, moments and metrics, to the bit, in one process and on 1, 2, 4 and 8 ranks of Open MPI and of MPICH: with all of the model
// on every rank, with the optimiser over ranks, with experts over ranks, and over groups of them. What is done stands in .xmoe/equal-on-ranks.jsonl
// and is not done again. Prints a table; ends with 1 where bits differ. What a rank does is equal-run.mjs.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildAll, installIfNeeded } from '../scripts/lib/progress.mjs';
import { root } from '../scripts/lib/repository.mjs';

const { values } = parseArgs({ options: { ranks: { type: 'string' }, mpi: { type: 'string' }, only: { type: 'string' }, layout: { type: 'string' }, steps: { type: 'string' }, fresh: { type: 'boolean' }, table: { type: 'boolean' } } });
const STEPS = Number(values.steps ?? 60);
const namesOf = (text) => text?.split(',');
const file = join(root, '.xmoe', 'equal-on-ranks.jsonl');

await installIfNeeded();
if (!values.table && process.env.XMOE_NO_INSTALL !== '1') await buildAll();
const { ROUTER_TYPES } = await import('@xmoe/routers/by-name');
const { launchLine, findLauncher } = await import('@xmoe/distributed/node');

const FAMILIES = { openmpi: 'Open MPI', mpich: 'MPICH' };
const ALONE = 'one process';
const SHARDED = 'train.shardOptimizer=true';
const over = (ranks) => `train.expertParallel=${ranks}`;
/** By how many ranks there are. The surest to differ come first. */
const layoutsOf = (ranks) => [
  ...(ranks > 1 ? [['experts', [over(ranks)]], ['sharded', [SHARDED]]] : []),
  ...(ranks > 2 ? [['groups, sharded', [over(2), SHARDED]]] : []),
  ['alike', []],
];

const rows = ['lm', 'nmt'].flatMap((program) => ROUTER_TYPES.map((router) => ({ program, router })))
  .filter(({ program, router }) => values.only === undefined || [[program, router], [router], [program]].some((name) => name.every((part) => namesOf(values.only).includes(part)) ));

const keyOf = ({ program, router }, layout, mpi, ranks) => [program, router, layout, mpi, ranks, STEPS].join(' | ');
const done = new Map();
if (values.fresh) rmSync(file, { force: true });
if (existsSync(file)) for (const line of readFileSync(file, 'utf8').trim().split('\n')) done.set(JSON.parse(line).key, JSON.parse(line));

/** Does the cases that are not done, in one start of the ranks. */
async function run(mpi, ranks) {
  const wanted = layoutsOf(ranks).filter(([layout]) => ranks === 1 || values.layout === undefined || values.layout === layout);
  const cases = wanted.flatMap(([layout, set]) => rows.map((row) => ({ ...row, set, steps: STEPS, key: keyOf(row, layout, mpi, ranks) }))).filter(({ key }) => !done.has(key));
  if (cases.length === 0) return;
  mkdirSync(join(root, '.xmoe'), { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-equal-'));
  const program = [process.execPath, fileURLToPath(new URL('equal-run.mjs', import.meta.url)), folder, JSON.stringify(cases)];
  const launcher = mpi === ALONE ? null : findLauncher(mpi);
  const line = launcher === null ? program : [launcher.file, ...launchLine(launcher, { ranks, command: program, cores: 1, isRoot: process.getuid?.() === 0, env: process.env })];
  const child = spawn(line[0], line.slice(1), { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, XMOE_THREADS: '1' } });
  const ended = new Promise((resolve) => child.once('close', resolve));
  for await (const text of createInterface({ input: child.stdout })) {
    const result = { ...JSON.parse(text), load: Number(loadavg()[0].toFixed(1)) };
    done.set(result.key, result);
    appendFileSync(file, `${JSON.stringify(result)}\n`);
  }
  rmSync(folder, { recursive: true, force: true });
  const code = await ended;
  console.error(`${mpi}, ${ranks} ${ranks === 1 ? 'rank' : 'ranks'}: ${cases.length} cases, code ${code}`);
  if (code !== 0) process.exitCode = 1;
}

const places = [[ALONE, 1], ...[1, 2, 4, 8].flatMap((ranks) => Object.values(FAMILIES).map((mpi) => [mpi, ranks]))]
  .filter(([mpi, ranks]) => mpi === ALONE || ((namesOf(values.ranks)?.includes(String(ranks)) ?? true) && (namesOf(values.mpi)?.some((name) => FAMILIES[name] === mpi) ?? true)));
if (!values.table) for (const [mpi, ranks] of places) await run(mpi, ranks);

/** How many of the layouts have the bits of one process, of those that were done. */
function cellOf(row, mpi, ranks) {
  const wanted = done.get(keyOf(row, 'alike', ALONE, 1))?.hash;
  const found = layoutsOf(ranks).map(([layout]) => done.get(keyOf(row, layout, mpi, ranks))?.hash).filter((hash) => hash !== undefined);
  if (found.length === 0) return '–';
  const equal = found.filter((hash) => hash === wanted).length;
  if (equal < found.length) process.exitCode = 1;
  return `${equal} of ${found.length}${found.length < layoutsOf(ranks).length ? ` (${layoutsOf(ranks).length} there are)` : ''}`;
}

const columns = [1, 2, 4, 8].flatMap((ranks) => Object.values(FAMILIES).map((mpi) => [mpi, ranks]));
console.log(`| program | router | ${columns.map(([mpi, ranks]) => `${mpi}, ${ranks}`).join(' | ')} |\n|${'---|'.repeat(2 + columns.length)}`);
for (const row of rows) console.log(`| ${row.program} | ${row.router} | ${columns.map(([mpi, ranks]) => cellOf(row, mpi, ranks)).join(' | ')} |`);
