// Type-checks the bundled declarations of every published entry as a user without `skipLibCheck` would. Needs `build` to have run.
// What declarations of other people's packages get wrong is not counted.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from '@typescript/typescript6';
import { publicPackages, root } from '../lib/repository.mjs';

const folder = join(root, '.xmoe', 'declarations');
const entries = publicPackages().flatMap(({ manifest }) =>
  Object.entries(manifest.exports ?? {}).filter(([, target]) => typeof target === 'object' && 'types' in target).map(([path]) => manifest.name + path.slice(1)));

/** Errors in declarations of ours that `file`, which imports them all, reaches. */
function errorsIn(file) {
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'], types: ['node', '@webgpu/types'], typeRoots: [join(root, 'node_modules', '@types'), join(root, 'node_modules')],
    strict: true, skipLibCheck: false, noEmit: true,
  });
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName === file || /\/packages\/[^/]+\/dist\/[^/]+\.d\.ts$/.test(fileName));
  const errors = ours.flatMap((source) => [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]);
  const lines = errors.map(({ file: source, start = 0, code, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start);
    return `${source.fileName.replace(root, '')}:${line + 1}: TS${code}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
  return { lines, checked: ours.length - 1 };
}

mkdirSync(folder, { recursive: true });
try {
  const file = join(folder, 'everything.mts');
  writeFileSync(file, entries.map((entry, index) => `export * as entry${index} from '${entry}';\n`).join(''));
  const { lines, checked } = errorsIn(file);
  for (const line of lines) console.log(line);
  // An entry without declarations is an error of its import; none at all would be a stage that checks nothing.
  const problems = lines.length + (checked >= entries.length ? 0 : 1);
  console.log(`${checked} declaration files of ${entries.length} entries checked, ${lines.length} errors`);
  process.exitCode = problems === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
