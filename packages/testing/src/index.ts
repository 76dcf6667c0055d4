// What tests of several packages share: the conformance suite of backends.
export { createCommTeam } from './comm-team.js';
export * from './conformance/index.js';
export { checkGradients, gradientInput, type GradientCheckOptions, type GradientInput } from './gradient-check.js';
export * from './mock-gpu/index.js';
export * from './recording-backend.js';
export { withoutFused } from './without-fused.js';
