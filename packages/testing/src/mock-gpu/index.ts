// The mock GPU: what tests and `npm run launches` import of it.
export { createMockGpu, type MockCounts, type MockGpu, type MockMemory } from './mock-device.js';
export { bytesOf, flopsOf, modelledMs } from './launch-cost.js';
export type { Launch, LaunchBinding, ParsedProgram } from './launch.js';
export { LARGE_GPU, SMALLEST_GPU, type DeviceProfile } from './profiles.js';
