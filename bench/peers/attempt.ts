// Opening what may not be there: the reason goes into a list of what is absent, and other errors go on.
import { isXMoEError } from '@xmoe/core';

export type Attempt = <Peer>(open: () => Promise<Peer>) => Promise<Peer | null>;

/** Adds the reason of each failure to `absent`, with the hint on how to install it where `hints` says so. */
export function attemptInto(absent: string[], { hints }: { hints: boolean }): Attempt {
  return async (open) => {
    try {
      return await open();
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      const message = error.message.replace(/^\w+: /, '');
      absent.push(hints && error.hint ? `${message} (${error.hint})` : message);
      return null;
    }
  };
}
