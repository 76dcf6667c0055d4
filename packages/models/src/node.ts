// The entry @xmoe/models/node: runs opened from their directories.
export { openRun, type OpenRunOptions } from './run/read-run.js';
