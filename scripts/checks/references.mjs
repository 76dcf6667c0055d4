// Text that only means something on one machine or one network: absolute paths, paths out of the repository, private
// hosts, registry settings. Does not check that public links work.
import { problemsByLine } from './files.mjs';

/** @typedef {import('./files.mjs').TextFile} TextFile */

const HOME_PATH = /(?<![\w.~/-])\/(?:home|Users|root|work|workspace|mnt|builds)\/[\w.-]/;
const URL_HOST = /\bhttps?:\/\/(?:[^\s/@'"`]*@)?(\[[0-9a-f:]+\]|[a-zA-Z0-9.-]+)/g;
const REGISTRY_SETTING = /(?:\bregistry\s*=\s*(?!http:\/\/127\.0\.0\.1)\S|_auth(?:Token)?\s*=)/;

function isPrivateHost(host) {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (name === 'localhost' || name === '127.0.0.1' || name === '[::1]') return false;
  if (/^\d+(\.\d+){3}$/.test(name) || name.startsWith('[')) return true;
  if (!name.includes('.')) return true;
  return /\.(internal|local|lan|corp|intra|test)$/.test(name) || /(^|\.)(registry|artifactory|nexus|verdaccio)\./.test(name);
}

/** How many folders a relative path climbs above the folder that holds the file. */
function leavesRepository(path, line) {
  const depth = path.split('/').length - 1;
  for (const [climb] of line.matchAll(/(?<![\w./])(?:\.\.\/)+(?=[\w.-])/g)) {
    if (climb.length / 3 > depth) return true;
  }
  return false;
}

/** @param {TextFile[]} files */
export const references = (files) => files.flatMap((file) => problemsByLine(file, (line) => {
  const home = HOME_PATH.exec(line);
  if (home) return `an absolute path of one machine: ${home[0]}…`;
  for (const [, host] of line.matchAll(URL_HOST)) {
    if (isPrivateHost(host)) return `a host outside the public web: ${host}`;
  }
  if (REGISTRY_SETTING.test(line)) return 'a registry setting belongs in the user\'s own configuration';
  if (leavesRepository(file.path, line)) return 'a path that leaves the repository';
  return undefined;
}));
