// Public exports of the report folder.
export { renderReport } from './report.js';
export {
  createReportData,
  type Baseline, type Comparison, type ReportData, type ReportInput, type RoutedWord, type SummaryItem, type TextSample, type TranslationSample,
} from './report-data.js';
