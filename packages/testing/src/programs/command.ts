// How a test starts a program as a process of its own. Runs nothing.
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * The arguments of Node that start a program by the URL of its source. Where everything has just been built (`npm test` says so by
 * XMOE_TEST_BUILT=1) it is the built one, which starts in a fifth of the time; else the source, which is never stale.
 */
export function programCommand(cli: URL): string[] {
  if (process.env['XMOE_TEST_BUILT'] === '1') return [fileURLToPath(new URL(cli.href.replace(/\/src\/cli\.ts$/, '/dist/cli.js')))];
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return ['--conditions=@xmoe/source', '--import', loader, fileURLToPath(cli)];
}
