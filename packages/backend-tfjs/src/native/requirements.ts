// What the command needs of the machine, looked for before anything is got or built: all that is missing at once, each with what to type.
import { existsSync, statfsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { runChild, type ChildOptions } from './child.js';
import type { NativeOptions } from './options.js';

export interface Tools {
  readonly compiler: string;
  /** The folder of node_api.h; null: to be got as a package. */
  readonly nodeHeaders: string | null;
  /** A Python with pip; null where none is needed. */
  readonly python: string | null;
  readonly npm: string;
}

const MINIMUM_PIP = 20;
/** GiB to be free, by what is to be got. */
const ROOM = { library: 0.5, cpu: 2, gpu: 8 };

type Found<T> = { readonly value: T } | { readonly missing: string };
const NOT_NEEDED: Found<null> = { value: null };

/** @throws XMoEError `backend` listing everything that is missing */
export async function findTools(options: NativeOptions, run: ChildOptions = {}): Promise<Tools> {
  refuseSystem();
  const wheel = 'version' in options.tensorflow;
  const [compiler, python, npm] = await Promise.all([findCompiler(run), wheel ? findPython(run) : NOT_NEEDED, findNpm(run)]);
  const nodeHeaders = findNodeHeaders(options.nodeHeaders);
  const room = roomIn(options.folder, wheel ? ROOM[options.gpu ? 'gpu' : 'cpu'] : ROOM.library);
  const missing = [compiler, nodeHeaders, python, npm, room].flatMap((found) => ('missing' in found ? [found.missing] : []));
  if (missing.length > 0) {
    throw new XMoEError('backend', `${missing.length === 1 ? 'one thing is' : `${missing.length} things are`} missing:\n${missing.map((text) => `  - ${text}`).join('\n')}`, {
      op: 'tfjs-native', hint: 'install that, then run this again',
    });
  }
  return { compiler: valueOf(compiler), nodeHeaders: valueOf(nodeHeaders), python: valueOf(python), npm: valueOf(npm) };
}

const valueOf = <T>(found: Found<T>): T => (found as { value: T }).value;

function refuseSystem(): void {
  const hint = "install @tensorflow/tfjs-node with its own library (TensorFlow 2.9.1), or use --backend cpu";
  const refuse = (what: string): never => {
    throw new XMoEError('backend', `${what}: this builds on Linux with glibc, on x64 and arm64`, { op: 'tfjs-native', hint });
  };
  if (process.platform !== 'linux') refuse(`this is ${process.platform}`);
  if (process.arch !== 'x64' && process.arch !== 'arm64') refuse(`this is ${process.arch}`);
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  if (!header.glibcVersionRuntime) refuse('this Linux has no glibc (Alpine has musl), which TensorFlow needs');
}

/** The package manager's own word for a list of packages. */
function install(debian: string, fedora: string): string {
  const root = process.getuid?.() === 0 ? '' : 'sudo ';
  if (existsSync('/usr/bin/dnf')) return `${root}dnf install ${fedora}`;
  return `${root}apt-get install ${debian}`;
}

async function findCompiler(run: ChildOptions): Promise<Found<string>> {
  const named = process.env['CXX'];
  for (const command of named ? [named] : ['g++', 'c++', 'clang++']) {
    const { code } = await runChild(command, ['--version'], run);
    if (code === 0) return { value: command };
  }
  return { missing: named ? `CXX names ${named}, which does not run: unset CXX, or name a C++ compiler` : `a C++ compiler: ${install('g++', 'gcc-c++')}` };
}

async function findPython(run: ChildOptions): Promise<Found<string | null>> {
  let withoutPip: string | undefined;
  for (const command of ['python3', 'python']) {
    const version = await runChild(command, ['-c', 'import sys; print(sys.version_info[0])'], run);
    if (version.code !== 0 || version.output.trim() !== '3') continue;
    const pip = await runChild(command, ['-m', 'pip', '--version'], run);
    const major = Number(/^pip (\d+)/m.exec(pip.output)?.[1] ?? 0);
    if (pip.code === 0 && major >= MINIMUM_PIP) return { value: command };
    withoutPip = pip.code === 0 ? `pip ${MINIMUM_PIP} or newer, this is ${major}: ${command} -m pip install --upgrade pip` : `pip of ${command}: ${install('python3-pip', 'python3-pip')}`;
  }
  const other = ', or name a folder that holds the library with --tensorflow DIR';
  return { missing: `${withoutPip ?? `Python 3 with pip: ${install('python3-pip', 'python3-pip')}`}${other}` };
}

async function findNpm(run: ChildOptions): Promise<Found<string>> {
  for (const command of ['npm', join(dirname(process.execPath), 'npm')]) {
    if ((await runChild(command, ['--version'], run)).code === 0) return { value: command };
  }
  return { missing: `npm: it comes with Node, or ${install('npm', 'npm')}` };
}

/** Of any Node: Node-API is the same in all of them. */
function findNodeHeaders(named: string | undefined): Found<string | null> {
  if (named) {
    if (existsSync(join(named, 'node_api.h'))) return { value: named };
    return { missing: `node_api.h is not in ${named}: --node-headers takes the folder that holds it, or leave it out` };
  }
  const cached = join(homedir(), '.cache', 'node-gyp', process.versions.node, 'include', 'node');
  const places = [join(dirname(dirname(process.execPath)), 'include', 'node'), '/usr/include/node', cached];
  return { value: places.find((folder) => existsSync(join(folder, 'node_api.h'))) ?? null };
}

function roomIn(folder: string, wanted: number): Found<null> {
  let at = folder;
  while (!existsSync(at)) at = dirname(at);
  const { bavail, bsize } = statfsSync(at);
  const free = (bavail * bsize) / 2 ** 30;
  return free >= wanted ? { value: null } : { missing: `${wanted} GiB of free disk at ${at}: there are ${free.toFixed(1)}; --folder takes another place` };
}
