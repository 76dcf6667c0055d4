// What each public entry exports, by name, as it is written down in surfaces.json, types apart. UPDATE_SURFACES=1 rewrites it: a name that comes or
// goes is a change for users. Whether it does what it should is tested in its package.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from '@typescript/typescript6';
import { expect, it } from 'vitest';
import { publicPackages, root } from '../scripts/lib/repository.mjs';

interface Manifest {
  name: string;
  exports?: Record<string, { '@xmoe/source'?: string }>;
}

const file = new URL('surfaces.json', import.meta.url);
/** Entry → its source. */
const sources = new Map(publicPackages().flatMap(({ directory, manifest }: { directory: string; manifest: Manifest }) =>
  Object.entries(manifest.exports ?? {}).flatMap(([path, target]): [string, string][] =>
    (target['@xmoe/source'] === undefined ? [] : [[`${manifest.name}${path.slice(1)}`, join(root, directory, target['@xmoe/source'])]]))));

function surfaces(): Record<string, { values: string[]; types: string[] }> {
  const program = ts.createProgram([...sources.values()], {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, customConditions: ['@xmoe/source'],
    noLib: true, skipLibCheck: true, types: [],
  });
  const checker = program.getTypeChecker();
  return Object.fromEntries([...sources].map(([entry, source]) => {
    const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(source)!)!);
    const isValue = (symbol: ts.Symbol): boolean => ((symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol).flags & ts.SymbolFlags.Value) !== 0;
    const names = (kept: (symbol: ts.Symbol) => boolean): string[] => symbols.filter(kept).map(({ name }) => name).sort();
    return [entry, { values: names(isValue), types: names((symbol) => !isValue(symbol)) }];
  }));
}

it('every entry exports what is written down', () => {
  const found = surfaces();
  for (const [entry, { values }] of Object.entries(found)) expect(values.length, entry).toBeGreaterThan(0);
  if (process.env.UPDATE_SURFACES) {
    const lines = Object.entries(found).map(([entry, { values, types }]) => `${JSON.stringify(entry)}: {\n"values": ${JSON.stringify(values)},\n"types": ${JSON.stringify(types)}\n}`);
    writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`);
  }
  expect(found).toEqual(JSON.parse(readFileSync(file, 'utf8')));
});

it.each([...sources])('%s lists its names', (_, source) => expect(readFileSync(source, 'utf8')).not.toMatch(/^export \*/m));
