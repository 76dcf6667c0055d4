// sample: continues a prompt, token by token on standard output.
import { checkSamplingOptions, createLanguageModelFromConfig, droplessLanguageConfig, generateTokens } from '@xmoe/models';
import { openRun } from '../session.js';
import { printable, type Terminal } from '@xmoe/program';

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
  checkSamplingOptions(options);
  const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    const { engine } = run.device;
    const model = createLanguageModelFromConfig(droplessLanguageConfig(run.record.config), run.tokenizer.vocabularySize);
    // Characters may span tokens: the decoder holds back what is not whole yet.
    const decoder = new TextDecoder();
    let added = '';
    // A terminal must not obey what a model writes; a file gets it as it is.
    const write = (text: string): void => void (terminal.json || terminal.output.write(terminal.output.isTTY ? printable(text) : text));
    const add = (text: string): void => {
      added += text;
      write(text);
    };
    let tokens = 0;
    write(options.prompt);
    for await (const token of generateTokens(engine, model, run.parameters, run.tokenizer, options.prompt, options, run.record.config.train.precision)) {
      tokens++;
      add(decoder.decode(run.tokenizer.tokenBytes(token), { stream: true }));
    }
    add(decoder.decode());
    terminal.result({ checkpoint: run.checkpoint.path, prompt: options.prompt, text: added, tokens }, '\n');
  } finally {
    run.close();
  }
}
