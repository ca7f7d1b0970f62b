/** The app's handlers: who listens to what, and how they are called. */

import { type Entry, fromPayload, type MemberId, RostrumError } from "@rostrum/protocol";
import type { Meta, SessionEvents } from "./events.ts";

type Handler = (...args: never[]) => unknown;
type Call = (...args: unknown[]) => unknown;

/** Events of the session itself: an app's own cannot be called so. */
const own: ReadonlySet<string> = new Set<keyof SessionEvents>([
  "resume",
  "refused",
  "proposal",
  "resynchronize",
  "exception",
  "activity",
  "transfer",
  "warning",
  "closed",
]);

export const isOwn = (event: string): boolean => own.has(event);

export class Handlers {
  private readonly byEvent = new Map<string, Set<Call>>();

  /** Returns its undo. */
  on(event: string, handler: Handler): () => void {
    const call: Call = (...args) => handler(...(args as never[]));
    const handlers = this.byEvent.get(event) ?? new Set();
    this.byEvent.set(event, handlers.add(call));
    return () => void handlers.delete(call);
  }

  hears(event: keyof SessionEvents): boolean {
    return (this.byEvent.get(event)?.size ?? 0) > 0;
  }

  tell<K extends keyof SessionEvents>(event: K, ...args: Parameters<SessionEvents[K]>): void {
    for (const handler of this.byEvent.get(event) ?? []) void this.guarded(event, () => handler(...args));
  }

  /** Calls the handlers of an event; answers a promise if one of them has to be awaited. */
  run(event: string, args: readonly unknown[], meta: Meta): Promise<unknown> | undefined {
    const handlers = this.byEvent.get(event);
    if (handlers === undefined || isOwn(event)) return undefined;
    const waits: unknown[] = [];
    for (const handler of handlers) {
      const result = this.guarded(event, () => handler(...args, meta));
      if (result instanceof Promise) waits.push(result);
    }
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  /** Runs the handlers for the messages of an entry, one after the other; `done` when the last has finished. */
  deliver(entry: Entry, replayed: boolean, self: MemberId | undefined, done: () => void): void {
    if (entry.type !== "messages") return done();
    const { by: from, at } = entry;
    const meta = (index: number): Meta => ({
      offset: entry.offset + index,
      at,
      from,
      own: from !== null && from === self,
      replayed,
      private: entry.to !== undefined,
    });
    const step = (index: number): void => {
      for (let next = index; next < entry.items.length; next += 1) {
        const [event, ...args] = entry.items[next] ?? [""];
        const wait = this.run(event, args.map(fromPayload), meta(next));
        if (wait !== undefined) return void wait.then(() => step(next + 1));
      }
      done();
    };
    step(0);
  }

  /** A handler that throws is told of, and the entry counts as delivered: it would not come again by being thrown at. */
  private guarded(event: string, call: () => unknown): unknown {
    const complain = (cause: unknown): void => {
      if (event === "warning") return console.error("rostrum: a warning handler threw", cause);
      const message = `A handler of "${event}" threw: ${String(cause)}. The entry counts as delivered.`;
      this.tell("warning", new RostrumError("USAGE", message, { event }, { cause }));
    };
    try {
      const result = call();
      return result instanceof Promise ? result.catch(complain) : result;
    } catch (cause) {
      return complain(cause);
    }
  }
}
