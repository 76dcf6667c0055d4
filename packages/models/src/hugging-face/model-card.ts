// The model card of a Hugging Face folder: what the model is, how it was trained, its figures, and how it is loaded. Text only.
import { formatCompact } from '@xmoe/train';
import type { LanguageConfig } from '../language/language-config.js';
import { languageModelSize } from '../language/language-model.js';

/** A figure of the run and its value, for the table. */
export type CardFigure = readonly [name: string, value: string];

export interface ModelCardFacts {
  readonly model: LanguageConfig['model'];
  readonly moe: LanguageConfig['moe'];
  readonly vocabularySize: number;
  readonly title: string;
  /** What it was trained on, in words; undefined where that is not known. */
  readonly trainedOn: string | undefined;
  /** Of the test split. Empty where nothing was scored. */
  readonly figures: readonly CardFigure[];
}

/** README.md of the folder, with its head of metadata. */
export function modelCard({ model, moe, vocabularySize, title, trainedOn, figures }: ModelCardFacts): string {
  const { parameters, activeParameters } = languageModelSize({ model, moe }, vocabularySize);
  const experts = moe ? `, in every ${moe.every === 1 ? 'layer' : `${ordinal(moe.every)} layer`} ${moe.experts} experts of ${moe.expertHidden} units (router: ${routerText(moe.router)}${moe.thresholds ? `; by layer ${moe.thresholds.join(', ')}` : ''})` : '';
  return `---
library_name: transformers
pipeline_tag: text-generation
tags:
- xmoe${moe ? '\n- mixture-of-experts' : '\n- gpt2'}
---

# ${title.replaceAll('\n', ' ')}

A language model of ${formatCompact(parameters)} parameters: GPT-2 with ${model.layers} layers of width ${model.width}, ${model.heads} heads, a context of ${model.contextLength} and a vocabulary of ${vocabularySize} tokens${experts}.
${moe ? `A token meets about ${formatCompact(activeParameters)} weights at the budget of training.\n` : ''}Trained with xmoe${trainedOn === undefined ? '' : ` on ${trainedOn}`}.

${figures.length > 0 ? `| on held-out text | |\n|---|---|\n${figures.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}` : 'No figures: it was not scored on held-out text.'}

## Use

\`\`\`python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER"${moe ? ', trust_remote_code=True' : ''})
model = AutoModelForCausalLM.from_pretrained("FOLDER"${moe ? ', trust_remote_code=True' : ''})
print(tokenizer.decode(model.generate(**tokenizer("The ", return_tensors="pt"), max_new_tokens=40, do_sample=True)[0]))
\`\`\`
${moe ? '\nThe model is in `modeling_xmoe.py`, a hundred lines to read before you trust them. No token is dropped there, so logits are those of xmoe with nothing dropped.\n' : ''}`;
}

function routerText({ type, ...options }: { readonly type: string }): string {
  const set = Object.entries(options).filter(([, value]) => typeof value === 'number' || value === true);
  return [type, ...set.map(([name, value]) => `${name} ${String(value)}`)].join(', ');
}

const ordinal = (count: number): string => `${count}${['th', 'st', 'nd', 'rd'][count % 100 >= 11 && count % 100 <= 13 ? 0 : Math.min(count % 10, 4) % 4]}`;
