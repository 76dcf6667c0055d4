// `npm test`: installs what is missing, then type-checks, lints, checks, builds, packs and tests, and counts it all.
// `npm test -- --only lint,tests` runs some stages; other arguments go to vitest: `npm test -- packages/moe -t capacity`.
import './lib/node-version.mjs';

const { installIfNeeded, seconds } = await import('./lib/progress.mjs');
const { capture } = await import('./lib/child.mjs');
const { root } = await import('./lib/repository.mjs');
const { toolEnvironment } = await import('./lib/toolchain.mjs');
const { LANES, STAGE_NAMES, TESTS } = await import('./lib/stages.mjs');

const HELP = `npm test -- [options] [FILE…]
  --only LIST  stages, separated by commas (default: all): ${STAGE_NAMES.join(', ')}
  --help       this text
Everything else goes to vitest, which then runs alone: npm test -- packages/moe -t capacity
`;

/** Which stages were asked for, and what is left for vitest. */
function readArguments(args) {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const rest = [];
  let only;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--only') only = args[++i] ?? '';
    else if (args[i].startsWith('--only=')) only = args[i].slice('--only='.length);
    else rest.push(args[i]);
  }
  // Someone who names a test file wants that file, not the whole round.
  const selected = only?.split(',') ?? (rest.length > 0 ? [TESTS.name] : STAGE_NAMES);
  const unknown = selected.filter((name) => !STAGE_NAMES.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`--only: unknown stage ${unknown.join(', ') || '(none given)'}; stages: ${STAGE_NAMES.join(', ')}\n`);
    process.exit(2);
  }
  return { selected: new Set(selected), rest };
}

/** Runs one check; prints one line, what it left out and why, and everything the check said if it failed. */
async function runCheck(stage) {
  const since = Date.now();
  const { code, output } = await capture(stage.command, stage.args, { cwd: root, env: toolEnvironment() });
  const failed = code !== 0;
  const skipped = output.split('\n').filter((line) => line.startsWith('skipped: '));
  const details = failed ? `\n${output.trimEnd()}\n\n` : skipped.map((line) => `  ${line}\n`).join('');
  process.stdout.write(`${failed ? '✗' : '✓'} ${stage.about} (${seconds(since)})\n${details}`);
  return { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: 0, name: stage.name };
}

async function runLane(stages) {
  const results = [];
  for (const stage of stages) results.push(await runCheck(stage));
  return results;
}

async function runTests(args, built) {
  const since = Date.now();
  const { runVitest } = await import('./lib/vitest-run.mjs');
  const result = await runVitest(args, { built });
  if (result.refused !== undefined) {
    process.stderr.write(`${result.refused} (see --help, and that of vitest)\n`);
    process.exit(2);
  }
  process.stdout.write(`${result.failed > 0 ? '✗' : '✓'} ${TESTS.about} (${seconds(since)})\n`);
  if (result.note) process.stdout.write(`  ${result.note}\n`);
  return { ...result, name: TESTS.name };
}

const since = Date.now();
const { selected, rest } = readArguments(process.argv.slice(2));
await installIfNeeded();
const lanes = LANES.map((stages) => stages.filter(({ name }) => selected.has(name)));
const results = (await Promise.all(lanes.map(runLane))).flat();
// Tests start the programs many times; built ones start in a fifth of the time.
const built = results.some(({ name, failed }) => name === 'build' && failed === 0);
if (selected.has(TESTS.name)) results.push(await runTests(rest, built));

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const failing = results.filter(({ failed }) => failed > 0).map(({ name }) => name);
process.stdout.write(`\n${failing.length > 0 ? `failed: ${failing.join(', ')}; ` : ''}${seconds(since)} in all\n`);
const skipped = sum('skipped');
process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exitCode = failing.length === 0 ? 0 : 1;
