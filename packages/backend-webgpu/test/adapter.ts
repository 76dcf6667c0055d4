// Whether this machine has an adapter that the tests of this backend can run on. Asked once per test file.
import { openGpuDevice } from '../src/device/open-device.js';

export interface AdapterAnswer {
  readonly available: boolean;
  /** What it is, or why there is none. */
  readonly reason: string;
  readonly float16: boolean;
}

let answer: Promise<AdapterAnswer> | undefined;

/** Any adapter will do, software included. */
export function webGpuAdapter(): Promise<AdapterAnswer> {
  return (answer ??= probe());
}

async function probe(): Promise<AdapterAnswer> {
  try {
    const { device, traits } = await openGpuDevice();
    device.destroy();
    return { available: true, reason: traits.label, float16: traits.float16 };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.warn(`tests of backend-webgpu are skipped: ${reason}`);
    return { available: false, reason, float16: false };
  }
}
