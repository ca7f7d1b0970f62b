/** Moments at which a connection must be doubted or tried at once: the device woke up, or the network came back. */

/** Whether the device says that it has a network. A hint, never a reason not to try. */
export const isOnline = (): boolean =>
  typeof navigator === "undefined" || !("onLine" in navigator) ? true : navigator.onLine;

const beat = 2_000;

/**
 * `awake`: probe now. `network`: the device's word on the network has changed. `away`: the page may be gone any moment.
 * Returns the undo.
 */
export const watchWake = (on: {
  readonly awake: () => void;
  readonly network: () => void;
  readonly away: () => void;
}): (() => void) => {
  let last = Date.now();
  // A timer that comes much too late: the machine slept, or the tab was frozen.
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - last > 3 * beat) on.awake();
    last = now;
  }, beat);
  (timer as { unref?: () => void }).unref?.();
  const undo: (() => void)[] = [() => clearInterval(timer)];
  if (typeof window === "undefined" || typeof document === "undefined") return () => undo.forEach((each) => each());
  const listen = (target: EventTarget, type: string, listener: (event: Event) => void): void => {
    target.addEventListener(type, listener);
    undo.push(() => target.removeEventListener(type, listener));
  };
  listen(window, "online", () => {
    on.network();
    on.awake();
  });
  listen(window, "offline", on.network);
  listen(window, "pageshow", (event) => {
    if ((event as PageTransitionEvent).persisted) on.awake();
  });
  listen(window, "pagehide", on.away);
  listen(document, "visibilitychange", () => {
    if (document.visibilityState === "visible") on.awake();
    else on.away();
  });
  listen(document, "resume", on.awake);
  return () => undo.forEach((each) => each());
};
