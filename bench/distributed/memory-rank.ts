// What `pnpm bench memory` starts as ranks: some updates of a model in one layout, then the memory of each rank as JSON from the first. The table is
// bench/memory.ts.
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { gatherValues, groupRanks } from '@xmoe/distributed';
import { openComm } from '@xmoe/distributed/node';
import { createLanguageModelFromConfig, createLanguageModelTrainer } from '@xmoe/models';
import { openBackend } from '@xmoe/backends';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { vocabularyOf, zipfBatch } from '../train-step.js';

/** The first argument, as JSON. */
export interface MemoryJob {
  readonly backend: string;
  readonly preset: string;
  readonly set: readonly string[];
}

/** Of one rank, in bytes. */
export interface RankMemory {
  /** The most that the process had resident, without what it had before there was a model. */
  readonly resident: number;
  /** What the engine has taken from the system, parameters, recordings and idle room included. */
  readonly engine: number;
}

/** The first two of a kind run in full, the third is repeated where it is recorded. */
const STEPS = 4;

const peak = (): number => 1024 * process.resourceUsage().maxRSS;

async function main({ backend: name, preset, set }: MemoryJob): Promise<void> {
  const { comm } = openComm();
  const { backend } = await openBackend(name);
  const config = loadLanguagePreset(preset, { set: [...set, 'train.schedule=constant'] });
  const engine = createEngine(backend);
  const before = peak();
  const ranks = await groupRanks(comm, config.train.expertParallel ?? 1);
  const model = createLanguageModelFromConfig(config, vocabularyOf(config), { experts: ranks.experts });
  const trainer = createLanguageModelTrainer(engine, config, model, initializeParameters(engine, model.parameters, randomKey(config.train.seed)), ranks);
  const batches = Array.from({ length: config.train.accumulation }, (_, index) => zipfBatch(config, index));
  for (let step = 0; step < STEPS; step++) await trainer.step(batches, { collectRouting: false });
  const all = await gatherValues<RankMemory>(comm, { resident: peak() - before, engine: backend.memory!().bytes });
  if (comm.rank === 0) process.stdout.write(`${JSON.stringify(all)}\n`);
  await comm.close();
  trainer.dispose();
  engine.dispose();
}

await main(JSON.parse(process.argv[2]!) as MemoryJob);
