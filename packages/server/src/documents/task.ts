/** Work that waits by callbacks, written down as one thing after the other. No promises: the simulated world runs it as it is. */

import { RostrumError } from "@rostrum/protocol";

export type Done<T> = (result: T | RostrumError) => void;

type Wait = (resume: (value: unknown) => void) => void;

export type Task<T> = Generator<Wait, T, unknown>;

/** What `start` hands to its callback. @throws RostrumError that it hands over instead. */
export function* wait<T>(start: (done: Done<T>) => void): Task<T> {
  const result = (yield start as Wait) as T | RostrumError;
  if (result instanceof RostrumError) throw result;
  return result;
}

const never = (): undefined => undefined;

/**
 * Runs a task to its end. What it throws is handed over as an error; a fault of ours as one that may be tried again. `over`: why it
 * is to go no further, once it is not; then it does nothing more.
 */
export const run = <T>(task: Task<T>, done: Done<T>, over: () => RostrumError | undefined = never): void => {
  // What answers at once must not deepen the stack.
  let turning = false;
  let next: { readonly value: unknown } | undefined = { value: undefined };
  const turn = (): void => {
    if (turning) return;
    turning = true;
    while (next !== undefined) {
      const { value } = next;
      next = undefined;
      const stopped = over();
      if (stopped !== undefined) return done(stopped);
      let step: IteratorResult<Wait, T>;
      try {
        step = task.next(value);
      } catch (cause) {
        return done(
          cause instanceof RostrumError
            ? cause
            : new RostrumError("SERVER_BUSY", `A document's work failed: ${String(cause)}. Try again.`, {}, { cause }),
        );
      }
      if (step.done === true) return done(step.value);
      let resumed = false;
      step.value((answer) => {
        if (resumed) return;
        resumed = true;
        next = { value: answer };
        turn();
      });
    }
    turning = false;
  };
  turn();
};
