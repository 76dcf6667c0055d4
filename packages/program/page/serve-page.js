// What the page of a server does: asks the server's own API, shows what comes, and shades each token by the experts that it took. All
// text goes in as text. Runs in browsers alone.

const element = (id) => document.getElementById(id);
const { task, model } = document.querySelector('main').dataset;
const numberOf = (id) => (element(id) && element(id).value !== '' ? Number(element(id).value) : undefined);

let asking = null;

function say(text, wrong = false) {
  element('status').textContent = text;
  element('status').classList.toggle('wrong', wrong);
}

/** Raises what the server says is wrong. */
async function post(path, body, signal) {
  const token = element('server-token')?.value;
  const headers = { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body), signal });
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new Error(answer?.error?.message ?? `the server answered ${response.status}`);
}

/** The objects of a stream of events. */
async function* eventsOf(response) {
  let rest = '';
  for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]') return;
      const parsed = JSON.parse(data);
      if (parsed.error) throw new Error(parsed.error.message);
      yield parsed;
    }
  }
}

async function continueText(prompt, signal) {
  const output = document.createElement('pre');
  output.className = 'sample';
  output.dir = 'auto';
  const given = document.createElement('span');
  given.className = 'prompt';
  given.textContent = prompt;
  const added = document.createTextNode('');
  output.append(given, added);
  element('output').replaceChildren(output);
  element('result').hidden = false;
  const started = performance.now();
  let tokens = 0;
  try {
    const response = await post('/v1/completions', {
      model, prompt, stream: true, stream_options: { include_usage: true }, temperature: numberOf('temperature'), top_p: numberOf('top-p'), max_tokens: numberOf('max-tokens'),
      seed: numberOf('seed'), threshold: numberOf('threshold'),
    }, signal);
    for await (const { choices, usage } of eventsOf(response)) {
      if (choices[0]) added.data += choices[0].text;
      tokens = usage?.completion_tokens ?? tokens;
    }
    say(`${tokens} tokens in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
    say('stopped');
  }
  await showRouting(prompt + added.data, { capacity_factor: numberOf('capacity-factor') });
}

async function translate(text, signal) {
  const sources = text.split('\n').filter((line) => line.trim() !== '');
  const { translations } = await (await post('/translate', {
    text: sources, n_best: numberOf('n-best'), beam: numberOf('beam'), threshold: numberOf('threshold'),
  }, signal)).json();
  element('output').replaceChildren(...translations.flatMap(({ source, best }) => {
    const heading = document.createElement('h3');
    heading.dir = 'auto';
    heading.textContent = source;
    const list = document.createElement('ol');
    list.className = 'translations';
    list.append(...best.map(({ text: words, score }) => {
      const item = document.createElement('li');
      item.dir = 'auto';
      const note = document.createElement('span');
      note.className = 'score';
      note.textContent = ` ${score.toFixed(3)}`;
      item.append(words, note);
      return item;
    }));
    return [heading, list];
  }));
  element('result').hidden = false;
  say('');
  if (sources.length > 0) await showRouting(sources[0], {});
}

/** By layer and token: which experts, with probabilities where the router has them. */
let routed = null;

async function showRouting(text, more) {
  if (text === '') return;
  routed = await (await post('/route', { text, threshold: numberOf('threshold'), ...more })).json();
  element('routing').hidden = routed.layers.length === 0;
  const select = element('layer');
  const chosen = select.value;
  const options = [['', 'mean of all layers'], ...routed.layers.map(({ name }) => [name, name])];
  select.replaceChildren(...options.map(([value, label]) => Object.assign(document.createElement('option'), { value, textContent: label })));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
  drawTokens();
}

const layersShown = () => routed.layers.filter(({ name }) => element('layer').value === '' || name === element('layer').value);

function drawTokens() {
  const layers = layersShown();
  const counts = routed.tokens.map((_, token) => layers.reduce((sum, { tokens }) => sum + tokens[token].experts.length, 0) / layers.length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const dropped = layers.reduce((sum, { tokens }) => sum + tokens.reduce((all, token) => all + token.dropped.length, 0), 0);
  element('routing-caption').textContent = `The more colour, the more experts a token took: ${mean.toFixed(2)} in the mean, from ${least.toFixed(2)} to ${most.toFixed(2)}.${dropped > 0 ? ` A wavy line: capacity dropped ${dropped} of them.` : ''}`;
  element('tokens').replaceChildren(...routed.tokens.map((text, token) => {
    const span = document.createElement('span');
    span.textContent = text === '' ? '⋯' : text;
    span.style.setProperty('--share', String((counts[token] - least) / Math.max(1e-9, most - least)));
    span.classList.toggle('dropped', layers.some(({ tokens }) => tokens[token].dropped.length > 0));
    span.setAttribute('role', 'option');
    span.tabIndex = token === 0 ? 0 : -1;
    return span;
  }));
  element('token').textContent = 'Choose a token to see its experts.';
}

function showToken(span) {
  const spans = [...element('tokens').children];
  const token = spans.indexOf(span);
  for (const other of spans) {
    other.setAttribute('aria-selected', String(other === span));
    other.tabIndex = other === span ? 0 : -1;
  }
  element('token').textContent = layersShown().map(({ name, experts, tokens }) => {
    const { experts: taken, dropped, probabilities } = tokens[token];
    const list = taken.map((expert, rank) => `${expert}${probabilities[rank] === undefined ? '' : ` (${(100 * probabilities[rank]).toFixed(0)} %)`}${dropped.includes(expert) ? ' dropped' : ''}`);
    return `${name}: ${taken.length} of ${experts}: ${list.join(', ')}`;
  }).join(' · ');
}

element('layer').addEventListener('change', drawTokens);
element('tokens').addEventListener('click', ({ target }) => {
  if (target.parentElement === element('tokens')) target.focus();
});
element('tokens').addEventListener('focusin', ({ target }) => {
  if (target.parentElement === element('tokens')) showToken(target);
});
element('tokens').addEventListener('keydown', (event) => {
  const here = document.activeElement;
  const next = { ArrowRight: here.nextElementSibling, ArrowDown: here.nextElementSibling, ArrowLeft: here.previousElementSibling, ArrowUp: here.previousElementSibling,
    Home: element('tokens').firstElementChild, End: element('tokens').lastElementChild }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
element('stop').addEventListener('click', () => asking?.abort());
element('ask').addEventListener('submit', async (event) => {
  event.preventDefault();
  asking?.abort();
  asking = new AbortController();
  element('stop').disabled = false;
  element('go').disabled = true;
  say('…');
  try {
    await (task === 'language' ? continueText : translate)(element('input').value, asking.signal);
  } catch (error) {
    say(error.name === 'AbortError' ? 'stopped' : error.message, error.name !== 'AbortError');
  } finally {
    element('stop').disabled = true;
    element('go').disabled = false;
  }
});
