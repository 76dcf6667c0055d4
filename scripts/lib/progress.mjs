// One short line per step of a script, and the whole output of a step that failed. Not a logger.
import { install, isInstalled, toolEnvironment } from './toolchain.mjs';
import { capture } from './child.mjs';
import { root } from './repository.mjs';
import { join } from 'node:path';

export const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/** Says the label, runs the step, adds the time; a failed step prints all it said and ends the process. */
export async function step(label, run, stream = process.stdout) {
  const since = Date.now();
  stream.write(`${label} …`);
  const { code, output } = await run();
  stream.write(code === 0 ? ` ${seconds(since)}\n` : ' failed\n');
  if (code === 0) return;
  process.stderr.write(`\n${output.trimEnd()}\n\n${label} failed (exit code ${code}).\n`);
  process.exit(code);
}

/** Does nothing when node_modules is current, or when the caller manages packages and set XMOE_NO_INSTALL=1. */
export async function installIfNeeded(stream = process.stdout) {
  if (process.env.XMOE_NO_INSTALL === '1' || isInstalled()) return;
  await step('Installing packages (once)', install, stream);
}

/** Runs turbo tasks; turbo's own cache makes a second run a matter of milliseconds. */
export const turbo = (args) =>
  capture(process.execPath,
    [join(root, 'node_modules', 'turbo', 'bin', 'turbo'), 'run', ...args, '--output-logs=errors-only'],
    { cwd: root, env: toolEnvironment() });

/** Bundles the JavaScript of an app and of all it depends on (turbo.json says so), without type declarations. */
export const buildApp = (name) => step('Building', () => turbo(['build:js', `--filter=${name}`]));

export const buildAll = () => step('Building', () => turbo(['build:js']));
