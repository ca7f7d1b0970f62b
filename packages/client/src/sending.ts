/** A command on its way, as a promise. */

import type { Settle, Stored } from "./engine/outbox.ts";
import type { Sending } from "./events.ts";

/** Hands a command over; what refuses it at once refuses the promise. */
export const sending = (submit: (settle: Settle) => void): Sending => {
  const queuedBy: { resolve?: () => void; reject?: (error: unknown) => void } = {};
  const queued = new Promise<void>((resolve, reject) => Object.assign(queuedBy, { resolve, reject }));
  const promise = new Promise<Stored>((resolve, reject) => {
    const settle: Settle = {
      queued: () => queuedBy.resolve?.(),
      stored: (stored) => {
        queuedBy.resolve?.();
        resolve(stored);
      },
      refused: (error) => {
        queuedBy.reject?.(error);
        reject(error);
      },
    };
    try {
      submit(settle);
    } catch (error) {
      queuedBy.reject?.(error);
      reject(error);
    }
  });
  // A refusal that nobody awaits is told by the event; it must not end a process.
  promise.catch(() => {});
  queued.catch(() => {});
  return Object.assign(promise, { queued });
};
