/** Documents over a real store, codec and sockets: what all sessions of a server share of them. */

import { type Offset, RostrumError, type SessionId } from "@rostrum/protocol";
import createDebug from "debug";
import type { Seat } from "../seat.ts";
import type { DocumentStore } from "../store.ts";
import { Outlet } from "../transfers/outlet.ts";
import type { DocumentCodec } from "./codec.ts";
import type { DocumentEffects } from "./effects.ts";
import type { Done } from "./task.ts";

const debug: createDebug.Debugger = createDebug("rostrum:documents");

/** Compactions at once, over all sessions: each holds a document in memory. */
const mostAtOnce = 2;

/** Milliseconds that the app's own store may still take when the server goes. */
const appWithin = 5_000;

/** Highest client number of Yjs. */
const replicas = 2 ** 32;

export class Library {
  private atWork = 0;
  private readonly entering: ((leave: () => void) => void)[] = [];
  private readonly outlets = new WeakMap<Seat["socket"], Outlet>();
  /** What the store and the codec are still busy with. */
  private readonly underWay = new Set<Promise<unknown>>();
  private closed = false;

  constructor(
    private readonly store: DocumentStore,
    private readonly codec: DocumentCodec,
  ) {}

  /** Resolves when nothing is under way any more; nothing new begins. */
  async close(): Promise<void> {
    this.closed = true;
    this.entering.length = 0;
    await this.codec.close();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, appWithin)));
    await Promise.race([this.settled(), late]);
    clearTimeout(timer);
  }

  /** Resolves when what was begun by now is done. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.underWay);
  }

  effects(session: SessionId): DocumentEffects<Seat> {
    const { store, codec } = this;
    const from = <T>(verb: string, work: () => Promise<T>, done: Done<T>): void => {
      if (this.closed)
        return done(new RostrumError("SERVER_DRAINING", "The server is going away; come back in a moment."));
      const result = work().then(done, (cause: unknown) =>
        done(
          cause instanceof RostrumError
            ? cause
            : new RostrumError(
                "STORE_FAILED",
                `The store could not ${verb} of session "${session}": ${cause instanceof Error ? cause.message : String(cause)}.`,
                { session, verb },
                { cause },
              ),
        ),
      );
      this.underWay.add(result);
      void result.finally(() => this.underWay.delete(result));
    };
    return {
      load: (document, done) => from("load a document", () => store.load(session, document), done),
      state: (document, offset, done) => from("read a document", () => store.state(session, document, offset), done),
      save: (document, record, state, done) =>
        from("save a document", () => store.save(session, document, record, state), done),
      versions: (document, done) => from("list versions", () => store.versions(session, document), done),
      version: (document, point, done) => from("read a version", () => store.version(session, document, point), done),
      saveVersion: (document, point, version, done) =>
        from("save a version", () => store.saveVersion(session, document, point, version), done),
      removeVersion: (document, point, done) =>
        from("remove a version", () => store.removeVersion(session, document, point), done),
      read: (update) => codec.read(update),
      merge: (updates) => codec.merge(updates),
      diff: (state, vector, done) => from("compare a document", () => codec.diff(state, vector), done),
      compact: (state, updates, done) =>
        from("compact a document", () => codec.compact({ updates, ...(state === undefined ? {} : { state }) }), done),
      initial: (document, done) => {
        const { load } = codec;
        if (load === undefined) return done(undefined);
        from(
          "load",
          async () => {
            try {
              return await load({ session, document });
            } catch (cause) {
              throw new RostrumError(
                "SERVER_BUSY",
                `The app could not load the document "${document}"; nothing was begun in its place. Try again.`,
                { document },
                { cause },
              );
            }
          },
          done,
        );
      },
      saved: (document, state, offset) => this.tellApp(session, document, state, offset),
      enter: (then) => {
        this.entering.push(then);
        this.admit();
      },
      clear: ({ socket }, then) => {
        const outlet = this.outlets.get(socket) ?? new Outlet(socket);
        this.outlets.set(socket, outlet);
        void outlet.clear().ready.then(then);
      },
      newReplica: () => Math.floor(Math.random() * replicas),
      warn: (message, cause) => {
        debug("%s: %s: %o", session, message, cause);
        console.warn(`rostrum: ${message} in session "${session}"; it goes on from the log.`, cause);
      },
    };
  }

  private tellApp(session: SessionId, document: string, state: Uint8Array, offset: Offset): void {
    const { store } = this.codec;
    if (store === undefined) return;
    const told = Promise.resolve()
      .then(() => store({ session, document, state, offset }))
      .catch((cause: unknown) =>
        console.warn(`rostrum: the app could not store the document "${document}" of session "${session}".`, cause),
      );
    this.underWay.add(told);
    void told.finally(() => this.underWay.delete(told));
  }

  private admit(): void {
    while (this.atWork < mostAtOnce) {
      const next = this.entering.shift();
      if (next === undefined) return;
      this.atWork += 1;
      let left = false;
      next(() => {
        if (left) return;
        left = true;
        this.atWork -= 1;
        this.admit();
      });
    }
  }
}
