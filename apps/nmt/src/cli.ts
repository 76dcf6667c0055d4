#!/usr/bin/env node
// The executable of xmoe-nmt: arguments and streams of the process in, its exit code out. Holds no option.
import { startProgram } from '@xmoe/program/process';

await startProgram(() => import('./program.js'), ({ runProgram }, streams) => runProgram(process.argv.slice(2), streams, () => process.stdin));
