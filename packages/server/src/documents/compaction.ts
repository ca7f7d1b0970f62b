/**
 * Making a new record of a document: its state, and everything that the log has behind it, as one state. On the way it passes
 * the places to which the session or the document may be taken back, and leaves a version at each where it had changed.
 */

import type { Beginning, DocumentHead as Known, Offset, SessionState } from "@rostrum/protocol";
import type { DocumentRecord } from "../store.ts";
import { type Contents, type SessionLog, Sum, Tail } from "./content.ts";
import type { DocumentEffects } from "./effects.ts";
import { noteUpdate, type Writer, writersOf } from "./heads.ts";
import { type Done, type Task, wait } from "./task.ts";

export interface Saved {
  readonly record: DocumentRecord;
  readonly state: Uint8Array;
  /** Updates that the record has more than the one before, and their bytes. */
  readonly updates: number;
  readonly bytes: number;
}

/** Where the state of a document may be asked for again: valid points, the base, and what other documents still begin with. */
const placesOf = ({ sync, documents }: SessionState, document: string): readonly Offset[] => {
  const places = new Set<Offset>();
  for (const { offset, status } of sync.points) if (status !== "void") places.add(offset);
  if (sync.base.offset > 0) places.add(sync.base.offset);
  for (const { begun } of documents.values()) {
    for (const each of begun) if (each.document === document && each.point > 0) places.add(each.point);
  }
  return [...places].sort((a, b) => a - b);
};

type Stop =
  | { readonly kind: "place"; readonly at: Offset }
  | { readonly kind: "beginning"; readonly at: Offset; readonly from: Beginning };

/** What lies on the way from one offset to another, in order. */
const stopsOf = (state: SessionState, document: string, after: Offset, { begun }: Known): readonly Stop[] =>
  [
    ...placesOf(state, document).map((at): Stop => ({ kind: "place", at })),
    ...begun.map((from): Stop => ({ kind: "beginning", at: from.at, from })),
  ]
    .filter(({ at }) => at > after)
    .sort((a, b) => a.at - b.at);

export class Compaction<C> {
  private updates = 0;
  private bytes = 0;
  private lineage: Offset = 0;
  private changed: Offset = 0;
  private writers = new Map<number, Writer>();

  constructor(
    private readonly log: SessionLog,
    private readonly effects: DocumentEffects<C>,
    private readonly contents: Contents<C>,
    private readonly document: string,
    /** Whose a replica is, where the session no longer knows its member. */
    private readonly users: (replica: number) => string | null | undefined,
  ) {}

  /** Saves a new record. `undefined`: there was nothing to do. */
  *run(): Task<Saved | undefined> {
    const { log, effects, contents, document } = this;
    const { state } = log;
    const known = state.documents.get(document);
    if (known === undefined) return undefined;
    const upTo = state.head;
    const before = yield* contents.record(document);
    const after = before?.offset ?? 0;
    if (before !== undefined && known.last <= after) {
      // Saved, and not told of: the process died in between.
      if (known.since > 0) yield* this.announce(before, known.updates, known.bytes);
      return undefined;
    }
    if (known.since === 0) return undefined;
    this.lineage = before?.lineage ?? 0;
    this.changed = before?.changed ?? 0;
    for (const { replica, ...writer } of before?.writers ?? []) this.writers.set(replica, writer);
    let versions = yield* wait<readonly Offset[]>((done) => effects.versions(document, done));
    const kept = before === undefined ? undefined : yield* this.stateOf(before);
    if (before !== undefined && kept === undefined) return undefined;
    const sum = new Sum(effects, kept);
    let at = Math.max(after, known.since - 1);
    const stops = [...stopsOf(state, document, after, known), undefined];
    /** What is begun anew once more before any place: nobody can ask for it. */
    let isPassed = false;
    for (const [index, stop] of stops.entries()) {
      const end = stop === undefined ? upTo : stop.kind === "place" ? stop.at : stop.at - 1;
      if (end > at) {
        yield* this.gather(isPassed ? undefined : sum, at, end);
        at = end;
      }
      // One above may be left of a process that died over it.
      if (stop?.kind === "place" && this.changed > (versions.findLast((each) => each <= stop.at) ?? 0)) {
        yield* sum.settle(sum.state === undefined);
        const version = { lineage: this.lineage, state: sum.state ?? new Uint8Array() };
        yield* wait<void>((done) => effects.saveVersion(document, stop.at, version, done));
        versions = [
          ...versions.filter((each) => each < stop.at),
          stop.at,
          ...versions.filter((each) => each > stop.at),
        ];
      } else if (stop?.kind === "beginning") {
        isPassed = stops[index + 1]?.kind === "beginning";
        if (isPassed) {
          at = stop.at;
          continue;
        }
        sum.replace(yield* contents.whole(stop.from.document, stop.from.point));
        // Nobody goes on with what was written before, under whatever name it was.
        yield* sum.settle(true);
        this.writers = new Map();
        for (const [replica, clock] of sum.clocks ?? []) this.writers.set(replica, { user: null, clock, n: 0 });
        this.lineage = this.changed = at = stop.at;
      }
    }
    yield* sum.settle(true);
    const { state: whole = new Uint8Array(), clocks = new Map() } = sum;
    const record: DocumentRecord = {
      birth: state.birth,
      offset: upTo,
      lineage: this.lineage,
      changed: this.changed,
      writers: writersOf(this.writers, clocks),
      bytes: whole.byteLength,
    };
    yield* wait<void>((done) => effects.save(document, record, whole, done));
    const { updates, bytes } = this;
    yield* this.announce(record, updates, bytes);
    yield* this.prune(record, versions);
    return { record, state: whole, updates, bytes };
  }

  private stateOf({ offset }: DocumentRecord): Task<Uint8Array | undefined> {
    return wait((done: Done<Uint8Array | undefined>) => this.effects.state(this.document, offset, done));
  }

  /** Without a sum they are only counted. */
  private *gather(sum: Sum<C> | undefined, after: Offset, upTo: Offset): Task<void> {
    const tail = new Tail(this.log, this.document, after, upTo);
    for (let page = yield* tail.next(); page !== undefined; page = yield* tail.next()) {
      for (const each of page) {
        const { user = this.users(each.replica) ?? undefined } = each;
        noteUpdate(this.writers, { ...each, user }, this.effects.read(each.update));
        this.changed = each.offset;
        this.updates += 1;
        this.bytes += each.update.byteLength;
        if (sum?.add(each.update) === true) yield* sum.settle();
      }
    }
  }

  private announce({ offset: upTo }: DocumentRecord, updates: number, bytes: number): Task<void> {
    return wait<void>((done) => this.log.announce(this.document, { upTo, updates, bytes }, done));
  }

  /** A version is kept while there is a place that has no nearer one. */
  private *prune({ offset }: DocumentRecord, versions: readonly Offset[]): Task<void> {
    const { state } = this.log;
    const needed = new Set<Offset | undefined>();
    for (const place of placesOf(state, this.document)) {
      if (place <= offset) needed.add(versions.findLast((each) => each <= place));
    }
    for (const point of versions) {
      if (!needed.has(point)) yield* wait<void>((done) => this.effects.removeVersion(this.document, point, done));
    }
  }
}
