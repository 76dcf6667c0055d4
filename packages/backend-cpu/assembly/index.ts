// The kernels that the host can call. One line per file; the bodies are there.
export { heapBase, initializeThread } from './thread';
export * from './gemm';
