// A turn of the event loop, in Node and in a page: lets signals, timers and drawing in between steps of a backend that never waits.

/** Resolves in a later turn, without the least time that a page puts between timers. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener('message', () => {
      port1.close();
      resolve();
    });
    port1.start();
    port2.postMessage(null);
  });
}
