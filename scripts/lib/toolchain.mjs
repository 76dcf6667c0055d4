// Gets pnpm and the packages in place: on a machine with nothing but Node and npm, once; offline afterwards.
// Does not build anything.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { capture } from './child.mjs';
import { pinnedPnpm, readJson, root, workspacePackages } from './repository.mjs';

const modules = join(root, 'node_modules');
const stampFile = join(modules, '.xmoe-installed');

/** The environment of every tool: our binaries first, nothing that phones home, nothing that asks. */
export function toolEnvironment(extra = {}) {
  const environment = { ...process.env };
  const pathKey = Object.keys(environment).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH';
  environment[pathKey] = [join(modules, '.bin'), dirname(process.execPath), environment[pathKey]]
    .filter(Boolean).join(delimiter);
  return {
    ...environment,
    DO_NOT_TRACK: '1',
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
    npm_config_update_notifier: 'false',
    npm_config_fund: 'false',
    npm_config_audit: 'false',
    ...extra,
  };
}

/** The pinned pnpm: the one in node_modules if it is there, else through npx (which needs the registry once). */
function pnpmCommand() {
  const version = pinnedPnpm();
  const manifest = join(modules, 'pnpm', 'package.json');
  if (existsSync(manifest) && readJson(manifest).version === version) {
    return { command: process.execPath, args: [join(modules, 'pnpm', 'bin', 'pnpm.cjs')], options: {} };
  }
  // npx is a .cmd file on Windows, which only a shell can start.
  const shell = process.platform === 'win32';
  return { command: 'npx', args: ['--yes', `pnpm@${version}`], options: { shell } };
}

export function pnpm(args, options = {}) {
  const found = pnpmCommand();
  return capture(found.command, [...found.args, ...args],
    { cwd: root, env: toolEnvironment(), ...found.options, ...options });
}

/** A hash of all that decides what node_modules must hold. */
function wantedStamp() {
  const hash = createHash('sha256');
  hash.update(`${process.platform} ${process.arch}\n`);
  const manifests = workspacePackages().map(({ directory }) => `${directory}/package.json`);
  for (const path of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...manifests]) {
    hash.update(`${path}\n`).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

/** True when node_modules is what the lockfile and the manifests ask for, as far as the last install says. */
export function isInstalled() {
  const linked = join(modules, '.pnpm', 'lock.yaml');
  if (!existsSync(stampFile) || !existsSync(linked)) return false;
  return readFileSync(stampFile, 'utf8') === wantedStamp();
}

/** Installs if needed. Resolves to `{ code, output }`. */
export async function install() {
  const result = await pnpm(['install', '--frozen-lockfile', '--prefer-offline', '--reporter=append-only',
    // There is no terminal to ask at when modules of another platform or version must go first.
    '--config.confirmModulesPurge=false']);
  if (result.code === 0) writeFileSync(stampFile, wantedStamp());
  return result;
}
