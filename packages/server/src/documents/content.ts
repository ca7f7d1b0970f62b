/** What a document held at an offset: put together from the store's record and versions, and from the log. */

import {
  documentIn,
  type Entry,
  isUpdate,
  lastOffset,
  type Messages,
  newDocument,
  type Offset,
  RostrumError,
  type SessionState,
} from "@rostrum/protocol";
import type { DocumentRecord } from "../store.ts";
import type { DocumentEffects } from "./effects.ts";
import type { LoggedUpdate } from "./heads.ts";
import { type Done, type Task, wait } from "./task.ts";

/** What the documents need of their session's host. */
export interface SessionLog {
  readonly state: SessionState;
  /** The entries that are in the log behind an offset, about so many offsets of them. */
  read(after: Offset, limit: number, done: Done<readonly Entry[]>): void;
  /** Puts into the log that the store's record has the document up to there. */
  announce(
    document: string,
    saved: { readonly upTo: Offset; readonly updates: number; readonly bytes: number },
    done: Done<void>,
  ): void;
}

/** A state, and behind which offset updates have to be added to it. */
export interface Base {
  /** Absent: nothing. */
  readonly state: Uint8Array | undefined;
  readonly lineage: Offset;
  readonly offset: Offset;
}

const pageOffsets = 1_000;
/** Updates and bytes of them that are taken into a state at once. */
const mostUpdates = 2_000;
const mostBytes = 8_388_608;

const busy = (document: string): RostrumError =>
  new RostrumError("SERVER_BUSY", `The document "${document}" changed faster than it was read; try again.`, {
    document,
  });

/** It was saved, and is not there. */
const recordLost = (document: string): RostrumError =>
  new RostrumError(
    "STORE_CORRUPT",
    `The store has lost its record of the document "${document}", which the log no longer holds. Restore the store from a backup; the session's other documents go on.`,
    { document },
  );

/** A document's updates in `(after, upTo]`, page by page. */
export class Tail {
  private at: Offset;
  readonly upTo: Offset;

  constructor(
    private readonly log: SessionLog,
    private readonly document: string,
    after: Offset,
    upTo: Offset,
  ) {
    this.at = after;
    // Behind its last update there is nothing to read.
    this.upTo = Math.min(upTo, log.state.documents.get(document)?.last ?? 0);
  }

  /** Those on the next page of the log, which may be none; `undefined`: there are no more. */
  *next(): Task<readonly LoggedUpdate[] | undefined> {
    const { log, document, upTo } = this;
    if (this.at < upTo) {
      const entries = yield* wait<readonly Entry[]>((done) => log.read(this.at, pageOffsets, done));
      const last = entries.at(-1);
      if (last === undefined || !this.isWhole(entries)) {
        throw new RostrumError(
          "SERVER_BUSY",
          `The log was cut or thinned above ${this.at} while "${document}" was read from it; try again.`,
          { document },
        );
      }
      const found = updatesIn(entries, document, log.state, this.at, upTo);
      this.at = lastOffset(last);
      return found;
    }
    return undefined;
  }

  /**
   * Whether nothing is missing as far as it is wanted. It is read above the line up to which the log is thinned, as records have
   * what is below; should the line have moved meanwhile, something else is read instead, and never a part of it.
   */
  private isWhole(entries: readonly Entry[]): boolean {
    let next = this.at + 1;
    for (const entry of entries) {
      if (next > this.upTo) break;
      if (entry.offset > next) return false;
      next = lastOffset(entry) + 1;
    }
    return true;
  }
}

/** The document's updates among the entries, in `(after, upTo]`. `earlier`: a state that may still know who has left. */
export const updatesIn = (
  entries: readonly Entry[],
  document: string,
  { members }: SessionState,
  after: Offset = 0,
  upTo: Offset = Infinity,
  earlier?: SessionState,
): readonly LoggedUpdate[] => {
  const found: LoggedUpdate[] = [];
  for (const entry of entries) {
    if (documentIn(entry) !== document) continue;
    const { offset, by, items } = entry as Messages;
    const user = by === null ? "" : (members.get(by) ?? earlier?.members.get(by))?.user;
    for (const [index, item] of items.entries()) {
      const at = offset + index;
      if (at <= after || at > upTo || !isUpdate(item)) continue;
      const [, replica, n, , update] = item;
      found.push({ offset: at, replica, n, update, user });
    }
  }
  return found;
};

export class Contents<C> {
  constructor(
    private readonly log: SessionLog,
    private readonly effects: DocumentEffects<C>,
  ) {}

  /** The store's record, if it belongs to this log. */
  *record(document: string): Task<DocumentRecord | undefined> {
    const record = yield* wait<DocumentRecord | undefined>((done) => this.effects.load(document, done));
    return record?.birth === this.log.state.birth ? record : undefined;
  }

  /** States that somebody holds at present, and those who wait for one: however many ask, there is one copy of it. */
  private readonly held = new Map<string, WeakRef<Uint8Array>>();
  private readonly asking = new Map<string, Done<Uint8Array | undefined>[]>();

  /** The state of the record at an offset; `undefined`: another record has taken its place. */
  private *state(document: string, offset: Offset): Task<Uint8Array | undefined> {
    const key = `${offset} ${document}`;
    const held = this.held.get(key)?.deref();
    if (held !== undefined) return held;
    return yield* wait<Uint8Array | undefined>((done) => {
      const asking = this.asking.get(key);
      if (asking !== undefined) return void asking.push(done);
      const all = [done];
      this.asking.set(key, all);
      this.effects.state(document, offset, (state) => {
        this.asking.delete(key);
        for (const [each, ref] of this.held) if (ref.deref() === undefined) this.held.delete(each);
        if (state instanceof Uint8Array) this.held.set(key, new WeakRef(state));
        for (const each of all) each(state);
      });
    });
  }

  /** The largest base at or below an offset; between the two the document was not begun anew. */
  *base(document: string, upTo: Offset, isPoint = true): Task<Base> {
    for (let tries = 0; tries < 10; tries += 1) {
      // Before the record is read: what that has passed by then is no longer told of.
      const { begun, since, last } = this.log.state.documents.get(document) ?? newDocument;
      const behind = since === 0 ? this.log.state.head : since - 1;
      const record = yield* this.record(document);
      if (record === undefined && since === 0 && last > 0) throw recordLost(document);
      const { offset, lineage } = record ?? { offset: 0, lineage: 0 };
      const beginning = begun.findLast(({ at }) => at > offset && at <= upTo);
      if (beginning !== undefined) {
        const state = yield* this.whole(beginning.document, beginning.point);
        return { state, lineage: beginning.at, offset: beginning.at };
      }
      // Another server process, or a compaction just now, may be ahead. Who asks for what there is now gets the more; versions are
      // only where there are points.
      if (offset > upTo && isPoint) return yield* this.versionBelow(document, upTo);
      // Between the two the log may have been cut: there is nothing of the document.
      const from = Math.max(offset, behind);
      if (record === undefined) return { state: undefined, lineage, offset: from };
      const state = yield* this.state(document, offset);
      if (state !== undefined) return { state, lineage, offset: from };
    }
    throw busy(document);
  }

  /** The record has passed the offset: what it was there stands in a version, or it has not changed since one. */
  private *versionBelow(document: string, upTo: Offset): Task<Base> {
    const points = yield* wait<readonly Offset[]>((done) => this.effects.versions(document, done));
    const point = points.findLast((each) => each <= upTo);
    if (point === undefined) return { state: undefined, lineage: 0, offset: upTo };
    const version = yield* wait((done: Done<{ state: Uint8Array; lineage: Offset } | undefined>) =>
      this.effects.version(document, point, done),
    );
    if (version === undefined) throw busy(document);
    return { ...version, offset: upTo };
  }

  /** All that a document held at an offset, as one state. `undefined`: nothing. */
  *whole(document: string, upTo: Offset): Task<Uint8Array | undefined> {
    const base = yield* this.base(document, upTo);
    const sum = new Sum(this.effects, base.state);
    const tail = new Tail(this.log, document, base.offset, upTo);
    for (let page = yield* tail.next(); page !== undefined; page = yield* tail.next()) {
      for (const { update } of page) if (sum.add(update)) yield* sum.settle();
    }
    yield* sum.settle();
    return sum.state;
  }
}

/** A state to which updates are added, many at once and not too many. */
export class Sum<C> {
  private updates: Uint8Array[] = [];
  private bytes = 0;
  /** As of the last settling; `undefined`: it was never settled. */
  clocks: ReadonlyMap<number, number> | undefined;

  constructor(
    private readonly effects: DocumentEffects<C>,
    public state: Uint8Array | undefined,
  ) {}

  /** Whether it is time to settle. */
  add(update: Uint8Array): boolean {
    this.updates.push(update);
    this.bytes += update.byteLength;
    return this.updates.length >= mostUpdates || this.bytes >= mostBytes;
  }

  /** Something else takes the place of all. */
  replace(state: Uint8Array | undefined): void {
    this.updates = [];
    this.bytes = 0;
    this.state = state;
    this.clocks = undefined;
  }

  /** Takes the updates into the state. `always`: also if there are none, for the clocks. */
  *settle(always = false): Task<void> {
    if (this.updates.length === 0 && !always) return;
    const { state, updates } = this;
    this.updates = [];
    this.bytes = 0;
    const compacted = yield* wait((done: Done<{ state: Uint8Array; clocks: ReadonlyMap<number, number> }>) =>
      this.effects.compact(state, updates, done),
    );
    this.state = compacted.state;
    this.clocks = compacted.clocks;
  }
}
