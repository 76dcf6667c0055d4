// The build itself, step by step: each leaves its result in the folder as a whole or not at all, and is left out when that is there.
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { checkAddon, type AddonReport } from './check-addon.js';
import { lastWords, runChild, type ChildOptions } from './child.js';
import {
  addonOf, packageName, packageOf, PACKAGE_VERSION, projectOf, readRecord, recordOf, RECORD_FORMAT, tensorflowOf, type NativePackage, type NativeRecord,
} from './layout.js';
import type { NativeOptions } from './options.js';
import { findTools, type Tools } from './requirements.js';
import { findTensorflow, judgeVersion, libraryStamp, type TensorflowLibrary } from './tensorflow.js';

const op = 'tfjs-native';
const HEADERS_PACKAGE = 'node-api-headers@1.9.0';

export interface BuildResult extends AddonReport {
  readonly addon: string;
  readonly library: string;
  /** False: everything was there. */
  readonly built: boolean;
}

export interface BuildSurroundings extends ChildOptions {
  /** Says what begins, and how it went. */
  progress<T>(label: string, work: () => Promise<T>): Promise<T>;
  note(line: string): void;
  /** Tries a compiled addon. */
  check?: typeof checkAddon;
}

/**
 * Gets what is missing and builds what has changed.
 * @throws XMoEError `backend` when something is missing or fails, `interrupted` when `run.signal` fires; what was whole stays
 */
export async function buildNative(options: NativeOptions, run: BuildSurroundings): Promise<BuildResult> {
  const { progress, note } = run;
  const name = packageName(options.gpu);
  const present = await presentBuild(options, name, run);
  if (present) return present;
  const tools = await findTools(options, run);
  mkdirSync(options.folder, { recursive: true });
  removeLeftovers(options.folder);
  const tensorflow = await provideTensorflow(options, tools, run);
  if (tensorflow.version) {
    const { note: remark } = judgeVersion(tensorflow.version);
    if (remark) note(remark);
  }
  if (!existsSync(join(packageOf(options.folder, name), 'binding', 'tfjs_backend.cc'))) {
    await progress(`Getting @tensorflow/${name} ${PACKAGE_VERSION}`, () =>
      asAWhole(projectOf(options.folder, name), (fresh) => npmInstall(tools, fresh, `@tensorflow/${name}@${PACKAGE_VERSION}`, run)));
  }
  const headers = tools.nodeHeaders ?? (await provideNodeHeaders(options, tools, run));
  return progress('Compiling the addon', () => compileAndCheck(options, name, tensorflow, { ...tools, nodeHeaders: headers }, run));
}

/** The build that is there, if it is of what is asked for and works. */
async function presentBuild({ folder, tensorflow }: NativeOptions, name: NativePackage, run: BuildSurroundings): Promise<BuildResult | null> {
  const record = readRecord(folder, name);
  if (!record || record.packageVersion !== PACKAGE_VERSION) return null;
  const [library, addon] = [join(folder, record.library), addonOf(folder, name, record.nodeApi)];
  const at = record.library.startsWith(sep) ? record.library : library;
  const wanted = 'version' in tensorflow ? tensorflow.version === record.tensorflow && at === library : safely(() => findTensorflow(tensorflow.directory).library === at);
  if (!wanted || !existsSync(at) || libraryStamp(at) !== record.libraryStamp || !existsSync(addon)) return null;
  const report = await (run.check ?? checkAddon)(addon, run).catch((error: unknown) => {
    if ((error as XMoEError).code === 'interrupted') throw error;
    return null;
  });
  return report && { ...report, addon, library: at, built: false };
}

function safely(judge: () => boolean): boolean {
  try {
    return judge();
  } catch {
    return false;
  }
}

async function provideTensorflow(options: NativeOptions, tools: Tools, run: BuildSurroundings): Promise<TensorflowLibrary> {
  if ('directory' in options.tensorflow) return findTensorflow(options.tensorflow.directory, options.include);
  const { version } = options.tensorflow;
  judgeVersion(version);
  // On arm64 the wheel of that name is the one for the CPU.
  const distribution = options.gpu || process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
  const place = tensorflowOf(options.folder, distribution, version);
  if (!existsSync(place)) {
    await run.progress(`Getting TensorFlow ${version} (${options.gpu ? 'with CUDA, several GB' : '230 to 280 MB'})`, () =>
      asAWhole(place, (fresh) => pipInstall(tools.python!, fresh, `${distribution}${options.gpu ? '[and-cuda]' : ''}==${version}`, options.gpu, run)));
  }
  return findTensorflow(place, options.include);
}

/** Only files are taken from the wheel, so the version of Python does not matter: any that TensorFlow is made for will do. */
async function pipInstall(python: string, target: string, what: string, dependencies: boolean, run: ChildOptions): Promise<void> {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const platforms = ['manylinux_2_27', 'manylinux_2_17', 'manylinux2014'].flatMap((tag) => ['--platform', `${tag}_${machine}`]);
  const { code, output } = await runChild(python, [
    '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-compile', ...(dependencies ? [] : ['--no-deps']),
    '--only-binary=:all:', ...platforms, '--implementation', 'cp', '--python-version', '3.11', '--abi', 'cp311', '--target', target, what,
  ], run);
  if (code === 0) return;
  const unknown = /No matching distribution/.test(output);
  throw new XMoEError('backend', `pip could not get ${what}: ${lastWords(output)}`, {
    op, hint: unknown ? 'is there a network, and such a version? --tensorflow VERSION takes another, --tensorflow DIR a folder that holds the library' : 'check the network and the settings of pip, or name a folder that holds the library with --tensorflow DIR',
  });
}

async function npmInstall(tools: Tools, project: string, what: string, run: ChildOptions): Promise<void> {
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
  const { code, output } = await runChild(tools.npm, ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error', what], { ...run, cwd: project });
  if (code !== 0) throw new XMoEError('backend', `npm could not get ${what}: ${lastWords(output)}`, { op, hint: 'check the network and the settings of npm, then run this again' });
}

async function provideNodeHeaders(options: NativeOptions, tools: Tools, run: BuildSurroundings): Promise<string> {
  const project = join(options.folder, 'node-headers');
  if (!existsSync(project)) await run.progress('Getting the headers of Node', () => asAWhole(project, (fresh) => npmInstall(tools, fresh, HEADERS_PACKAGE, run)));
  return join(project, 'node_modules', 'node-api-headers', 'include');
}

async function compileAndCheck(options: NativeOptions, name: NativePackage, tensorflow: TensorflowLibrary, tools: Tools, run: BuildSurroundings): Promise<BuildResult> {
  const source = packageOf(options.folder, name);
  const nodeApi = nodeApiOf(source);
  const addon = addonOf(options.folder, name, nodeApi);
  const inside = relative(realpathSync(options.folder), realpathSync(dirname(tensorflow.library)));
  const isInside = !inside.startsWith('..');
  // What lies in the folder is found from the addon, so that the folder can be moved. What lies elsewhere stays there: a library for CUDA
  // looks for the rest beside itself.
  const runPath = isInside ? `$ORIGIN/${relative(dirname(addon), dirname(tensorflow.library))}` : dirname(tensorflow.library);
  if (runPath.includes(':')) throw new XMoEError('backend', `the path of TensorFlow holds a colon, which no linker takes: ${runPath}`, { op, hint: 'move it, or name another folder' });
  mkdirSync(dirname(addon), { recursive: true });
  removeLeftovers(dirname(addon));
  const fresh = join(dirname(addon), `tfjs_binding${PARTIAL}${process.pid}.node`);
  try {
    const { code, output } = await runChild(tools.compiler, [
      '-std=c++17', '-O2', '-fPIC', '-shared', '-w', `-DNAPI_VERSION=${nodeApi}`, '-DBUILDING_NODE_EXTENSION', '-DNODE_GYP_MODULE_NAME=tfjs_binding',
      '-I', tools.nodeHeaders!, '-I', tensorflow.include, 'binding/tfjs_backend.cc', 'binding/tfjs_binding.cc', '-o', fresh,
      tensorflow.library, tensorflow.framework, '-Xlinker', '-rpath', '-Xlinker', runPath, '-Wl,--disable-new-dtags',
    ], { ...run, cwd: source });
    if (code !== 0) throw new XMoEError('backend', `the addon does not compile: ${lastWords(output)}`, { op, hint: '--remove, then this again, begins from nothing; CXX names another compiler, --tensorflow another library' });
    const report = await (run.check ?? checkAddon)(fresh, run);
    judgeVersion(report.tensorflow);
    renameSync(fresh, addon);
    const within = (path: string): string => (isInside ? join(inside, relative(dirname(tensorflow.library), path)) : path);
    const record: NativeRecord = {
      format: RECORD_FORMAT, package: name, packageVersion: PACKAGE_VERSION, tensorflow: report.tensorflow, library: within(tensorflow.library), framework: within(tensorflow.framework),
      libraryStamp: libraryStamp(tensorflow.library), platform: process.platform, arch: process.arch, nodeApi,
    };
    const written = `${recordOf(options.folder, name)}${PARTIAL}${process.pid}`;
    writeFileSync(written, `${JSON.stringify(record, null, 2)}\n`);
    renameSync(written, recordOf(options.folder, name));
    return { ...report, addon, library: tensorflow.library, built: true };
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** The newest version of Node-API that the package knows and this Node has. */
function nodeApiOf(source: string): number {
  const { binary } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { binary: { napi_versions: number[] } };
  const usable = binary.napi_versions.filter((version) => version <= Number(process.versions.napi));
  if (usable.length === 0) throw new XMoEError('backend', `this Node has Node-API ${process.versions.napi}, the addon needs ${Math.min(...binary.napi_versions)}`, { op, hint: 'use Node 20 or newer' });
  return Math.max(...usable);
}

const PARTIAL = '.partial-';

/** Lets `fill` work in a folder of its own, which takes its place when all has gone well. */
async function asAWhole(place: string, fill: (fresh: string) => Promise<void>): Promise<void> {
  const fresh = `${place}${PARTIAL}${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  try {
    await fill(fresh);
    rmSync(place, { recursive: true, force: true });
    renameSync(fresh, place);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** What commands that were killed have left; not that of one that still runs. */
function removeLeftovers(folder: string): void {
  for (const entry of readdirSync(folder)) {
    const owner = Number.parseInt(entry.split(PARTIAL)[1] ?? '', 10);
    if (owner > 0 && !isRunning(owner)) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Removes what this command made for one package, and the rest when the other has nothing either. Returns what it removed. */
export function removeNative({ folder, gpu }: NativeOptions): string[] {
  if (!existsSync(folder)) return [];
  const name = packageName(gpu);
  const record = readRecord(folder, name);
  const other = readRecord(folder, packageName(!gpu));
  const inUse = other?.library.split(sep)[0];
  const isOurs = (entry: string): boolean => {
    if (entry === name || entry === `${name}.json` || entry.startsWith(`${name}${PARTIAL}`)) return true;
    if (!other) return entry === 'node-headers' || /^tensorflow(-cpu)?-\d/.test(entry);
    return entry !== inUse && record?.library.split(sep)[0] === entry;
  };
  const removed = readdirSync(folder).filter(isOurs);
  for (const entry of removed) rmSync(join(folder, entry), { recursive: true, force: true });
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
  return removed;
}
