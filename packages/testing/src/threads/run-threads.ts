// Starts a program of a test as the ranks of a team of threads, and gives what each says at its end.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Comm } from '@xmoe/distributed';
import { createThreadComm, createThreadTeam, type ThreadTeam } from './thread-comm.js';

interface Given {
  readonly team: ThreadTeam;
  readonly rank: number;
  readonly program: string;
  readonly tsx: string;
  readonly tasks: readonly unknown[];
}

/** Threads do not take over the loader of the process. */
const START = `
const { workerData } = require('node:worker_threads');
import(workerData.tsx).then(({ register }) => {
  register();
  return import(workerData.program);
}).catch((error) => setImmediate(() => { throw error; }));
`;

/**
 * What the default of `program`, a source file, resolves to on each of `size` ranks, for each `task`. The threads are started once; their tasks go one
 * after another. What is sent is cloned.
 */
export async function runThreads<Task, Result>(program: URL, size: number, tasks: readonly Task[]): Promise<Result[][]> {
  const team = createThreadTeam(size);
  const tsx = import.meta.resolve('tsx/esm/api');
  const byRank = await Promise.all(Array.from({ length: size }, (_, rank) => new Promise<Result[]>((resolve, reject) => {
      const given: Given = { team, rank, program: program.href, tsx, tasks };
      const worker = new Worker(START, { eval: true, workerData: given, execArgv: ['--conditions=@xmoe/source'] });
      worker.once('message', resolve);
      worker.once('error', reject);
  })));
  return tasks.map((_, task) => byRank.map((results) => results[task]!));
}

/** For the program of a thread: does each task it is given, as a rank of the team. */
export async function asThread<Task, Result>(run: (comm: Comm, task: Task) => Promise<Result>): Promise<void> {
  if (isMainThread) return;
  const { team, rank, tasks } = workerData as Given;
  const results: Result[] = [];
  for (const task of tasks as Task[]) results.push(await run(createThreadComm(team, rank), task));
  parentPort!.postMessage(results);
}
