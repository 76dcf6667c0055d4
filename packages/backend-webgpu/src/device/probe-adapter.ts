// Which adapter there is, asked in a process of its own: what native code writes to standard error there reaches nobody. For where
// this process's standard error cannot be kept quiet (quiet.ts). An answer, never an error: without one, adapters are asked here.

/** An adapter as far as the choice among backends needs it; null: there is none. */
export type AdapterAnswer = { readonly vendor: string; readonly architecture: string; readonly device: string; readonly description: string } | null;

/** The parts of Node that are used here. */
interface NodeProcess {
  readonly execPath: string;
  getBuiltinModule?(name: string): unknown;
}
type ExecFile = (file: string, args: readonly string[], options: { timeout: number }, done: (error: Error | null, stdout: string) => void) => void;

const TIMEOUT_MILLISECONDS = 20_000;

const SCRIPT = `
const { create } = await import(process.argv[1]);
const gpu = create([]);
const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
const { vendor, architecture, device, description } = adapter?.info ?? {};
process.stdout.write(JSON.stringify(adapter ? { vendor, architecture, device, description } : null), () => process.exit(0));`;

let answer: Promise<AdapterAnswer | undefined> | undefined;

/** undefined: not known. Asked once per process. */
export function probeAdapter(): Promise<AdapterAnswer | undefined> {
  return (answer ??= ask());
}

async function ask(): Promise<AdapterAnswer | undefined> {
  const { execPath, getBuiltinModule } = (globalThis as unknown as { process: NodeProcess }).process;
  try {
    const { createRequire } = getBuiltinModule!('node:module') as { createRequire(from: string): { resolve(name: string): string } };
    const { execFile } = getBuiltinModule!('node:child_process') as { execFile: ExecFile };
    const { pathToFileURL } = getBuiltinModule!('node:url') as { pathToFileURL(path: string): URL };
    const dawn = pathToFileURL(createRequire(import.meta.url).resolve('webgpu')).href;
    const text = await new Promise<string>((resolve, reject) =>
      execFile(execPath, ['--input-type=module', '-e', SCRIPT, dawn], { timeout: TIMEOUT_MILLISECONDS }, (error, stdout) => (error ? reject(error) : resolve(stdout))));
    return JSON.parse(text) as AdapterAnswer;
  } catch {
    return undefined;
  }
}
