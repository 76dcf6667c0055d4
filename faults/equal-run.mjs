// The rank of equal-on-ranks.mjs: runs of small models by the training loop of the programs, one after another in one process, and what each left
// behind as a hash: weights and moments of its checkpoint, state, and every number of its metrics. Random batches of ids, in place of text.
// `equal-run.mjs DIRECTORY CASES`: cases as JSON, `{ key, program, router, set, steps }`; the first rank prints a line `{ key, hash, seconds }` for each.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, hostUniform, initializeParameters, randomKey } from '@xmoe/core';
import { groupRanks } from '@xmoe/distributed';
import { openComm } from '@xmoe/distributed/node';
import { createLanguageModelFromConfig, createLanguageModelTrainer, createTranslationModelFromConfig, createTranslationTrainer } from '@xmoe/models';
import { loadLanguagePreset, loadTranslationPreset } from '@xmoe/models/presets';
import { routerRow } from '@xmoe/routers/by-name';
import { collatePairs } from '@xmoe/text';
import { runTraining } from '@xmoe/train/node';

const VOCABULARY = 37;
/** Of a micro-batch and of an update of the language model. */
const [SEQUENCES, LENGTH, MICRO_BATCHES] = [2, 6, 8];
/** Target tokens that end an update of the translation model: 5 to 9 micro-batches. */
const UPDATE_TOKENS = 50;
const CAPACITY_FACTOR = 2;

const ofBoth = (router) => [
  'model.width=8', 'model.heads=2', 'model.hidden=16', 'model.dropout=0.1', 'moe.every=2', 'moe.experts=8', 'moe.expertHidden=8', `moe.capacityFactor=${CAPACITY_FACTOR}`,
  `moe.router=${JSON.stringify({ type: router, ...routerRow('equal-run', 'router', router).whenNamed?.({ capacityFactor: CAPACITY_FACTOR }) })}`,
  'train.warmupSteps=2', 'train.schedule=constant', 'train.reduction=deterministic',
];
const idsOf = (index, count) => Array.from(hostUniform(randomKey(index), count), (u) => 3 + Math.floor(u * u * (VOCABULARY - 3)));

const PROGRAMS = {
  lm: {
    config: (router, set) => loadLanguagePreset('tiny', { set: [...ofBoth(router), `model.contextLength=${LENGTH}`, `train.batchSize=${SEQUENCES}`, ...set] }),
    trainer(engine, config, ranks) {
      const model = createLanguageModelFromConfig(config, VOCABULARY, { experts: ranks.experts });
      return createLanguageModelTrainer(engine, config, model, initializeParameters(engine, model.parameters, randomKey(1)), ranks);
    },
    batch(index) {
      const ids = idsOf(index, SEQUENCES * LENGTH + 1);
      return { inputs: Int32Array.from(ids.slice(0, -1)), targets: Int32Array.from(ids.slice(1)) };
    },
    accumulation: MICRO_BATCHES,
  },
  nmt: {
    config: (router, set) => loadTranslationPreset('tiny', { set: [...ofBoth(router), ...set] }),
    trainer(engine, config, ranks) {
      const model = createTranslationModelFromConfig(config, VOCABULARY, ranks.experts);
      return createTranslationTrainer(engine, config, model, initializeParameters(engine, model.parameters, randomKey(1)), ranks);
    },
    batch(index) {
      const sentence = (of, length) => Int32Array.from([...idsOf(2 * of, length), 2]);
      const pairs = [0, 1].map((row) => ({ source: sentence(4 * index + row, 2 + ((index + row) % 4)), target: sentence(4 * index + row + 2, 2 + ((index + 2 * row) % 3)) }));
      return collatePairs(pairs, { padding: 0, beginOfSentence: 1, endOfSentence: 2 });
    },
    accumulation: (batches) => batches.reduce((sum, { targetTokens }) => sum + targetTokens, 0) >= UPDATE_TOKENS,
  },
};

function batchesOf({ batch }) {
  let next = 0;
  return { next: () => batch(next++), state: () => ({ next }), restore: (state) => (next = state.next) };
}

const TIMES = /seconds|persecond|time/i;

/** Of the files of the last checkpoint, and of the metrics without what is measured by a clock. */
function hashOf(directory) {
  const hash = createHash('sha256');
  const checkpoint = join(directory, 'checkpoints', readdirSync(join(directory, 'checkpoints')).filter((name) => name.startsWith('step-')).sort().at(-1));
  for (const name of readdirSync(checkpoint).filter((file) => file.endsWith('.safetensors')).sort()) hash.update(name).update(readFileSync(join(checkpoint, name)));
  for (const line of readFileSync(join(directory, 'metrics.jsonl'), 'utf8').trim().split('\n')) hash.update(JSON.stringify(JSON.parse(line), (key, value) => (TIMES.test(key) ? undefined : value)));
  return hash.digest('hex').slice(0, 16);
}

async function runCase(comm, engine, { program, router, set, steps }, directory) {
  const task = PROGRAMS[program];
  const config = task.config(router, set);
  const trainer = task.trainer(engine, config, await groupRanks(comm, config.train.expertParallel ?? 1));
  await runTraining({
    directory, trainer, batches: batchesOf(task), accumulation: task.accumulation, totalSteps: steps, evaluateEvery: 0, checkpointEvery: steps, keepCheckpoints: 1, routingEvery: 10,
    resume: false, saved: {}, files: {}, checkSaved: () => undefined, stop: { requested: false }, stream: { write: () => true }, comm,
  });
  trainer.dispose();
}

const [directory, cases] = [process.argv[2], JSON.parse(process.argv[3])];
const { comm } = openComm();
const engine = createEngine(await createWasmBackend({ threads: 1 }));
for (const [index, one] of cases.entries()) {
  const own = join(directory, String(index));
  const started = performance.now();
  await runCase(comm, engine, one, own);
  if (comm.rank === 0) {
    process.stdout.write(`${JSON.stringify({ key: one.key, hash: hashOf(own), seconds: (performance.now() - started) / 1000 })}\n`);
    rmSync(own, { recursive: true });
  }
  await comm.barrier();
}
await comm.close();
engine.dispose();
