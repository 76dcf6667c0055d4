// The entry @xmoe/program/process: what an executable does before it loads its program. Imports nothing but Node, so that
// what goes wrong in loading the rest can still be told.
export { startProgram, type ProcessStreams, type ProcessStream } from './start-program.js';
