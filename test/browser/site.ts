// A site as a user would deploy it: the bundles of the packages as ES modules on 127.0.0.1, found through an import map that is
// made of their manifests. Bundles into a folder of its own, so that no other build is disturbed. No tests.
import { createServer, type Server } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { expect } from 'vitest';
import { capture } from '../../scripts/lib/child.mjs';
import { root } from '../../scripts/lib/repository.mjs';
import { toolEnvironment } from '../../scripts/lib/toolchain.mjs';

const PACKAGES: readonly string[] = ['core', 'backend-cpu', 'backend-webgpu', 'routers', 'moe', 'nn', 'testing'];

const TYPES: Record<string, string> = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.html': 'text/html', '.wasm': 'application/wasm' };

/** Bundles the packages as their own `build:js` does, but into `folder`/PACKAGE/dist. */
export async function bundlePackages(folder: string, packages = PACKAGES): Promise<void> {
  const builder = join(root, 'scripts', 'build-package.mjs');
  const environment: NodeJS.ProcessEnv = { ...toolEnvironment() };
  delete environment.NODE_OPTIONS;
  await Promise.all(packages.map(async (name) => {
    const { code, output } = await capture(process.execPath, [builder, '--out', join(folder, name, 'dist')], {
      cwd: join(root, 'packages', name), env: environment,
    });
    expect(code, output).toBe(0);
  }));
}

/** `@xmoe/NAME/…` → the file that the package's manifest exports to its users. */
async function importMap(): Promise<Record<string, string>> {
  const imports: Record<string, string> = {};
  for (const name of PACKAGES) {
    const { exports } = JSON.parse(await readFile(join(root, 'packages', name, 'package.json'), 'utf8')) as { exports: Record<string, { default: string }> };
    for (const [path, { default: file }] of Object.entries(exports)) imports[`@xmoe/${name}${path.slice(1)}`] = `/packages/${name}/${file.slice(2)}`;
  }
  return imports;
}

/** Which file answers a request: bundles from the folder, compiled kernels from the package, the program from here. */
function fileOf(path: string, folder: string): string | undefined {
  const parts = normalize(path).split(sep).filter(Boolean);
  if (parts.includes('..')) return undefined;
  if (parts[0] === 'packages' && parts[2] === 'dist') return join(folder, ...parts.slice(1));
  if (parts[0] === 'packages' && parts[2] === 'wasm') return join(root, ...parts);
  return path === '/program.mjs' ? join(root, 'test', 'browser', 'program.mjs') : undefined;
}

export interface Site {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves the bundles in `folder`. Isolated pages may share memory between threads. */
export async function serveSite(folder: string, { isolated }: { isolated: boolean }): Promise<Site> {
  const page = `<!doctype html><title>xmoe</title><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports: await importMap() })}</script>`;
  return serve((path) => {
    const file = fileOf(path, folder);
    if (path === '/') return Promise.resolve(page);
    return file ? readFile(file) : Promise.reject(new Error(`${path} is not here`));
  }, { isolated });
}

/** Serves a folder as it is, index.html for `/`. */
export const serveFolder = (folder: string): Promise<Site> =>
  serve((path) => readFile(join(folder, normalize(path === '/' ? '/index.html' : path))), { isolated: true });

/** Serves on 127.0.0.1 what `contentOf` has for a path, by its ending; 404 where it raises an error. */
async function serve(contentOf: (path: string) => Promise<string | Uint8Array>, { isolated }: { isolated: boolean }): Promise<Site> {
  const headers = isolated ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } : {};
  const server: Server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
    contentOf(path).then(
      (body) => response.writeHead(200, { ...headers, 'Content-Type': path === '/' ? 'text/html' : (TYPES[extname(path)] ?? 'application/octet-stream') }).end(body),
      () => response.writeHead(404, headers).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}
