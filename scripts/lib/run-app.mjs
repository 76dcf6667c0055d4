// Installs and builds what is missing, then runs a command of an app in the foreground. Holds no logic of any app.
import { join } from 'node:path';
import { foreground } from './child.mjs';
import { buildApp, installIfNeeded } from './progress.mjs';
import { root } from './repository.mjs';

/** Runs `command` of the app in `apps/<folder>` with the arguments of this process; resolves to the exit code. */
export async function runApp(folder, command) {
  await installIfNeeded();
  await buildApp(`@xmoe/${folder}`);
  const cli = join(root, 'apps', folder, 'dist', 'cli.js');
  return foreground(process.execPath, [cli, command, ...process.argv.slice(2)]);
}
