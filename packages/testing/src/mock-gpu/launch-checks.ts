// What no launch may do, whatever the device: bind beyond a buffer or a limit, at a crooked offset, a buffer that is gone, or one
// buffer both to read and to write, or the same bytes of it twice to write. Devices refuse it when commands are submitted, or later.
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

/** A buffer is either read or written by a launch, whatever parts of it; what is written is bound once. */
function aliases(bindings: readonly LaunchBinding[]): string[] {
  return bindings.flatMap((one, index) =>
    bindings.slice(0, index)
      .filter((other) => other.buffer === one.buffer && (one.access !== other.access || (one.access === 'read_write' && overlap(one, other))))
      .map((other) => `${one.name} is in the buffer of ${other.name}`));
}

function overlap(one: LaunchBinding, other: LaunchBinding): boolean {
  return one.offset < other.offset + other.bytes && other.offset < one.offset + one.bytes;
}
