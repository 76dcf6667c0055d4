// The executable of xmoe-nmt: arguments and streams of the process in, its exit code out. Holds no option.
import { runProgram } from './program.js';

// A reader that has seen enough (`… | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
process.exitCode = await runProgram(process.argv.slice(2), { output: process.stdout, messages: process.stderr }, () => process.stdin);
