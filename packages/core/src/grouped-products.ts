// How products by segment run on an engine: what layers with experts may want to know, so that they need no names of kernels.
import type { Backend } from './contract.js';

export interface GroupedProducts {
  /** Kernels of the backend; false: core runs one product per segment, so that equal segments are better one batched product. */
  readonly native: boolean;
  /** Whose multiplications leave out rows without a source, see `BackendCapabilities`; core's fallbacks multiply them. */
  readonly skipsEmptyRows: 'all' | 'linear' | 'none';
}

export function groupedProductsOn({ capabilities: { skipsEmptyRows = 'none' } }: Backend, fallbackNames: readonly string[]): GroupedProducts {
  if (fallbackNames.includes('groupedLinear')) return { native: false, skipsEmptyRows: 'none' };
  const all = skipsEmptyRows === 'all' && !fallbackNames.includes('groupedLinearWeightGrad');
  return { native: true, skipsEmptyRows: skipsEmptyRows === 'all' && !all ? 'linear' : skipsEmptyRows };
}
