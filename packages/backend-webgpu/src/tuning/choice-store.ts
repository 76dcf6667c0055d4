// Measured choices between runs: a file in the user's cache directory in Node, localStorage in a page. A cache: whatever is wrong with it
// counts as empty, and what cannot be written is measured again.
import { version } from '../../package.json';

/** Names of tiles by class of product. */
export type Choices = Readonly<Record<string, string>>;

export interface ChoiceStore {
  load(): Promise<Choices>;
  /** Adds to what is there. */
  save(choices: Choices): Promise<void>;
}

/** The store of one adapter and this version of the package. */
export function createChoiceStore(adapter: string): ChoiceStore {
  const place = inNode ? fileStore(adapter) : pageStore(adapter);
  const load = async (): Promise<Choices> => {
    try {
      return choicesIn(await place.read(), adapter);
    } catch {
      return {};
    }
  };
  return {
    load,
    async save(choices) {
      try {
        await place.write(JSON.stringify({ adapter, version, choices: { ...(await load()), ...choices } }, undefined, 1));
      } catch {
        // A read-only home, a full disk, a page without storage.
      }
    },
  };
}

/** Of this adapter and version only; an error for anything else. */
function choicesIn(text: string | null, adapter: string): Choices {
  const found = JSON.parse(text ?? '{}') as { adapter?: unknown; version?: unknown; choices?: unknown };
  if (found.adapter !== adapter || found.version !== version || typeof found.choices !== 'object' || found.choices === null) return {};
  return Object.fromEntries(Object.entries(found.choices).filter(([, name]) => typeof name === 'string')) as Choices;
}

interface Place {
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
}

const host = globalThis as {
  process?: { readonly versions?: { readonly node?: string }; readonly env: Record<string, string | undefined>; readonly pid: number };
  localStorage?: { getItem(key: string): string | null; setItem(key: string, text: string): void };
};
const inNode = typeof host.process?.versions?.node === 'string';

/** The parts of Node's modules that are used here. Named by value, so that no bundler for browsers looks for them. */
interface NodeModules {
  'node:fs/promises': {
    readFile(path: string, encoding: 'utf8'): Promise<string>;
    writeFile(path: string, text: string): Promise<void>;
    mkdir(path: string, options: { recursive: true }): Promise<unknown>;
    rename(from: string, to: string): Promise<void>;
    rm(path: string, options: { force: true }): Promise<void>;
  };
  'node:os': { homedir(): string };
  'node:path': { join(...parts: string[]): string };
}

async function nodeModule<Name extends keyof NodeModules>(name: Name): Promise<NodeModules[Name]> {
  return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as NodeModules[Name];
}

/** `<cache>/webgpu-tiles-<adapter>.json` with cache = XMOE_CACHE_DIR, XDG_CACHE_HOME/xmoe or ~/.cache/xmoe. */
function fileStore(adapter: string): Place {
  const locate = async (): Promise<{ directory: string; path: string }> => {
    const { join } = await nodeModule('node:path');
    const { XMOE_CACHE_DIR, XDG_CACHE_HOME } = host.process!.env;
    const cache = XDG_CACHE_HOME || join((await nodeModule('node:os')).homedir(), '.cache');
    const directory = XMOE_CACHE_DIR || join(cache, 'xmoe');
    const slug = adapter.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 80);
    return { directory, path: join(directory, `webgpu-tiles-${slug}.json`) };
  };
  return {
    async read() {
      const { readFile } = await nodeModule('node:fs/promises');
      return readFile((await locate()).path, 'utf8');
    },
    async write(text) {
      const { mkdir, rename, rm, writeFile } = await nodeModule('node:fs/promises');
      const { directory, path } = await locate();
      await mkdir(directory, { recursive: true });
      // Another process may write at the same time: each its own file, then one of them whole.
      const temporary = `${path}.${host.process!.pid}.${Math.random().toString(36).slice(2)}`;
      try {
        await writeFile(temporary, text);
        await rename(temporary, path);
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}

function pageStore(adapter: string): Place {
  const key = `xmoe webgpu tiles ${adapter}`;
  return {
    read: async () => host.localStorage?.getItem(key) ?? null,
    write: async (text) => host.localStorage?.setItem(key, text),
  };
}
