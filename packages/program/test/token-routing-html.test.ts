// The page of `inspect`: text and names are escaped, tokens carry their experts. Not how it looks.
import { describe, expect, it } from 'vitest';
import { inspectHtml } from '../src/token-routing-html.js';

const page = inspectHtml(
  {
    tokens: ['<script>alert(1)</script>', '"&\'', 'plain'],
    layers: [{
      name: 'h.1 <b>',
      experts: 4,
      perToken: [
        { experts: [2], dropped: [], probabilities: [0.95] },
        { experts: [3, 0, 1], dropped: [0], probabilities: [0.5, 0.25, 0.125] },
        { experts: [2, 1], dropped: [], probabilities: [] },
      ],
    }],
  },
  'a <title> & more',
);

describe('inspectHtml', () => {
  it('escapes tokens, layer names and the title', () => {
    expect(page).not.toMatch(/<script|<b>|<title> &/);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;</span>');
    expect(page).toContain('&quot;&amp;&#39;</span>');
    expect(page).toContain('<h2>h.1 &lt;b&gt;</h2>\n<p class="caption">2.00 of 4 experts per token, from 1 to 3.');
    expect(page).toContain('<title>Experts per token: a &lt;title&gt; &amp; more</title>');
  });

  it('tells of each token its experts, their probabilities and what was dropped', () => {
    expect(page).toContain('title="1 expert: 2 95.0 %"');
    expect(page).toContain('class="dropped"');
    expect(page).toContain('title="3 experts: 3 50.0 %, 0 25.0 % dropped, 1 12.5 %"');
    expect(page).toContain('title="2 experts: 2, 1"');
    expect(page.match(/class="dropped"/g)).toHaveLength(1);
  });

  it('lets keys reach every token', () => expect(page.match(/<span tabindex="0"/g)).toHaveLength(3));

  it('shades more experts darker, and loads nothing from elsewhere', () => {
    const shades = [...page.matchAll(/var\(--series-1\) (\d+)%, transparent\)" title="(\d)/g)].map(([, shade, count]) => [Number(count), Number(shade)]);
    const byCount = shades.sort((a, b) => a[0]! - b[0]!).map(([, shade]) => shade!);
    expect(byCount).toHaveLength(3);
    expect(byCount[0]).toBeLessThan(byCount[1]!);
    expect(byCount[1]).toBeLessThan(byCount[2]!);
    expect(page).not.toMatch(/https?:|src=|@import|url\(/);
  });

  it('counts the load of each expert', () => {
    expect(page).toContain('<tr><td class="number">2</td><td class="number">2</td><td class="number">67 %</td></tr>');
  });
});
