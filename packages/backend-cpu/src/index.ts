// The CPU backends of xmoe: plain TypeScript (the reference) and compiled.
export { createCpuBackend, type CpuBackendOptions } from './backend.js';
export { createWasmBackend, type WasmBackendOptions } from './wasm-backend.js';
