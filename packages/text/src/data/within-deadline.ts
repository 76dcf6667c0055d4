// Ends work that does not end by itself: a library that follows damaged bytes in a circle. What runs is a function of ours; the
// text that is compiled is a constant.
import { createContext, Script } from 'node:vm';

const place = createContext({ work: undefined as (() => void) | undefined });
const script = new Script('work()');

/** Calls `work`, which must not wait. @throws Error that says so when it is not done within `milliseconds` */
export function withinDeadline(milliseconds: number, work: () => void): void {
  place.work = work;
  try {
    script.runInContext(place, { timeout: milliseconds });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new Error(`it is damaged: unpacking does not come to an end within ${milliseconds / 1000} s`);
  } finally {
    place.work = undefined;
  }
}
