// What no launch may do, whatever the device: bind beyond a buffer or a limit, at a crooked offset, a buffer that is gone, or one
// buffer twice where it is written. WebGPU refuses some of it at run time; the rest is undefined.
import type { Launch, LaunchBinding } from './launch.js';
import type { DeviceProfile } from './profiles.js';

/** Problems of one launch, each with the name of its program. */
export function checkLaunch(launch: Launch, limits: DeviceProfile['limits']): string[] {
  const { name, program, bindings, groups } = launch;
  const problems = [...bindings.flatMap((binding) => checkBinding(binding, limits)), ...aliases(bindings)];
  if (program.buffers.length !== bindings.length) problems.push(`${bindings.length} of ${program.buffers.length} buffers are bound`);
  if (bindings.length > limits.maxStorageBuffersPerShaderStage!) problems.push(`${bindings.length} buffers are more than ${limits.maxStorageBuffersPerShaderStage}`);
  if (!(program.threads >= 1 && program.threads <= limits.maxComputeInvocationsPerWorkgroup!)) problems.push(`${program.threads} threads`);
  if (groups.some((count) => !(count >= 1 && count <= limits.maxComputeWorkgroupsPerDimension!))) problems.push(`workgroups ${groups.join(' × ')}`);
  return problems.map((problem) => `${name}: ${problem}`);
}

function checkBinding({ name, buffer, offset, bytes }: LaunchBinding, limits: DeviceProfile['limits']): string[] {
  const problems: string[] = [];
  if (buffer.gone) problems.push(`${name} is in a buffer that is gone`);
  if (bytes > limits.maxStorageBufferBindingSize!) problems.push(`${name} binds ${bytes} bytes of at most ${limits.maxStorageBufferBindingSize}`);
  if (!(bytes > 0) || bytes % 4 !== 0) problems.push(`${name} binds ${bytes} bytes`);
  if (offset % limits.minStorageBufferOffsetAlignment! !== 0) problems.push(`${name} begins at ${offset}, no multiple of ${limits.minStorageBufferOffsetAlignment}`);
  if (offset + bytes > buffer.size) problems.push(`${name} ends ${offset + bytes - buffer.size} bytes beyond its buffer`);
  return problems;
}

/** Pairs on one buffer, one of them written: WebGPU forbids them even where they do not overlap. */
function aliases(bindings: readonly LaunchBinding[]): string[] {
  return bindings.flatMap((one, index) =>
    bindings.slice(0, index)
      .filter((other) => other.buffer === one.buffer && (other.access !== 'read' || one.access !== 'read'))
      .map((other) => `${one.name} is in the buffer of ${other.name}`));
}
