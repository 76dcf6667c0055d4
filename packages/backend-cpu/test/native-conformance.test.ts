// The engine with a library's products against the plain backend: every primitive, on one thread and on several. That the number of threads
// changes no bit is in native-cut.test.ts.
import { describe, expect, it } from 'vitest';
import { createNativeBackend } from '@xmoe/backend-cpu/node';
import { runConformance } from '@xmoe/testing';
import { testLibrary } from './native-support.js';

const library = testLibrary();
describe.runIf('file' in library)('with a library', () => {
  const { file, name } = library as { file: string; name: string };
  for (const threads of [1, 3]) runConformance({ describe, it, expect }, `cpu:native on ${threads} threads, ${name}`, () => createNativeBackend({ threads, library: file }));
});
