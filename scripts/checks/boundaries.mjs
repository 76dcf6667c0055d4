// Which package may import which: static and dynamic imports, re-exports, `require`, the manifests, and what tests use. The linter holds
// none of this.
import { posix } from 'node:path';

/** @typedef {import('./files.mjs').TextFile} TextFile */

/** Private packages that a build takes in: they are no dependency of what is published. */
const BUNDLED = ['@xmoe/kernels-host'];

/** Package folder → the xmoe packages it may use, and whether it may use npm packages and Node's own modules. */
const ROWS = {
  'packages/core': { uses: [], npm: false, node: false },
  'packages/routers': { uses: ['core'], npm: false, node: false },
  'packages/moe': { uses: ['core', 'routers'], npm: false, node: false },
  'packages/nn': { uses: ['core'], npm: false, node: false },
  'packages/files': { uses: ['core'], npm: false, node: true },
  'packages/text': { uses: ['core', 'files'], npm: true, node: true },
  'packages/distributed': { uses: ['core'], npm: false, node: true },
  'packages/train': { uses: ['core', 'nn', 'files', 'distributed'], npm: true, node: true },
  'packages/models': { uses: ['core', 'routers', 'moe', 'nn', 'metrics', 'files', 'text', 'train', 'distributed'], npm: true, node: true },
  'packages/program': { uses: ['core', 'moe', 'files', 'text', 'train', 'models', 'distributed'], npm: true, node: true },
  'packages/kernels-host': { uses: ['core'], npm: false, node: false },
  'packages/backend-cpu': { uses: ['core', 'kernels-host'], npm: false, node: true },
  'packages/backend-tfjs': { uses: ['core', 'kernels-host'], npm: true, node: true },
  'packages/backend-webgpu': { uses: ['core'], npm: true, node: false },
  'packages/backends': { uses: ['core', 'backend-cpu', 'backend-tfjs', 'backend-webgpu'], npm: false, node: true },
  'packages/metrics': { uses: [], npm: false, node: false },
};

/** All but those that a build takes in. */
const ALL = [...Object.keys(ROWS).map((folder) => folder.replace('packages/', '')), 'testing'].filter((name) => !BUNDLED.includes(`@xmoe/${name}`));

export const TABLE = { ...ROWS, 'packages/testing': { uses: ALL, npm: true, node: true } };

/** Entries that browsers load though their packages have others for Node: neither they nor what they import use Node. */
export const BROWSER_ENTRIES = { 'packages/backend-cpu': ['.'], 'packages/files': ['.'], 'packages/distributed': ['.'], 'packages/text': ['.', './gpt2'], 'packages/train': ['.'], 'packages/models': ['.', './presets', './sections'] };

const APP = { uses: ALL, npm: true, node: true };
/** bench, examples, faults, test. */
const OUTSIDE = { uses: [...ALL, 'lm-pretrain', 'nmt', 'bench', 'examples', 'faults'], npm: true, node: true };

const IMPORTED = [
  /^\s*(?:import|export)\b[^;'"]*\bfrom\s*['"]([^'"]+)['"]/gm,
  /^\s*import\s*['"]([^'"]+)['"]/gm,
  /\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g,
];

/** Comments hold examples, which may import what they like. */
const withoutComments = (text) => text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');

/** @returns {string[]} the module specifiers a source text names */
export const specifiers = (text) => {
  const code = withoutComments(text);
  return IMPORTED.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]));
};

function violation(specifier, rule, builtins) {
  if (specifier.startsWith('.')) return /(^|\/)src\//.test(specifier) ? 'import another package by its name' : undefined;
  const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  if (specifier.startsWith('node:') || builtins.has(name)) return rule.node ? undefined : 'no Node modules here, it runs in browsers';
  const own = /^@xmoe\/(.+)$/.exec(name);
  if (own) return rule.uses.includes(own[1]) ? undefined : `may only use: ${rule.uses.join(', ') || 'nothing'}`;
  return rule.npm ? undefined : 'no npm packages here';
}

const packageOf = (path) => /^((packages|apps)\/[^/]+|bench|examples|faults|test)\//.exec(path)?.[1];
const ruleOf = (folder) => {
  if (folder.startsWith('packages/')) return TABLE[folder];
  return folder.startsWith('apps/') ? APP : OUTSIDE;
};

/** @param {TextFile[]} files @param {Set<string>} builtins Node's module names */
export function imports(files, builtins) {
  return files
    .filter(({ path }) => /^(packages|apps)\/[^/]+\/src\/.*\.(ts|mts|mjs|js)$/.test(path))
    .flatMap(({ path, text }) => {
      const folder = packageOf(path);
      const rule = ruleOf(folder);
      if (!rule) return [`${path}: ${folder} is not in the table of scripts/checks/boundaries.mjs`];
      return [...new Set(specifiers(text))].flatMap((specifier) => {
        const problem = violation(specifier, rule, builtins);
        return problem ? [`${path}: imports ${specifier}: ${problem}`] : [];
      });
    });
}

/** Statements that a compiler erases name what a bundle never holds. */
const withoutTypes = (text) => withoutComments(text).replace(/^\s*(?:import|export)\s+type\b[^;]*;/gm, '');
const NODE_GLOBAL = /(?<![.\w$'"`])(Buffer|process|__dirname|__filename|setImmediate)\s*[.([]/;

/** Source file that `specifier` names in the file `from`, of this repository. */
function sourceOf(from, specifier, texts) {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts');
  const own = /^@xmoe\/([^/]+)(.*)$/.exec(specifier);
  if (!own) return undefined;
  const manifest = texts.get(`packages/${own[1]}/package.json`);
  const source = manifest && JSON.parse(manifest).exports?.[`.${own[2]}`]?.['@xmoe/source'];
  return source && posix.join('packages', own[1], source);
}

/** What browsers load reaches no module and no global of Node, by no way. @param {TextFile[]} files @param {Set<string>} builtins Node's module names */
export function browserEntries(files, builtins) {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const visit = (path, way, seen) => {
    if (seen.has(path) || !texts.has(path)) return [];
    seen.add(path);
    const text = withoutTypes(texts.get(path));
    const here = [...way, path];
    const from = way.length > 0 ? `, imported through ${here.slice(0, -1).join(' → ')}` : '';
    const global = NODE_GLOBAL.exec(text)?.[1];
    const found = global ? [`${path}: uses ${global}${from}: browsers load it`] : [];
    return found.concat(specifiers(text).flatMap((specifier) => {
      if (specifier.startsWith('node:') || builtins.has(specifier.split('/')[0])) return [`${path}: imports ${specifier}${from}: browsers load it`];
      const source = sourceOf(path, specifier, texts);
      return source ? visit(source, here, seen) : [];
    }));
  };
  return Object.entries(BROWSER_ENTRIES).flatMap(([folder, entries]) => {
    const manifest = texts.get(`${folder}/package.json`);
    if (!manifest) return [];
    return entries.flatMap((entry) => {
      const source = JSON.parse(manifest).exports?.[entry]?.['@xmoe/source'];
      return source ? visit(posix.join(folder, source), [], new Set()) : [`${folder}/package.json: no entry ${entry}, which browsers load`];
    });
  });
}

/** Run-time dependencies keep to the table, and what a source imports is declared. @param {TextFile[]} files */
export function manifests(files) {
  return packagesIn(files).flatMap(({ folder, path, manifest }) => {
    const dependencies = Object.keys(manifest.dependencies ?? {});
    const rule = ruleOf(folder) ?? APP;
    const forbidden = dependencies.flatMap((name) => {
      const problem = violation(name, rule, new Set());
      return problem ? [`${path}: depends on ${name}: ${problem}`] : [];
    });
    const declared = new Set([manifest.name, ...dependencies, ...Object.keys(manifest.peerDependencies ?? {})]);
    const sources = files.filter((file) => file.path.startsWith(`${folder}/src/`) && file.path.endsWith('.ts'));
    const takenIn = (name) => BUNDLED.includes(name) && name in (manifest.devDependencies ?? {});
    const undeclared = [...ownPackages(sources, () => undefined)].filter((name) => !declared.has(name) && !takenIn(name))
      .map((name) => `${path}: ${name} is imported but not a dependency`);
    return [...forbidden, ...undeclared];
  });
}

/**
 * What code outside `src` uses is declared, so that a change there makes its tests run again: in the manifest or, where a dependency would
 * be a circle, in the package's turbo.json under `tests-use`. @param {TextFile[]} files
 */
export function uses(files) {
  const packages = packagesIn(files);
  const nameOf = new Map(packages.map(({ folder, manifest }) => [folder, manifest.name]));
  return packages.flatMap(({ folder, path, manifest }) => {
    const task = files.find((file) => file.path === `${folder}/turbo.json`);
    const besides = task ? JSON.parse(task.text).tasks['tests-use'].dependsOn.map((name) => name.replace(/#sources$/, '')) : [];
    const declared = new Set([manifest.name, ...besides, ...Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })]);
    const outside = files.filter((file) => file.path.startsWith(`${folder}/`) && !file.path.startsWith(`${folder}/src/`) && /\.(ts|mjs)$/.test(file.path));
    return [...ownPackages(outside, (folderOfImport) => nameOf.get(folderOfImport))].filter((name) => !declared.has(name))
      .map((name) => `${path}: ${name} is used outside src but neither a dependency nor in ${folder}/turbo.json`);
  });
}

const packagesIn = (files) => files.filter(({ path }) => path.endsWith('package.json') && packageOf(path) === posix.dirname(path))
  .map(({ path, text }) => ({ folder: posix.dirname(path), path, manifest: JSON.parse(text) }));

/** Names of our packages that files import, by name or by a path into their folder. */
function ownPackages(files, nameOfFolder) {
  const named = files.flatMap(({ path, text }) => specifiers(text).map((specifier) => (
    specifier.startsWith('.') ? nameOfFolder(packageOf(posix.join(posix.dirname(path), specifier))) : /^@xmoe\/[a-z-]+/.exec(specifier)?.[0]
  )));
  return new Set(named.filter(Boolean));
}
