// A translation model behind HTTP: translations with their scores, and the routing of sentences, at the threshold of the run or another.
import { XMoEError } from '@xmoe/core';
import { createLineTranslator, createTranslationModelFromConfig, createTranslator, droplessTranslationConfig, sourceLimits, type DecodingOptions, type LineTranslator, type XMoETranslator } from '@xmoe/models';
import { MOST_ROUTED_CHARACTERS, Refusal, routingAnswer, unknownModel, type Handler, type OpenService } from '@xmoe/program/serve';
import { formatCompact } from '@xmoe/train';
import { z } from 'zod';
import { routeSentence } from '../route-sentence.js';
import { openRun, withThreshold, type TrainedRun } from '../session.js';
import { createTranslateQueue, type TranslateQueue } from './translate-queue.js';

const MOST_TEXTS = 128;
const MOST_BEAM = 16;
/** Sources that are translated together, for each of `--max-running`. */
const SOURCES_PER_PLACE = 4;

const translateSchema = z.strictObject({
  model: z.string().optional(),
  text: z.union([z.string().max(MOST_ROUTED_CHARACTERS), z.array(z.string().max(MOST_ROUTED_CHARACTERS)).max(MOST_TEXTS)]),
  /** Translations of each text. Default 1. */
  n_best: z.int().min(1).max(MOST_BEAM).nullish(),
  beam: z.int().min(1).max(MOST_BEAM).nullish(),
  length_penalty: z.number().min(0).max(10).nullish(),
  threshold: z.number().min(0).max(1).nullish(),
});

const routeSchema = z.strictObject({ text: z.string().min(1).max(MOST_ROUTED_CHARACTERS), threshold: z.number().min(0).max(1).nullish() });

/** The model and its translator at one threshold. */
interface AtThreshold {
  readonly model: XMoETranslator;
  readonly lines: LineTranslator;
}

export const openTranslationService: OpenService = async (directory, { maxRunning, modelName, ...options }) => {
  const run = await openRun(directory, options);
  const { record: { config }, languages, parameters } = run;
  const queue = createTranslateQueue(maxRunning * SOURCES_PER_PLACE);
  const at = thresholds(run);
  const { moe, decoding } = config;
  const size = Object.values(parameters).reduce((sum, tensor) => sum + tensor.size, 0);
  return {
    routes: {
      'POST /translate': translateHandler(run, queue, at, modelName),
      'POST /route': routeHandler(run, at),
      'POST /v1/completions': () => {
        throw new Refusal(404, 'this model translates: use POST /translate with {"text": …}');
      },
    },
    page: {
      task: 'translation',
      about: `Translation from ${languages.source} to ${languages.target}, ${formatCompact(size)} parameters${moe ? `, ${moe.experts} experts (${moe.router.type})` : ', dense'}; ${run.checkpoint.path}`,
      example: '',
      threshold: moe?.router.type === 'threshold' ? (decoding.threshold ?? moe.router.threshold) : null,
      capacityFactor: moe?.capacityFactor ?? null,
      beam: decoding.beam,
    },
    created: Math.floor(Date.now() / 1000),
    load: queue.load,
    close: run.close,
  };
};

/** Models of thresholds that were asked for: one costs its tables alone. */
const MOST_MODELS = 64;

function thresholds(run: TrainedRun): (threshold: number | null | undefined) => AtThreshold {
  const { record: { config }, tokenizer, tokens, languages, parameters, device: { engine } } = run;
  const known = new Map<number, AtThreshold>();
  return (threshold) => {
    if (threshold === null || threshold === undefined) return run;
    const found = known.get(threshold);
    if (found) return found;
    const other = withThreshold(config, threshold);
    const model = createTranslationModelFromConfig(droplessTranslationConfig(other), tokenizer.vocabularySize);
    const translator = createTranslator({ engine, config: other, model, parameters, tokens });
    const made = { model, lines: createLineTranslator({ translator, tokenizer, tokens, languages, limits: sourceLimits(other) }) };
    if (known.size >= MOST_MODELS) known.delete(known.keys().next().value!);
    known.set(threshold, made);
    return made;
  };
}

function translateHandler(run: TrainedRun, queue: TranslateQueue, at: ReturnType<typeof thresholds>, name: string): Handler {
  return async (call) => {
    const { model, text, threshold, n_best: asked, beam: given, length_penalty: penalty } = await call.body(translateSchema);
    if (model !== undefined && model !== name) throw unknownModel(model, name);
    const { decoding } = run.record.config;
    const nBest = asked ?? 1;
    const beam = given ?? Math.max(decoding.beam, nBest);
    if (nBest > beam) throw new XMoEError('value', `n_best ${nBest} is more than the beam of ${beam}, which keeps no others`, { hint: 'raise beam with it' });
    const texts = [text].flat();
    const { lines } = at(threshold);
    const { lines: sources, refused } = lines.read(texts, 1, (index) => `text ${index}`);
    if (refused) throw refused;
    const options: DecodingOptions = { ...decoding, beam, nBest, lengthPenalty: penalty ?? decoding.lengthPenalty };
    const found = await queue.translate({ lines, sources, decoding: options, signal: call.signal });
    if (found === null) throw new Refusal(503, 'the server is ending: this was not translated');
    call.json({ model: name, languages: run.languages, translations: texts.map((source, index) => ({ source, best: found[index]! })) });
  };
}

/** Routes the first sentence of a text with its best translation; told is the routing of the source, or of the target where only that is routed. */
function routeHandler(run: TrainedRun, at: ReturnType<typeof thresholds>): Handler {
  const { record: { config }, tokenizer, tokens, device: { engine } } = run;
  return async (call) => {
    const { text, threshold } = await call.body(routeSchema);
    const { model, lines } = at(threshold);
    const { lines: [line], refused } = lines.read([text], 1, () => 'the text');
    if (refused) throw refused;
    const source = line?.parts[0];
    if (!source) throw new XMoEError('value', 'the text has no words', { hint: 'pass a sentence' });
    const router = { engine, model, parameters: run.parameters, tokenizer, tokens, computeDType: config.train.precision };
    const [best] = (await lines.translate([{ number: 1, parts: [source] }], { ...config.decoding, beam: 1, nBest: 1 }))[0]!;
    const routed = await routeSentence(router, source.subarray(0, -1), tokenizer.encode(best?.text ?? ''));
    call.json(routingAnswer(routed.source.layers.length > 0 ? routed.source : routed.target));
  };
}
