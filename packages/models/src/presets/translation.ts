// The presets of translation models by name, as data: in Node and in a page alike. Not read from files, not validated.
import type { JsonObject } from '@xmoe/files';
import paperBase32x2048 from '../../presets/translation/paper-base-32x2048.json' with { type: 'json' };
import paperDense from '../../presets/translation/paper-dense.json' with { type: 'json' };
import paperHash32x2048 from '../../presets/translation/paper-hash-32x2048.json' with { type: 'json' };
import paperSwitch32x2048 from '../../presets/translation/paper-switch-32x2048.json' with { type: 'json' };
import paperTopk128x512 from '../../presets/translation/paper-topk-128x512.json' with { type: 'json' };
import paperTopk64x1024 from '../../presets/translation/paper-topk-64x1024.json' with { type: 'json' };
import paperXmoe128x512 from '../../presets/translation/paper-xmoe-128x512.json' with { type: 'json' };
import paperXmoe32x2048 from '../../presets/translation/paper-xmoe-32x2048.json' with { type: 'json' };
import paperXmoe64x1024 from '../../presets/translation/paper-xmoe-64x1024.json' with { type: 'json' };
import small from '../../presets/translation/small.json' with { type: 'json' };
import tiny from '../../presets/translation/tiny.json' with { type: 'json' };

/** What `--preset` of xmoe-nmt takes. */
export const translationPresets: Readonly<Record<string, JsonObject>> = {
  'paper-base-32x2048': paperBase32x2048,
  'paper-dense': paperDense,
  'paper-hash-32x2048': paperHash32x2048,
  'paper-switch-32x2048': paperSwitch32x2048,
  'paper-topk-128x512': paperTopk128x512,
  'paper-topk-64x1024': paperTopk64x1024,
  'paper-xmoe-128x512': paperXmoe128x512,
  'paper-xmoe-32x2048': paperXmoe32x2048,
  'paper-xmoe-64x1024': paperXmoe64x1024,
  small,
  tiny,
};
