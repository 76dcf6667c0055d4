// import: weights from elsewhere as a run, so that every command that uses a run takes them. Nothing is trained.
import { alignedFacts, writeWeightsRun, type Terminal } from '@xmoe/program';
import { configs, PROGRAM } from '../config.js';
import { dataOf, openInitial } from '../initial.js';

export async function importCommand(terminal: Terminal, source: string, { out, backend }: { out: string; backend: string }): Promise<void> {
  const { weights, initial } = await openInitial(source, { presetGiven: false });
  const config = await configs.resolve({ preset: 'tiny', configure: (preset) => initial.configure({ ...preset, description: `Imported from ${source}.` }) });
  const record = { program: PROGRAM, preset: 'imported', backend, data: await dataOf(weights, source), config, initial: await initial.record() };
  const checkpoint = await writeWeightsRun(out, { record, tensors: await initial.tensors(config), tokenizer: weights.tokenizer });
  terminal.result({ run: out, checkpoint, weights: record.initial }, `${alignedFacts([['weights', initial.text], ['checkpoint', checkpoint]])}\n`);
}
