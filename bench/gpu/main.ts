// What to run in the first minutes on a GPU, with nothing but what was carried there: one JSON object per line on standard output. Every phase
// is a process of its own with a deadline, so that none is lost to another that fails, hangs or loses the device. `npm run gpu` starts it.
import { spawn } from 'node:child_process';
import { PHASES, type PhaseName } from './phases.js';

/** Milliseconds. Compiling comes on top of computing: a driver takes seconds over a model. */
const DEADLINES: Record<PhaseName, number> = {
  device: 60_000, launches: 60_000, products: 240_000, 'step 323m float16': 180_000, 'step 124m float16': 120_000, 'step 323m float32': 180_000, 'step small': 60_000,
  'step tiny': 60_000, conformance: 180_000, torch: 180_000,
};

const args = process.argv.slice(2);
const small = args.includes('--small');
const only = args.flatMap((arg, index) => (args[index - 1] === '--only' ? arg.split(',') : []));
const began = performance.now();

function say(phase: string, facts: object): void {
  process.stdout.write(`${JSON.stringify({ phase, atMs: Math.round(performance.now() - began), ...facts })}\n`);
}

/** One phase in a process of its own; what it says goes on as it comes. */
function runPhase(name: PhaseName): Promise<void> {
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
      if (code !== 0 && signal !== 'SIGKILL') say(name, { error: `ended with ${signal ?? code}`, stderr: errors });
      resolve();
    });
  });
}

async function main(): Promise<number> {
  const asked = args[args.indexOf('--phase') + 1];
  if (args.includes('--phase')) {
    try {
      await PHASES[asked as PhaseName]((facts) => say(asked!, facts), small);
    } catch (error) {
      say(asked!, { error: error instanceof Error ? error.message.slice(0, 2000) : String(error) });
    }
    // Whatever is still open on the device: its numbers are out.
    return 0;
  }
  const names = (Object.keys(PHASES) as PhaseName[]).filter((name) => (only.length > 0 ? only.includes(name) : !small || !/124m|323m/.test(name)));
  for (const name of names) await runPhase(name);
  say('end', { phases: names.length });
  return 0;
}

process.exitCode = await main();
process.stdout.write('', () => process.exit());
