// Dawn and the Vulkan loader write warnings straight to the process's standard error while they look for adapters, about limits and
// missing drivers: nothing a user can act on, and no setting of theirs turns it off. What matters becomes an error or a description
// of ours. In Node on POSIX systems their few lines go to the null device instead. Not for anything that waits.

/** The parts of Node that are used here; pages have none. */
interface FileSystem {
  readonly constants: { readonly O_WRONLY: number; readonly O_NONBLOCK: number };
  openSync(path: string, flags: number): number;
  closeSync(descriptor: number): void;
  fstatSync(descriptor: number, options: { readonly bigint: true }): { isFIFO(): boolean; isCharacterDevice(): boolean };
}
interface NodeProcess {
  readonly platform: string;
  getBuiltinModule?(name: 'node:fs'): FileSystem;
  getActiveResourcesInfo?(): string[];
}

const STDERR = 2;
/** So often is waited for file operations that other threads have under way. */
const PATIENCE = 200;

/** `quiet`: it can be redirected; `loud`: it cannot, as on Windows, a file or a socket; `none`: there is none, as in a page. */
export function standardError(): 'quiet' | 'loud' | 'none' {
  const host = (globalThis as { process?: NodeProcess }).process;
  const files = host?.getBuiltinModule?.('node:fs');
  if (!host || !files) return 'none';
  try {
    // A terminal or a pipe. A regular file would be opened again with an offset of its own, and overwritten.
    // In bigints: Node 20 takes the last status in numbers, of whatever it was, for that of a path in which it follows links, and follows none after a pipe.
    const kind = files.fstatSync(STDERR, { bigint: true });
    return host.platform !== 'win32' && (kind.isFIFO() || kind.isCharacterDevice()) ? 'quiet' : 'loud';
  } catch {
    return 'none';
  }
}

/** Runs `work`, which does not wait, with nothing written to standard error by native code, where that is possible. */
export async function quietly<T>(work: () => T): Promise<T> {
  if (standardError() !== 'quiet') return work();
  const host = (globalThis as unknown as { process: NodeProcess }).process;
  // A file that another thread opens in between would get the number of standard error.
  for (let turn = 0; turn < PATIENCE && usesFiles(host); turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  return usesFiles(host) ? work() : redirected(host.getBuiltinModule!('node:fs'), work);
}

function usesFiles(host: NodeProcess): boolean {
  return host.getActiveResourcesInfo?.().some((name) => name.startsWith('FSReq')) ?? true;
}

function redirected<T>({ constants, openSync, closeSync }: FileSystem, work: () => T): T {
  // Without O_NONBLOCK, opening a pipe again waits for a reader that may be gone.
  const flags = constants.O_WRONLY | constants.O_NONBLOCK;
  let kept: number;
  try {
    kept = openSync(`/dev/fd/${STDERR}`, flags);
  } catch {
    return work();
  }
  // The lowest free number is the one that was closed.
  const become = (path: string): void => {
    closeSync(STDERR);
    openSync(path, flags);
  };
  become('/dev/null');
  try {
    return work();
  } finally {
    become(`/dev/fd/${kept}`);
    closeSync(kept);
  }
}
