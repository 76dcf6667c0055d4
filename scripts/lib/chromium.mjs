// Finds the machine's own Chromium, for tests in a page. Downloads nothing; scripts/install-browser.sh installs one.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FOLDERS = ['/usr/bin', '/usr/local/bin', '/snap/bin'];
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** What tests start it with. */
export const CHROMIUM_ARGUMENTS = [
  '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--headless=new',
  // Chromium brings a software adapter along; without being told it uses none.
  '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader',
  // On a busy machine a kernel on that adapter may take longer than the browser's watchdog grants a GPU.
  '--disable-gpu-watchdog',
];

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `{ path }`, or `{ reason }` why there is none. XMOE_CHROMIUM names one; it must exist then. */
export function findChromium(environment = process.env) {
  const named = environment.XMOE_CHROMIUM;
  if (named) return isExecutable(named) ? { path: named } : { reason: `XMOE_CHROMIUM is ${named}, which cannot be run` };
  const folders = [...new Set([...FOLDERS, ...(environment.PATH ?? '').split(delimiter).filter(Boolean)])];
  const path = [...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))), ...APPLICATIONS].find(isExecutable);
  return path ? { path } : { reason: 'no Chromium is installed; scripts/install-browser.sh or XMOE_CHROMIUM=/path/to/chromium' };
}
