// Which tokenizer BLEU uses for a target language, by the language's code.
import { MetricsError } from './errors.js';
import type { TokenizerName } from './tokenizers.js';

/** ISO 639-1. */
const CODES = new Set(
  (
    'aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff ' +
    'fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv ' +
    'kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ' +
    'ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh ' +
    'yi yo za zh zu'
  ).split(' '),
);

/**
 * sacreBLEU's choice for a target language (`de`, `pt-br`, `zh_Hans`): `zh` for Chinese, `13a` for all others. Throws on a
 * code that is not in ISO 639-1, and on Japanese and Korean, for which sacreBLEU uses a morphological analyser.
 */
export function bleuTokenizerFor(language: string): TokenizerName {
  const code = language.toLowerCase().split(/[-_]/)[0];
  if (code === 'zh') return 'zh';
  if (code === 'ja' || code === 'ko') {
    throw new MetricsError(`the tokenizer ${code}-mecab, which BLEU uses for "${language}", is not there`, {
      op: 'bleu',
      hint: 'name the tokenizer char, or score with chrF, which needs none',
    });
  }
  if (CODES.has(code)) return '13a';
  throw new MetricsError(`no tokenizer is known for the language code "${language}"`, {
    op: 'bleu',
    hint: 'write an ISO 639-1 code such as de, uk or zh, or name the tokenizer: 13a, zh, intl, char or none',
  });
}
