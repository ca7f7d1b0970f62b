/** The sessions at work on this server, each with its host, and the rim that does what a host asks for. */

import { randomUUID } from "node:crypto";
import {
  type Entry,
  entriesAsText,
  isToken,
  type MemberId,
  matching,
  memberId,
  RostrumError,
  type SessionId,
  type SessionState,
  toPacket,
  type UserId,
  wireEvent,
} from "@rostrum/protocol";
import createDebug from "debug";
import type { Namespace } from "socket.io";
import { Library } from "./documents/rim.ts";
import { AutoChair } from "./floors/auto-chair.ts";
import { type FloorMove, movesAtDeletion, movesIn } from "./floors/moves.ts";
import { Host, type HostEffects } from "./host.ts";
import type { Settings } from "./options.ts";
import type { Seat } from "./seat.ts";
import { makeToken } from "./token.ts";
import type { TransferListener } from "./transfers/depot.ts";
import { Transfers } from "./transfers/transfers.ts";

const debug: createDebug.Debugger = createDebug("rostrum:host");

export type FloorListener = (move: FloorMove) => void;

export type StoredListener = (entries: readonly Entry[], state: SessionState) => void;

/** Batches that follow one another within this time are gathered by the turn of the event loop. Milliseconds. */
const together = 1;

const toText = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64");

/** What a store threw becomes a typed error; a typed one stays what it is. */
const storeError = (session: SessionId, verb: string, cause: unknown): RostrumError =>
  cause instanceof RostrumError
    ? cause
    : new RostrumError(
        "STORE_FAILED",
        `The store could not ${verb} for session "${session}": ${cause instanceof Error ? cause.message : String(cause)}. Members stay connected to their outboxes and come back.`,
        { session, verb },
        { cause },
      );

/** What a transfer is refused with where there is nowhere to keep its bytes. */
export const noBlobs = (): RostrumError =>
  new RostrumError(
    "FEATURE_MISSING",
    "The server's store keeps no blobs, so that nothing can be transferred. Give attachSessions a store that has some, or the blobs option.",
    { feature: "transfers" },
  );

const putAway = (): RostrumError =>
  new RostrumError("SERVER_BUSY", "Nobody was in the session, and it was put away; open it again.");

export class Hosts {
  readonly node: string = randomUUID();
  private readonly running = new Map<SessionId, { readonly host: Host<Seat>; readonly stop: () => void }>();
  private readonly listeners = new Map<SessionId, Set<StoredListener>>();
  /** Absent: there is nowhere to keep bytes. */
  readonly transfers: Transfers | undefined;
  /** Absent: sessions have no documents. */
  readonly library: Library | undefined;
  private readonly chair: AutoChair;
  private closed = false;

  constructor(
    private readonly nsp: Namespace,
    private readonly settings: Settings,
    private readonly secret: Uint8Array,
    private readonly floorListeners: ReadonlySet<FloorListener>,
    readonly transferListeners: Set<TransferListener>,
    private readonly onFailure: (session: SessionId, error: RostrumError) => void,
  ) {
    const { chairs, chairWithin, blobs, limits, transferBytes, beside } = settings;
    if (blobs !== undefined)
      this.transfers = new Transfers({
        blobs,
        limits,
        beside,
        bytes: transferBytes,
        secret,
        listeners: transferListeners,
      });
    const { documents } = settings;
    if (documents !== undefined) this.library = new Library(documents.store, documents.codec);
    this.chair = new AutoChair({
      chairOf: Object.values(chairs).every((chair) => chair === undefined)
        ? undefined
        : (floor) => (isToken(floor) ? chairs[floor] : matching(chairs, floor)),
      within: chairWithin,
    });
  }

  get size(): number {
    return this.running.size;
  }

  /** The session's host, loaded if need be. */
  get(session: SessionId): Host<Seat> {
    return this.running.get(session)?.host ?? this.start(session);
  }

  listen(session: SessionId, listener: StoredListener): () => void {
    const set = this.listeners.get(session) ?? new Set();
    this.listeners.set(session, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(session) === set) this.listeners.delete(session);
    };
  }

  /** Saves every session's state and lets go of all. */
  async close(error: RostrumError): Promise<void> {
    this.closed = true;
    await Promise.all(
      [...this.running.values()].map(async ({ host, stop }) => {
        await new Promise<void>((resolve) => host.save(resolve));
        host.disband(error);
        stop();
      }),
    );
    await this.transfers?.close(error);
    await this.library?.close();
    this.running.clear();
  }

  /** What was stored, or, without entries, what was loaded: for transfers, functions in a chair, and who follows floors. */
  private watch(session: SessionId, host: Host<Seat>, entries: readonly Entry[], state: SessionState): void {
    this.transfers?.consider(session, host, entries);
    this.chair.consider(session, host, entries, state);
    if (this.floorListeners.size > 0) this.tell(movesIn(session, entries, state));
  }

  private tell(moves: readonly FloorMove[]): void {
    for (const move of moves) {
      for (const listener of this.floorListeners) {
        try {
          listener(move);
        } catch (cause) {
          console.error("rostrum: a listener of onFloor threw; the floor goes on.", cause);
        }
      }
    }
  }

  /** The session is deleted: lets its members go, and tells that they hold nothing any more. */
  disband(session: SessionId, error: RostrumError): void {
    const host = this.get(session);
    const state = host.current;
    host.disband(error);
    this.tell(movesAtDeletion(session, state));
  }

  private start(session: SessionId): Host<Seat> {
    const { store, config, retention, snapshotEvery, flicker, authorize, idle } = this.settings;
    const room = `rostrum:${session}`;
    const ids = (seats: readonly Seat[]): string[] => seats.map(({ socket }) => socket.id);
    const attempt = <T>(verb: string, work: Promise<T>, done: (result: T | RostrumError) => void): void => {
      work.then(done, (cause: unknown) => done(storeError(session, verb, cause)));
    };
    let decided = 0;
    let alarm: NodeJS.Timeout | undefined;
    let flush: { readonly at: number; readonly timer: NodeJS.Timeout | undefined } | undefined;
    const doFlush = (): void => {
      flush = undefined;
      if (!stopped) host.audience.flush(host.current);
    };
    let stopped = false;

    const effects: HostEffects<Seat> = {
      now: Date.now,
      elapsed: () => performance.now(),
      load: (done) => attempt("load", store.load(session), done),
      append: (condition, entries, done) => attempt("append", store.append(session, condition, entries), done),
      read: (after, limit, done) => attempt("read", store.read(session, after, limit), done),
      snapshot: (snapshot, done) =>
        attempt("save a snapshot", store.snapshot(session, snapshot), (result) => {
          if (result instanceof RostrumError) debug("%s: %s", session, result.message);
          done(result instanceof RostrumError ? result : undefined);
        }),
      trim: (below) =>
        attempt("trim", store.trim(session, below), (result) => {
          if (result instanceof RostrumError) debug("%s: %s", session, result.message);
        }),
      defer: (then, last) => {
        // Who speaks into the quiet is answered at once; what comes together is decided together, after this turn.
        const now = performance.now();
        if (last <= 1 && now - decided > together) queueMicrotask(then);
        else setImmediate(then);
        decided = now;
      },
      alarm: (at) => {
        clearTimeout(alarm);
        alarm = undefined;
        if (at === Infinity || stopped) return;
        // Node's timers end at 2^31 ms; a later alarm is set again when this one rings.
        alarm = setTimeout(() => host.wake(), Math.min(Math.max(0, at - Date.now()), 2_000_000_000)).unref();
      },
      alive: (node) => node === this.node || (store.alive?.(node) ?? false),
      newBirth: randomUUID,
      newMember: () => memberId(randomUUID()),
      // The first may come before the constructor has returned.
      loaded: (state) => queueMicrotask(() => stopped || this.watch(session, host, [], state)),
      stored: (entries, state) => {
        if (entries.length > 0) this.watch(session, host, entries, state);
        for (const listener of this.listeners.get(session) ?? []) listener(entries, state);
      },
      failed: (error) => {
        debug("%s failed: %s", session, error.message);
        stop(error);
        if (this.running.get(session)?.host === host) this.running.delete(session);
        this.onFailure(session, error);
        // What was under way may have been stored: a member that nobody here knows of, and that only we can miss.
        if (error.retryable) setTimeout(() => this.closed || this.get(session), 2_000 + Math.random() * 3_000).unref();
      },
      send: (seats, plain) => {
        const frame = plain.type === "entries" ? entriesAsText(plain, toText) : plain;
        const [only] = seats;
        if (only !== undefined && seats.length === 1) only.socket.emit(wireEvent, ...toPacket([frame]));
        else if (seats.length > 0) this.nsp.local.to(ids(seats)).emit(wireEvent, ...toPacket([frame]));
      },
      broadcast: (plain, except) => {
        const frame = plain.type === "entries" ? entriesAsText(plain, toText) : plain;
        const audience = this.nsp.local.to(room);
        (except.length === 0 ? audience : audience.except(ids(except))).emit(wireEvent, ...toPacket([frame]));
      },
      live: (seat, on) => void (on ? seat.socket.join(room) : seat.socket.leave(room)),
      closed: (seat, frame) => {
        seat.gone.abort(frame.error);
        seat.socket.emit(wireEvent, [frame]);
      },
      flushIn: (milliseconds) => {
        const at = milliseconds === 0 ? 0 : Date.now() + milliseconds;
        if (flush !== undefined && flush.at <= at) return;
        clearTimeout(flush?.timer);
        if (milliseconds === 0) {
          flush = { at, timer: undefined };
          queueMicrotask(doFlush);
        } else flush = { at, timer: setTimeout(doFlush, milliseconds) };
      },
      token: (member, incarnation) => this.token(host, member, incarnation),
      terms: ({ version, features, limits }) => ({ version, features, limits }),
      ...(this.library === undefined ? {} : { documents: this.library.effects(session) }),
    };
    const host: Host<Seat> = new Host(
      {
        session,
        node: this.node,
        config,
        retention,
        snapshotEvery,
        flicker,
        ...(authorize === undefined && this.transfers !== undefined
          ? {}
          : {
              authorize: (id, command, state) => {
                if (this.transfers === undefined && command.type === "activity-start" && command.kind !== "app")
                  return noBlobs();
                if (authorize === undefined) return undefined;
                const member = state.members.get(id);
                if (member === undefined) return undefined;
                try {
                  const answer = authorize({ member, command, state });
                  if (answer === true) return undefined;
                  if (answer instanceof RostrumError) return answer;
                } catch (cause) {
                  debug("authorize threw: %o", cause);
                }
                return new RostrumError("FORBIDDEN", `The app does not permit ${command.type}; nothing was stored.`, {
                  permission: command.type,
                });
              },
            }),
      },
      effects,
    );
    const unfollow = store.follow(session, (entries) => host.followed(entries));
    // A session in which nobody is left is put away; everything it needs stands in the store.
    const rest = setInterval(() => {
      if (!host.resting || this.listeners.has(session)) return;
      host.save(() => {
        if (!host.resting || this.listeners.has(session)) return;
        stop();
        this.running.delete(session);
      });
    }, idle).unref();
    const stop = (error = putAway()): void => {
      if (!stopped) this.transfers?.stop(session, error);
      stopped = true;
      clearTimeout(alarm);
      clearTimeout(flush?.timer);
      clearInterval(rest);
      unfollow();
    };
    this.running.set(session, { host, stop });
    debug("%s: started", session);
    return host;
  }

  private token(host: Host<Seat>, member: MemberId, incarnation: number): string {
    const { session, birth, members } = host.current;
    const user = members.get(member)?.user ?? ("" as UserId);
    return makeToken(this.secret, { session, birth, member, user }, incarnation);
  }
}
