// The language packs as parallel text: exact English out of the pseudo-localised pack, messages aligned by position, one clear
// error for a language without a pack.
import { describe, expect, it } from 'vitest';
import { fromPseudoLocale, languagePackCodes, languagePackCorpus, languagePackPairs } from '../../src/corpora/index.js';

describe('pseudo-localised English', () => {
  it('is swapped back letter by letter', () => {
    expect(fromPseudoLocale('Mørë Æçtïøñs...')).toBe('More Actions...');
    expect(fromPseudoLocale('Ïñspëçt thïs ïñ thë æççëssïþlë vïëw wïth {0}.')).toBe('Inspect this in the accessible view with {0}.');
    expect(fromPseudoLocale('Türkiye – ünchanged')).toBe('Türkiye – ünchanged');
  });

  it('holds no swapped letter any more', () => {
    const english = languagePackPairs('de').map(({ target }) => target).join('\n');
    expect(english.length).toBeGreaterThan(400_000);
    expect(english.match(/[æþçðëïñøµÿÆßÇÐËÏÑØ§ÝÜ£]/g)).toBeNull();
  });
});

describe('pairs', () => {
  it('of German are the messages of both packs at the same position', () => {
    const pairs = languagePackPairs('de');
    expect(pairs.length).toBeGreaterThan(8_000);
    const find = (target: string) => pairs.find((pair) => pair.target === target)?.source;
    expect(find('Remove unusual line terminators that might cause problems.')).toBe('Entfernen Sie unübliche Zeilenabschlusszeichen, die Probleme verursachen können.');
    expect(find('Color of background for comment ranges.')).toBe('Hintergrundfarbe für Kommentarbereiche.');
    expect(new Set(pairs.map(({ source, target }) => `${source}\0${target}`)).size).toBe(pairs.length);
    expect(pairs.every(({ source, target }) => source !== '' && target.split(/\s+/).length >= 4)).toBe(true);
    expect(pairs[0].place).toMatch(/^de message \d+$/);
  });

  it.each(languagePackCodes.filter((code) => code !== 'en'))('of %s are as many, without the keys of menus', (code) => {
    const pairs = languagePackPairs(code);
    expect(pairs.length).toBeGreaterThan(8_000);
    expect(pairs.filter(({ source, target }) => source.includes('&&') || target.includes('&&'))).toEqual([]);
    const same = pairs.filter(({ source, target }) => source === target).length;
    expect(same / pairs.length).toBeLessThan(0.03); // they are translations and not the same text twice
  });

  it('may be of two other languages, or the other way round', () => {
    const [forth, back] = [languagePackPairs('de', 'fr'), languagePackPairs('fr', 'de')];
    expect(back.map(({ source, target }) => [target, source])).toEqual(forth.map(({ source, target }) => [source, target]));
  });

  it('say which packs they are from', () => {
    expect(languagePackCorpus('zh').fingerprint).toMatch(/language-pack-zh-hans@25\.1\.\d+.*language-pack-qps-ploc@25\.1\.\d+/);
    expect(languagePackCorpus('zh_Hans'.replace('_', '-')).fingerprint).toBe(languagePackCorpus('zh').fingerprint);
    expect(languagePackCorpus('de').fingerprint).not.toBe(languagePackCorpus('fr').fingerprint);
  });
});

describe('errors', () => {
  it('name a language without a pack', () => {
    expect(() => languagePackPairs('uk')).toThrow('languagePackPairs: there is no language pack for "uk"');
    expect(() => languagePackPairs('toString')).toThrow('no language pack for "toString"');
    expect(() => languagePackCorpus('de', 'he')).toThrow('no language pack for "he"');
  });
});
