// Public exports of the report folder.
export { renderReport } from './report.js';
export { createReportData, type Baseline, type ReportData, type ReportInput, type SummaryItem, type TextSample } from './report-data.js';
