// The style sheet of a report: light and dark, desktop and phone, print. Fonts are the system's: nothing is fetched.

export const STYLES = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #1b2230; --muted: #5d6778; --line: #e1e5eb; --on-series: #ffffff;
  --series-1: #2a62c9; --series-2: #d9622b; --series-3: #14855f; --series-4: #a13da0;
  --series-5: #b58500; --series-6: #1690a8; --series-7: #c2335a; --series-8: #6b7280;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151c; --card: #1a202a; --ink: #e6eaf1; --muted: #9aa5b6; --line: #2d3642; --on-series: #0d1117;
    --series-1: #79a8ff; --series-2: #ff9b66; --series-3: #4fd1a1; --series-4: #dc8bdb;
    --series-5: #e9c14b; --series-6: #5ccfe6; --series-7: #ff7d9c; --series-8: #a3adbb;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.08rem; margin: 0 0 4px; }
.when, .caption { color: var(--muted); font-size: 0.9rem; margin: 4px 0 0; }
.caption { margin: 0 0 12px; overflow-wrap: anywhere; }
.numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin: 24px 0; padding: 0; }
.numbers > div, section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.numbers > div { padding: 12px 14px; display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.numbers dt { color: var(--muted); font-size: 0.85rem; }
.numbers dd { margin: 0; font-size: 1.35rem; font-weight: 650; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.numbers dd.note { font-size: 0.85rem; font-weight: 400; color: var(--muted); order: -1; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
section { padding: 18px 20px; min-width: 0; }
section.wide { grid-column: 1 / -1; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit; }
.narrow { display: none; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--series-1); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
th { color: var(--muted); font-weight: 500; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { white-space: nowrap; }
.configuration { columns: 2 380px; column-gap: 40px; font-size: 0.92rem; }
.configuration > div { display: flex; justify-content: space-between; gap: 16px; padding: 5px 0; border-bottom: 1px solid var(--line); break-inside: avoid; }
.configuration span:first-child { color: var(--muted); }
.configuration span:last-child { text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.bar { display: grid; grid-template-columns: 9em 1fr 5em; gap: 12px; align-items: center; padding: 5px 0; }
.bar i { display: block; height: 14px; border-radius: 4px; background: var(--series-8); opacity: 0.55; min-width: 2px; }
.bar.own i { background: var(--series-1); opacity: 1; }
.bar b { text-align: right; font-variant-numeric: tabular-nums; font-weight: 600; }
pre.sample {
  margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 0.93rem/1.6 ui-monospace, Menlo, Consolas, monospace;
  border-left: 3px solid var(--series-1); padding-left: 14px;
}
pre.sample .prompt { color: var(--muted); }
table.translations td { white-space: normal; width: 33%; overflow-wrap: anywhere; }
.routed { position: relative; font-size: 1rem; line-height: 2; margin: 0 0 8px; overflow-wrap: anywhere; }
.routed span { border-radius: 4px; padding: 2px 3px; cursor: help; }
.routed .dropped { text-decoration: underline wavy var(--series-2); }
.routed.tokens { font: 0.95rem/2 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; }
.routed.tokens span { padding: 2px 0; }
details summary { cursor: pointer; color: var(--muted); font-size: 0.9rem; }
details table { width: auto; }
.routed span:hover, .routed span:focus { outline: 2px solid var(--series-1); }
.routed span:focus::after {
  content: attr(title); position: absolute; left: 0; right: 0; top: 100%; z-index: 1; white-space: pre-wrap; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: 6px 10px; font-size: 0.85rem; line-height: 1.4;
}
ul { margin: 0; padding-left: 1.2em; }
ul.claims { list-style: none; padding: 0; margin: 0 0 12px; }
ul.claims li { padding: 6px 0 6px 2em; text-indent: -2em; border-bottom: 1px solid var(--line); }
ul.claims b { display: inline-block; width: 1.7em; text-indent: 0; }
h3 { font-size: 0.95rem; font-weight: 600; margin: 14px 0 8px; }
@media (max-width: 760px) {
  main { padding: 20px 12px 40px; }
  h1 { font-size: 1.35rem; }
  .grid { grid-template-columns: minmax(0, 1fr); gap: 12px; }
  .numbers { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; margin: 16px 0; }
  .numbers dd { font-size: 1.2rem; }
  section { padding: 14px; }
  .scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: var(--card); }
  .scroll td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 6.5em; max-width: 40vw; }
  table.translations thead { display: none; }
  table.translations tr { display: block; border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; margin-bottom: 10px; }
  table.translations td { display: block; width: auto; border: 0; padding: 4px 0; }
  table.translations td::before { content: attr(data-label); display: block; color: var(--muted); font-size: 0.8rem; }
  .broad { display: none; }
  .narrow { display: block; }
}
@media print { section, .numbers > div { break-inside: avoid; } }
`;
