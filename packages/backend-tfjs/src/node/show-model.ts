// A graph where TensorFlow's addon can take it from: in a folder of the system's temporary one, which is gone when it has.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShowModel } from '../tensorflow/recorder.js';

export const showModel: ShowModel = (model, load) => {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-graph-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), model);
    return load(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
