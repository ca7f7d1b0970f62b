/**
 * A turn of the event loop: bytes move one piece in each, so that messages are never held up. Timers will not do: browsers
 * let them wait for a second and more in a hidden page.
 */
export const turn = (): Promise<void> =>
  new Promise((resolve) => {
    const { setImmediate } = globalThis as { readonly setImmediate?: (then: () => void) => unknown };
    if (setImmediate !== undefined) return void setImmediate(resolve);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
