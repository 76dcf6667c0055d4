// A page that loads every entry for browsers and uses some; examples/in-a-page.mjs trains in it. Bundled by each of the bundlers of
// pages.test.ts, against the packages as users get them.
import '../../examples/in-a-page.mjs';
import * as cpu from '@xmoe/backend-cpu';
import * as webgpu from '@xmoe/backend-webgpu';
import * as core from '@xmoe/core';
import * as coreBackend from '@xmoe/core/backend';
import * as distributed from '@xmoe/distributed';
import * as files from '@xmoe/files';
import * as metrics from '@xmoe/metrics';
import { createLanguageModelFromConfig, languageModelSize } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import * as sections from '@xmoe/models/sections';
import * as moe from '@xmoe/moe';
import * as moeReference from '@xmoe/moe/reference';
import * as nn from '@xmoe/nn';
import * as routers from '@xmoe/routers';
import * as byName from '@xmoe/routers/by-name';
import { routeThreshold } from '@xmoe/routers/reference';
import * as text from '@xmoe/text';
import { createGpt2Tokenizer } from '@xmoe/text/gpt2';
import * as train from '@xmoe/train';

const preset = loadLanguagePreset('tiny');
const gpt2 = createGpt2Tokenizer();
globalThis.seen = {
  names: Object.values({ cpu, webgpu, core, coreBackend, distributed, files, metrics, moe, moeReference, nn, routers, byName, sections, text, train }).map((entry) => Object.keys(entry).length),
  tokens: [...gpt2.encode('Hello, world')],
  decoded: gpt2.decode(gpt2.encode('naïve café 🎓')),
  parameters: [languageModelSize(preset, 512).parameters, createLanguageModelFromConfig(preset, 512).parameters.length],
  experts: [...routeThreshold([[2, 1, 0, -1], [9, 0, 0, 0]], { threshold: 0.9 }).counts],
};
