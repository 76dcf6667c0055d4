// What to run in the first minutes on a GPU, with nothing but what was carried there: one JSON object per line on standard output. Every phase
// is a process of its own with a deadline, so that none is lost to another that fails, hangs or loses the device. `npm run gpu` starts it.
import { spawn } from 'node:child_process';
import { runTool } from '@xmoe/testing/programs';
import { HELP, parseOptions, type GpuOptions, type PhaseName } from './options.js';
import { PHASES } from './phases.js';

/** Milliseconds. Compiling comes on top of computing: a driver takes seconds over a model. */
const DEADLINES: Record<PhaseName, number> = {
  device: 60_000, launches: 60_000, products: 240_000, 'step 323m float16': 180_000, 'step 124m float16': 120_000, 'step 124m float32': 120_000, 'step 323m preset': 180_000, 'step small': 60_000,
  'step tiny': 60_000, conformance: 180_000, torch: 180_000, layers: 180_000,
};

/** Exit code of a phase that has said itself what went wrong. */
const FAILED = 9;
const began = performance.now();

function say(phase: string, facts: object): void {
  process.stdout.write(`${JSON.stringify({ phase, atMs: Math.round(performance.now() - began), ...facts })}\n`);
}

/** One phase in a process of its own; what it says goes on as it comes. Whether it ended well. */
function runPhase(name: PhaseName, small: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const deadline = DEADLINES[name] * (small ? 3 : 1);
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, '--phase', name, ...(small ? ['--small'] : [])], { stdio: ['ignore', 'inherit', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)));
    const timer = setTimeout(() => {
      say(name, { error: `not done within ${deadline / 1000} s` });
      child.kill('SIGKILL');
    }, deadline);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code !== 0 && code !== FAILED && signal !== 'SIGKILL') say(name, { error: `ended with ${signal ?? code}`, stderr: errors });
      resolve(code === 0);
    });
  });
}

/** A phase in this process. Whatever is still open on the device as it ends: its numbers are out. */
async function runHere(name: PhaseName, small: boolean): Promise<number> {
  try {
    await PHASES[name]((facts) => say(name, facts), small);
    return 0;
  } catch (error) {
    say(name, { error: error instanceof Error ? error.message.slice(0, 2000) : String(error) });
    return FAILED;
  }
}

/** Every phase, whatever came of the others; but none without a device. */
async function runAll({ phases, small }: GpuOptions): Promise<number> {
  const failed: PhaseName[] = [];
  for (const name of phases) {
    if (await runPhase(name, small)) continue;
    failed.push(name);
    if (name === 'device') break;
  }
  say('end', { phases: phases.length, failed });
  return failed.length === 0 ? 0 : 1;
}

await runTool(async () => {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return void process.stdout.write(HELP);
  return options.here === null ? runAll(options) : runHere(options.here, options.small);
});
process.stdout.write('', () => process.exit());
