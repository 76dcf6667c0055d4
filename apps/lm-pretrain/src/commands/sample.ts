// sample: continues a prompt, token by token on standard output.
import { generate } from '../generate.js';
import { leakFree } from '../finish.js';
import { buildModel } from '../model.js';
import { openRun } from '../session.js';
import { printable, type Terminal } from '../terminal.js';

interface SampleOptions {
  backend: string;
  checkpoint: string;
  prompt: string;
  maxTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
}

export async function sampleCommand(terminal: Terminal, directory: string, options: SampleOptions): Promise<void> {
  const run = await openRun(directory, options);
  try {
    const { engine } = run.device;
    const model = buildModel(engine, leakFree(run.record.config), run.tokenizer.vocabularySize);
    // Characters may span tokens: the decoder holds back what is not whole yet.
    const decoder = new TextDecoder();
    process.stdout.write(options.prompt);
    for await (const token of generate(engine, model, run.parameters, run.tokenizer, options.prompt, options, run.record.config.train.precision)) {
      process.stdout.write(decoder.decode(run.tokenizer.tokenBytes(token), { stream: true }));
    }
    process.stdout.write(`${decoder.decode()}\n`);
  } finally {
    run.close();
  }
}
