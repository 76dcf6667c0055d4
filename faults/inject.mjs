// Preloaded with --import: counts the calls of a process that change files under one folder, and at the K-th of them kills
// the process, tears the call in half, or makes it fail. What to do stands in XMOE_FAULT. It judges nothing.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { devNull } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * What XMOE_FAULT holds, as JSON. Calls on the folder `under` or below, whose path contains `and` and whose name is in `calls` (default: all), are
 * counted from 1. The files `log` and `fired` must lie elsewhere.
 * `kill`: SIGKILL before call `at`; `kill-after`: once it is done; `torn`: once half of it is done; `fail`: it and the `times − 1` after it
 * raise `code`; `full`: from it on, a write takes half of its bytes and all further ones raise ENOSPC; `count`: nothing.
 * `log` gets a line `name<TAB>path` per counted call, and `fired` appears when the fault has struck.
 * @typedef {{ under: string, and?: string, calls?: string[], mode: 'count' | 'kill' | 'kill-after' | 'torn' | 'fail' | 'full',
 *   at?: number, times?: number, code?: string, log?: string, fired?: string }} Fault
 */

/** @type {Fault} */
const fault = JSON.parse(process.env.XMOE_FAULT ?? 'null') ?? { under: '', mode: 'count', calls: [] };
const original = { ...fs, promises: { ...fs.promises } };
const pathOfDescriptor = new Map();
const pathOfHandle = new WeakMap();
let calls = 0;
let full = false;

function die() {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // until the signal is there
}

const textOf = (path) => (path instanceof URL ? fileURLToPath(path) : String(path ?? ''));

/** Whether a call is hit, after counting it. */
function strikes(name, path) {
  if (path !== fault.under && !path.startsWith(fault.under + sep)) return false;
  if (!path.includes(fault.and ?? '') || (fault.calls && !fault.calls.includes(name))) return false;
  calls++;
  if (fault.log) original.appendFileSync(fault.log, `${name}\t${path}\n`);
  if (fault.mode === 'count' || calls < fault.at) return false;
  const hit = fault.mode === 'full' || calls < fault.at + (fault.mode === 'fail' ? (fault.times ?? 1) : 1);
  if (hit && fault.fired) original.writeFileSync(fault.fired, `${name}\t${path}\n`);
  return hit;
}

function failure(name, path, code) {
  return Object.assign(new Error(`${code}: injected, ${name} '${path}'`), { code, syscall: name, path });
}

/**
 * Runs one call with the fault around it. `half` does the first half of it; a call without one is torn by not being done.
 * `finish` continues with a result that may be a promise.
 */
function around(name, path, whole, half, finish) {
  if (!strikes(name, path)) return whole();
  if (fault.mode === 'kill') die();
  if (fault.mode === 'fail') throw failure(name, path, fault.code);
  if (fault.mode === 'full') return fillUp(name, path, whole, half);
  return finish(fault.mode === 'torn' ? half?.() : whole(), die);
}

/** A disk without room: half of one write fits, then nothing does. Other calls than writes and new files go on. */
function fillUp(name, path, whole, half) {
  if (name !== 'write' && name !== 'open') return whole();
  if (full || name === 'open') throw failure(name, path, 'ENOSPC');
  full = true;
  return half();
}

const now = (result, then) => (then(), result);
const later = async (result, then) => {
  const value = await result;
  then();
  return value;
};

/** Half of a write: the arguments after the buffer or text are those of fs.write. */
function halfOf(write, data, rest) {
  if (typeof data === 'string') return write(data.slice(0, data.length >> 1), ...rest);
  const [offset = 0, length = data.length - offset, ...position] = rest;
  return write(data, offset, length >> 1, ...position);
}

/** Half of a recursive removal: the first entry of the folder. */
function halfRemoval(path) {
  const [first] = original.existsSync(path) && original.statSync(path).isDirectory() ? original.readdirSync(path) : [];
  if (first !== undefined) original.rmSync(join(path, first), { recursive: true, force: true });
}

const isWriting = (flags) => (typeof flags === 'number' ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR | fs.constants.O_CREAT)) !== 0 : /[wa+x]/.test(flags ?? 'r'));
const NAMED = { rename: 1, link: 1, symlink: 1, copyFile: 1, cp: 1, mkdir: 0, rm: 0, rmdir: 0, unlink: 0, truncate: 0, writeFile: 0, appendFile: 0 };

function patchNamed(target, from, suffix, finish) {
  for (const [name, operand] of Object.entries(NAMED)) {
    const call = from[name + suffix];
    target[name + suffix] = (...args) => {
      const path = textOf(args[operand]);
      const half = name === 'rm' ? () => halfRemoval(path) : name === 'writeFile' || name === 'appendFile'
        ? () => call(args[0], args[1].slice(0, args[1].length >> 1), ...args.slice(2)) : undefined;
      return around(name, path, () => call(...args), half, finish);
    };
  }
}

function patchSync() {
  patchNamed(fs, original, 'Sync', now);
  fs.openSync = (path, flags, ...rest) => {
    const open = () => {
      const descriptor = original.openSync(path, flags, ...rest);
      pathOfDescriptor.set(descriptor, textOf(path));
      return descriptor;
    };
    return isWriting(flags) ? around('open', textOf(path), open, undefined, now) : open();
  };
  const onDescriptor = (name, call, half) => (descriptor, ...args) =>
    around(name, pathOfDescriptor.get(descriptor) ?? '', () => call(descriptor, ...args), half && (() => half(descriptor, ...args)), now);
  fs.writeSync = onDescriptor('write', original.writeSync, (descriptor, data, ...rest) => halfOf((...args) => original.writeSync(descriptor, ...args), data, rest));
  fs.fsyncSync = onDescriptor('fsync', original.fsyncSync);
  fs.fdatasyncSync = onDescriptor('fsync', original.fdatasyncSync);
  fs.ftruncateSync = onDescriptor('truncate', original.ftruncateSync);
}

async function patchPromises() {
  patchNamed(fs.promises, original.promises, '', later);
  fs.promises.open = async (path, flags, ...rest) => {
    const open = async () => {
      const handle = await original.promises.open(path, flags, ...rest);
      pathOfHandle.set(handle, textOf(path));
      return handle;
    };
    return isWriting(flags) ? around('open', textOf(path), open, undefined, later) : open();
  };
  const probe = await original.promises.open(devNull, 'r');
  const prototype = Object.getPrototypeOf(probe);
  await probe.close();
  const onHandle = (name, method, half) => {
    const call = prototype[method];
    prototype[method] = async function patched(...args) {
      return around(name, pathOfHandle.get(this) ?? '', () => call.apply(this, args), half && (() => half.call(this, call.bind(this), ...args)), later);
    };
  };
  onHandle('write', 'write', (write, data, ...rest) => halfOf(write, data, rest));
  onHandle('write', 'writev');
  onHandle('write', 'writeFile');
  onHandle('fsync', 'sync');
  onHandle('fsync', 'datasync');
  onHandle('truncate', 'truncate');
}

patchSync();
await patchPromises();
syncBuiltinESMExports();
