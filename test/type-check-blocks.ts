// Type-checks files as a user's strict project would, `noUncheckedIndexedAccess` included. Only what is wrong in the files themselves
// counts: what they import is checked with the repository's own settings.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from '@typescript/typescript6';

/** What is wrong in each of `files`, by file; a name that nothing uses may be there. */
export function typeErrors(root: string, files: readonly string[]): { file: string; error: string }[] {
  const base = ts.readConfigFile(join(root, 'tsconfig.base.json'), (path) => readFileSync(path, 'utf8')) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson({ ...base.config.compilerOptions, noUncheckedIndexedAccess: true, noUnusedLocals: false }, root);
  const program = ts.createProgram([...files], options);
  return files.flatMap((file) => {
    const source = program.getSourceFile(file)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(({ messageText, start = 0, code }) => {
      const { line } = source.getLineAndCharacterOfPosition(start);
      return { file, error: `TS${code}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}: ${source.text.split('\n')[line]!.trim()}` };
    });
  });
}
