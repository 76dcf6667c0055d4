// Ranks as threads of one process, for tests of what waits in the middle of a computation.
export { createThreadComm, createThreadTeam, type ThreadTeam } from './thread-comm.js';
export { asThread, runThreads } from './run-threads.js';
