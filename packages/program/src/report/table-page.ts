// A report that is one table and charts.
import type { Chart } from './charts.js';
import { section, table, type Column } from './html.js';
import { page, renderCharts } from './page.js';

export interface TablePage {
  title: string;
  columns: readonly Column[];
  rows: readonly (readonly string[])[];
  charts: readonly Chart[];
}

/** The page, as HTML. All text is escaped. */
export async function tablePage({ title, columns, rows, charts }: TablePage): Promise<string> {
  const drawn = await renderCharts(charts);
  return page({ title, createdAt: new Date().toISOString(), numbers: [], sections: [...drawn, section('table', 'Figures', '', table(columns, rows))] });
}
