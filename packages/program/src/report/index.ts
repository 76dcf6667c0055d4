// Public exports of the report folder.
export { renderReport } from './report.js';
export {
  createReportData,
  type Baseline, type Comparison, type Recorded, type ReportData, type ReportInput, type RoutedWord, type RunChange, type SummaryItem, type TextSample, type TranslationSample,
} from './report-data.js';
export { writeResult, type ResultFiles } from './write-result.js';
