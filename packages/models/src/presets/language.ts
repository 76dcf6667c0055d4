// The presets of language models by name, as data: in Node and in a page alike. Not read from files, not validated.
import type { JsonObject } from '@xmoe/files';
import m124DenseAsXmoe16x192 from '../../presets/language/124m-dense-as-xmoe-16x192.json' with { type: 'json' };
import m124DenseAsXmoe8x384 from '../../presets/language/124m-dense-as-xmoe-8x384.json' with { type: 'json' };
import m124Dense from '../../presets/language/124m-dense.json' with { type: 'json' };
import m323Base8x3072 from '../../presets/language/323m-base-8x3072.json' with { type: 'json' };
import m323Hash8x3072 from '../../presets/language/323m-hash-8x3072.json' with { type: 'json' };
import m323Switch8x3072 from '../../presets/language/323m-switch-8x3072.json' with { type: 'json' };
import m323Topk16x1536 from '../../presets/language/323m-topk-16x1536.json' with { type: 'json' };
import m323Topk32x768 from '../../presets/language/323m-topk-32x768.json' with { type: 'json' };
import m323Topk64x384 from '../../presets/language/323m-topk-64x384.json' with { type: 'json' };
import m323Xmoe16x1536 from '../../presets/language/323m-xmoe-16x1536.json' with { type: 'json' };
import m323Xmoe32x768 from '../../presets/language/323m-xmoe-32x768.json' with { type: 'json' };
import m323Xmoe64x384 from '../../presets/language/323m-xmoe-64x384.json' with { type: 'json' };
import m323Xmoe8x3072 from '../../presets/language/323m-xmoe-8x3072.json' with { type: 'json' };
import m556Base8x4096 from '../../presets/language/556m-base-8x4096.json' with { type: 'json' };
import m556Hash8x4096 from '../../presets/language/556m-hash-8x4096.json' with { type: 'json' };
import m556Switch8x4096 from '../../presets/language/556m-switch-8x4096.json' with { type: 'json' };
import m556Topk16x2048 from '../../presets/language/556m-topk-16x2048.json' with { type: 'json' };
import m556Topk32x1024 from '../../presets/language/556m-topk-32x1024.json' with { type: 'json' };
import m556Topk64x512 from '../../presets/language/556m-topk-64x512.json' with { type: 'json' };
import m556Xmoe16x2048 from '../../presets/language/556m-xmoe-16x2048.json' with { type: 'json' };
import m556Xmoe32x1024 from '../../presets/language/556m-xmoe-32x1024.json' with { type: 'json' };
import m556Xmoe64x512 from '../../presets/language/556m-xmoe-64x512.json' with { type: 'json' };
import m556Xmoe8x4096 from '../../presets/language/556m-xmoe-8x4096.json' with { type: 'json' };
import small from '../../presets/language/small.json' with { type: 'json' };
import tiny from '../../presets/language/tiny.json' with { type: 'json' };
import tinyControlled32x64 from '../../presets/language/tiny-controlled-32x64.json' with { type: 'json' };
import tinyTopk32x64 from '../../presets/language/tiny-topk-32x64.json' with { type: 'json' };
import wikitext124mDense from '../../presets/language/wikitext-124m-dense.json' with { type: 'json' };
import wikitext323mSwitch8x3072 from '../../presets/language/wikitext-323m-switch-8x3072.json' with { type: 'json' };
import wikitext323mXmoe64x384 from '../../presets/language/wikitext-323m-xmoe-64x384.json' with { type: 'json' };

/** What `--preset` of xmoe-lm takes. */
export const languagePresets: Readonly<Record<string, JsonObject>> = {
  '124m-dense-as-xmoe-16x192': m124DenseAsXmoe16x192,
  '124m-dense-as-xmoe-8x384': m124DenseAsXmoe8x384,
  '124m-dense': m124Dense,
  '323m-base-8x3072': m323Base8x3072,
  '323m-hash-8x3072': m323Hash8x3072,
  '323m-switch-8x3072': m323Switch8x3072,
  '323m-topk-16x1536': m323Topk16x1536,
  '323m-topk-32x768': m323Topk32x768,
  '323m-topk-64x384': m323Topk64x384,
  '323m-xmoe-16x1536': m323Xmoe16x1536,
  '323m-xmoe-32x768': m323Xmoe32x768,
  '323m-xmoe-64x384': m323Xmoe64x384,
  '323m-xmoe-8x3072': m323Xmoe8x3072,
  '556m-base-8x4096': m556Base8x4096,
  '556m-hash-8x4096': m556Hash8x4096,
  '556m-switch-8x4096': m556Switch8x4096,
  '556m-topk-16x2048': m556Topk16x2048,
  '556m-topk-32x1024': m556Topk32x1024,
  '556m-topk-64x512': m556Topk64x512,
  '556m-xmoe-16x2048': m556Xmoe16x2048,
  '556m-xmoe-32x1024': m556Xmoe32x1024,
  '556m-xmoe-64x512': m556Xmoe64x512,
  '556m-xmoe-8x4096': m556Xmoe8x4096,
  small,
  tiny,
  'tiny-controlled-32x64': tinyControlled32x64,
  'tiny-topk-32x64': tinyTopk32x64,
  'wikitext-124m-dense': wikitext124mDense,
  'wikitext-323m-switch-8x3072': wikitext323mSwitch8x3072,
  'wikitext-323m-xmoe-64x384': wikitext323mXmoe64x384,
};
