// The CPU reference backend of xmoe.
export { createCpuBackend, type CpuBackendOptions } from './backend.js';
