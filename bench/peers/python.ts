// A Python process that is kept alive for the whole run and works only when asked: one JSON object per line each way.
// What it computes is in moe_torch.py and gemm_numpy.py.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { XMoEError } from '@xmoe/core';

export interface PythonProcess {
  /** What it said when it was ready. */
  readonly hello: Answer;
  /** One request at a time. @throws XMoEError `backend` with the error of the other side, or when the process is gone */
  ask(request: object): Promise<Answer>;
  close(): Promise<void>;
}

export type Answer = Readonly<Record<string, unknown>>;

/** @throws XMoEError `backend` when it cannot be started or ends before it is ready; the last line it printed says why */
export async function startPython(executable: string, args: readonly string[]): Promise<PythonProcess> {
  const child = spawn(executable, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = new Promise<void>((resolve) => {
    child.on('error', ({ message }) => {
      complaint = message;
      resolve();
    });
    child.on('close', () => resolve());
  });
  child.stdin.on('error', () => undefined); // a process that is gone shows as the end of its output

  async function answer(): Promise<Answer> {
    const line = await Promise.race([lines.next(), closed.then(() => ({ done: true as const, value: undefined }))]);
    if (line.done) {
      await closed;
      throw failure(`${executable} ended: ${complaint.trim().split('\n').at(-1) || 'it says nothing'}`);
    }
    const reply = JSON.parse(line.value) as Answer;
    if (typeof reply.error === 'string') throw failure(`${executable}: ${reply.error}`);
    return reply;
  }

  return {
    hello: await answer(),
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer();
    },
    async close() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'close');
    },
  };
}

const failure = (message: string): XMoEError => new XMoEError('backend', message, { op: 'bench', hint: 'is what it imports installed for this Python?' });
