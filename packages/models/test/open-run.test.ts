// Runs that an older version trained open from their directories and from files in memory, and say what they said then.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine } from '@xmoe/core';
import { openRun, type LanguageRun, type RunFiles, type TranslationRun } from '@xmoe/models';
import { openRun as openDirectory } from '@xmoe/models/node';
import { copyOldRun, outcomesOfThen, temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, describe, expect, it } from 'vitest';

const path = temporaryFolder(afterAll);
const runs = { lm: copyOldRun('lm', path('lm')), nmt: copyOldRun('nmt', path('nmt')) };
const engine = createEngine(createCpuBackend());
afterAll(() => engine.dispose());

function filesOf(run: string, checkpoint: string): RunFiles & { readonly parameters: Uint8Array } {
  const of = (name: string): string => join(run, 'checkpoints', checkpoint, name);
  return {
    config: readFileSync(join(run, 'config.json'), 'utf8'),
    tokenizer: readFileSync(of('tokenizer.json'), 'utf8'),
    parameters: readFileSync(of('parameters.safetensors')),
  };
}

async function text(pieces: AsyncIterable<string>): Promise<string> {
  let all = '';
  for await (const piece of pieces) all += piece;
  return all;
}

const sampleOfThen = outcomesOfThen('lm') as { sample: Record<string, string> };
const translationOfThen = outcomesOfThen('nmt') as { translate: Record<string, string> };
const SOURCES = ['Das Haus rot das Schiff alt sieht.', 'Das Fluss schön das Berg neu kennt.'];

describe('a language run', () => {
  it.each(['0', '0.8'])('from its directory generates what it did, at temperature %s', async (temperature) => {
    const run = await openDirectory(runs.lm, engine) as LanguageRun;
    expect(run.task).toBe('language');
    const generated = await text(run.generate('The ', { maxTokens: 24, temperature: Number(temperature) }));
    expect(`The ${generated}\n`).toBe(sampleOfThen.sample[temperature]);
    run.dispose();
  });

  it('from files in memory, too', async () => {
    const run = openRun(filesOf(runs.lm, 'step-00000040'), engine) as LanguageRun;
    expect(`The ${await text(run.generate('The ', { maxTokens: 24 }))}\n`).toBe(sampleOfThen.sample['0.8']);
    expect(await text(run.generate('', { maxTokens: 3 }))).not.toBe('');
    run.dispose();
  });
});

describe('a translation run', () => {
  it('from its directory translates what it did; what was trained in half precision runs where there is none', async () => {
    const run = await openDirectory(runs.nmt, engine, { checkpoint: 'latest' }) as TranslationRun;
    expect([run.task, run.languages]).toEqual(['translation', { source: 'de', target: 'en' }]);
    const translated = await run.translate([...SOURCES, ''], { beam: 1 });
    expect(`${translated.slice(0, 2).join('\n')}\n`).toBe(translationOfThen.translate.greedy);
    expect(translated[2]).toBe('');
    run.dispose();
  });

  it('from files in memory, too', async () => {
    const run = openRun(filesOf(runs.nmt, 'step-00000040'), engine) as TranslationRun;
    expect(`${(await run.translate(SOURCES, { beam: 1 })).join('\n')}\n`).toBe(translationOfThen.translate.greedy);
    run.dispose();
  });
});

describe('what is not a run', () => {
  const files = filesOf(runs.lm, 'step-00000040');
  it.each([
    ['a preset', { ...files, config: '{"model":{"width":8}}' }, 'config.json is not that of a run'],
    ['no JSON', { ...files, config: '' }, 'config.json'],
    ['another model', { ...files, config: files.config.replace('"experts":4', '"experts":2') }, 'does not fit the model'],
    ['another run', { ...files, parameters: filesOf(runs.nmt, 'step-00000040').parameters }, 'does not fit the model'],
    ['no parameters', { ...files, parameters: new Uint8Array() }, 'parameters.safetensors'],
    ['half of the parameters', { ...files, parameters: files.parameters.subarray(0, files.parameters.length >> 1) }, 'parameters.safetensors'],
  ] as [string, RunFiles, string][])('is refused, and nothing stays on the engine: %s', (_, given, message) => {
    const { buffers } = engine.memory();
    expect(() => openRun(given, engine)).toThrow(message);
    expect(engine.memory().buffers).toBe(buffers);
  });

  it('is named: an empty directory, a checkpoint that there is not', async () => {
    writeFileSync(path('note.txt'), '');
    await expect(openDirectory(engine as never, runs.lm as never)).rejects.toThrow('openRun: the directory is');
    await expect(openDirectory(path('nowhere'), engine)).rejects.toThrow('holds no run: config.json is not there');
    await expect(openDirectory(runs.lm, engine, { checkpoint: 'step-7' })).rejects.toThrow('there is no checkpoint "step-7"');
  });
});
