// Finds the machine's own Chromium, for tests in a page. Downloads nothing; scripts/install-browser.sh installs one.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FOLDERS = ['/usr/bin', '/usr/local/bin', '/snap/bin'];
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
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
