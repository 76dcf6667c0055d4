// The entry @xmoe/distributed/node: the run that a launcher made this process part of, over MPI.
export { MpiComm } from './mpi/mpi-comm.js';
export { ignoresLauncher } from './mpi/find-mpi.js';
export { openComm, type OpenCommOptions, type OpenedComm } from './mpi/open-comm.js';
export { readLauncher, type Launched, type MpiFamily } from './mpi/launcher.js';
export { STUCK_EXIT_CODE } from './mpi/watchdog.js';
export { launchLine, type Launcher, type LaunchRequest } from './launch/launch-line.js';
export { askLauncher, findLauncher, MPI_FAMILIES, runLauncher } from './launch/run-launcher.js';
