// The kernels that the host can call. One line per file; the bodies are there.
export { heapBase, initializeThread } from './thread';
export * from './gemm';
export { biasActivation, biasActivationGrad, biasGradFromPieces } from './activation';
export { attention, attentionGrad, hidesFinite, packPanels, seenRows } from './attention';
export * from './cross-entropy';
export * from './dispatch';
export { dropout, random } from './dropout';
export * from './elementwise';
export * from './experts';
export * from './grouped';
export * from './indexing';
export { copyRows, copyRuns, transposeMatrices } from './movement';
export * from './normalization';
export * from './optimizer';
export * from './reduce';
export * from './routing';
export { softmax, softmaxGrad } from './softmax';
export * from './sorting';
