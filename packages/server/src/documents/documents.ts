/**
 * A session's documents at work: heads of those that are being edited, records made anew in good time, and what is opened. Like
 * the host it has no I/O of its own, and nothing that it does holds up the host.
 */

import {
  documentIn,
  documentOf,
  type Entry,
  type Inspect,
  type Item,
  isUpdate,
  type MemberCommand,
  newDocument,
  type Offset,
  pointAt,
  RostrumError,
  type ServerCommand,
  type SessionState,
  type Time,
} from "@rostrum/protocol";
import type { UpdateFacts } from "./codec.ts";
import { Compaction, type Saved } from "./compaction.ts";
import { Contents, type SessionLog, Tail, updatesIn } from "./content.ts";
import type { DocumentEffects } from "./effects.ts";
import { DocumentHead, type LoggedUpdate, noteUpdate } from "./heads.ts";
import { Inspection } from "./inspection.ts";
import { type Done, run, type Task, wait } from "./task.ts";

/** What the documents need of their session's host. */
export interface DocumentsHost extends SessionLog {
  now(): Time;
  /** Stores an update of the server's own. */
  store(item: Item, done: Done<void>): void;
  /** What was waited for is there: commands that were held back may be decided. */
  ready(): void;
  /** The host cannot go on. */
  failed(error: RostrumError): void;
  /** The alarm is to be set anew. */
  alarm(): void;
}

/** Milliseconds after which a head that nobody needs is let go, its document saved before. */
const idleAfter = 60_000;
/** Updates, and bytes of them, behind a record that are worth a new one. */
const worthUpdates = 500;
const worthBytes = 65_536;
/** A record for the number of updates alone is followed by so many times as much rest as it took, but for at most so many milliseconds. */
const restFactor = 40;
const mostRest = 30_000;
/** Milliseconds before a compaction that failed is tried again. */
const again = 10_000;

/** Most heads, and most faults, of documents that there are not: anybody may ask for any name. */
const mostAbsent = 1_000;

/** One update of a document's content. */
export interface DocumentPart {
  readonly format: 1 | 2;
  readonly bytes: Uint8Array;
}

export interface DocumentContent {
  /** Where the content was begun: what is made on it names this. */
  readonly lineage: Offset;
  readonly upTo: Offset;
  /** To be taken up in this order. */
  readonly parts: readonly DocumentPart[];
}

export interface ReadOptions {
  /** The offset of a sync point; absent: as of now. */
  readonly point?: Offset;
  /** A document that is not there yet is empty. */
  readonly begin?: boolean;
}

interface Loading {
  /** Stored meanwhile. */
  readonly missed: LoggedUpdate[];
  readonly waiting: Done<DocumentHead>[];
}

export class Documents<C> {
  readonly contents: Contents<C>;
  private readonly heads = new Map<string, DocumentHead>();
  /** Those of them that are of documents that there were not when they were made, oldest first. */
  private readonly absent = new Set<string>();
  /** Heads that cannot be had, and why: what is sent for them is refused. */
  private readonly faults = new Map<string, { readonly error: RostrumError; readonly until: Time }>();
  private readonly loading = new Map<string, Loading>();
  private readonly compacting = new Map<string, Done<void>[]>();
  /** Documents whose compaction failed, and when to try again. */
  private readonly failures = new Map<string, Time>();
  private readonly facts = new WeakMap<Uint8Array, UpdateFacts>();
  private stopped: RostrumError | undefined;
  /** The host is asking what is ready. */
  private asking = false;

  constructor(
    readonly host: DocumentsHost,
    readonly effects: DocumentEffects<C>,
  ) {
    this.contents = new Contents(host, effects);
  }

  /** Nothing is under way, and nothing stands in memory that the store has not. */
  get resting(): boolean {
    return this.heads.size === 0 && this.loading.size === 0 && this.compacting.size === 0;
  }

  /** The host stops: who waits is told. */
  stop(error: RostrumError): void {
    this.stopped = error;
    this.heads.clear();
    this.absent.clear();
    for (const { waiting } of this.loading.values()) for (const each of waiting.splice(0)) each(error);
    for (const waiting of this.compacting.values()) for (const each of waiting.splice(0)) each(error);
  }

  /** Runs a task, unless and until the host stops. */
  start<T>(task: Task<T>, done: Done<T>): void {
    run(task, done, () => this.stopped);
  }

  // ---- updates ----

  /** Whether what the command's updates are held against is at hand. If not, it is fetched, and `ready` called then. */
  isReady(command: MemberCommand | ServerCommand): boolean {
    if (command.type !== "messages") return true;
    let ready = true;
    let seen: string | undefined;
    for (const item of command.items) {
      const document = documentOf(item[0]);
      if (document === undefined || document === seen || !isUpdate(item)) continue;
      seen = document;
      // Of another content it is refused without a look into it.
      if (item[3] !== (this.host.state.documents.get(document)?.lineage ?? 0)) continue;
      if (this.headOf(document) !== undefined) continue;
      this.asking = true;
      if (!this.loading.has(document)) this.load(document);
      this.asking = false;
      // Of one that is not there yet it is known at once.
      ready &&= this.headOf(document) !== undefined;
    }
    return ready;
  }

  private headOf(document: string): DocumentHead | RostrumError | undefined {
    const head = this.heads.get(document);
    if (head !== undefined) {
      head.touched = this.host.now();
      return head;
    }
    const fault = this.faults.get(document);
    if (fault === undefined) return undefined;
    if (this.host.now() < fault.until) return fault.error;
    this.faults.delete(document);
    return undefined;
  }

  /** The look into updates that the next batch is decided with. */
  begin(): Inspect {
    const inspection = new Inspection(
      (document) => this.headOf(document),
      (update) => this.factsOf(update),
    );
    return Object.assign<Inspect, Pick<Inspect, "known">>(
      (document, item, by, state) => inspection.inspect(document, item, by, state),
      { known: (document, item, by, state) => inspection.known(document, item, by, state) },
    );
  }

  /** An update is read once, when it is looked at before it is stored. */
  private factsOf(update: Uint8Array): UpdateFacts {
    const known = this.facts.get(update);
    if (known !== undefined) return known;
    const facts = this.effects.read(update);
    this.facts.set(update, facts);
    return facts;
  }

  /** These entries are in the log. */
  advance(entries: readonly Entry[], before: SessionState, state: SessionState): void {
    const changed = new Set<string>();
    let back = false;
    for (const entry of entries) {
      const document = documentIn(entry);
      if (document !== undefined) changed.add(document);
      if (entry.type === "document-restored" || entry.type === "resynchronized") back = true;
    }
    for (const document of changed) {
      const updates = updatesIn(entries, document, state, 0, Infinity, before);
      this.loading.get(document)?.missed.push(...updates);
      const head = this.heads.get(document);
      if (head !== undefined) this.take(document, head, updates, state.head);
    }
    if (back) this.beginAnew();
    for (const document of changed) this.consider(document);
  }

  private take(document: string, head: DocumentHead, updates: readonly LoggedUpdate[], upTo: Offset): void {
    for (const each of updates) {
      if (each.offset <= head.upTo) continue;
      try {
        noteUpdate(head.writers, each, this.factsOf(each.update));
      } catch (cause) {
        this.effects.warn(`An update of "${document}" at ${each.offset} cannot be read`, cause);
      }
      head.bytes += each.update.byteLength;
    }
    head.upTo = upTo;
    head.touched = this.host.now();
  }

  /** The session is loaded: what was edited when it stopped is saved now, as it would have been soon. */
  begun(): void {
    for (const [document, { since }] of this.host.state.documents) if (since > 0) this.compact(document);
  }

  /** Documents went back to an earlier state: their heads are others now, and there is a record to be made. */
  private beginAnew(): void {
    for (const [document, { lineage, begun }] of this.host.state.documents) {
      if (this.heads.get(document)?.lineage !== lineage) this.heads.delete(document);
      if (begun.length > 0) this.compact(document);
    }
  }

  private consider(document: string): void {
    const { documents, config } = this.host.state;
    const { updates, bytes } = documents.get(document) ?? newDocument;
    const head = this.heads.get(document);
    // Who edits it compacts it.
    if (head === undefined) return;
    const most = config.documents.bytes;
    // Near its limit it must not be full of what was deleted long ago.
    const isTight = head.bytes >= 0.75 * most && bytes >= most / 16;
    const isDue = updates >= worthUpdates && this.host.now() >= head.restsUntil;
    if (isDue || bytes >= Math.max(worthBytes, head.recordBytes) || isTight) this.compactInTime(document);
  }

  private compactInTime(document: string): void {
    if ((this.failures.get(document) ?? 0) <= this.host.now()) this.compact(document);
  }

  // ---- heads ----

  /** The document's head, fetched if need be. */
  withHead(document: string, done: Done<DocumentHead>): void {
    const head = this.headOf(document);
    if (head !== undefined) return done(head);
    const loading = this.loading.get(document);
    if (loading !== undefined) loading.waiting.push(done);
    else this.load(document, done);
  }

  private load(document: string, done?: Done<DocumentHead>): void {
    const loading: Loading = { missed: [], waiting: done === undefined ? [] : [done] };
    this.loading.set(document, loading);
    this.start(this.loaded(document, loading), (head) => {
      this.loading.delete(document);
      if (this.stopped !== undefined) return;
      if (head instanceof RostrumError) {
        const until = this.host.now() + (head.retryable ? 1_000 : idleAfter);
        this.faults.set(document, { error: head, until });
        this.next = Math.min(this.next, until);
        const [oldest] = this.faults.keys();
        if (this.faults.size > mostAbsent && oldest !== undefined) this.faults.delete(oldest);
      } else {
        this.heads.set(document, head);
        this.next = Math.min(this.next, head.touched + idleAfter);
        if (!this.host.state.documents.has(document)) this.boundAbsent(document);
      }
      for (const each of loading.waiting) each(head);
      // As anywhere else. A record that is damaged, or an app that throws, concerns its document alone.
      if (head instanceof RostrumError && head.code === "STORE_FAILED") return this.host.failed(head);
      this.host.alarm();
      // Nobody was held back for what was there at once.
      if (!this.asking) this.host.ready();
    });
  }

  /** What was asked for and is not there is forgotten, if more is asked for than can be remembered. */
  private boundAbsent(document: string): void {
    const { absent, heads } = this;
    absent.delete(document);
    absent.add(document);
    for (const oldest of absent) {
      if (absent.size <= mostAbsent) return;
      absent.delete(oldest);
      // One that has been begun meanwhile is let go like all others.
      if (!this.host.state.documents.has(oldest)) heads.delete(oldest);
    }
  }

  private *loaded(document: string, { missed }: Loading): Task<DocumentHead> {
    const { host } = this;
    if (!host.state.documents.has(document)) yield* this.initial(document);
    for (let tries = 0; tries < 10; tries += 1) {
      const { state } = host;
      const known = state.documents.get(document);
      const record = known === undefined ? undefined : yield* this.contents.record(document);
      const pending = known?.begun.some(({ at }) => at > (record?.offset ?? 0)) ?? false;
      if (pending) {
        yield* wait<void>((done) => this.compact(document, done));
        continue;
      }
      const head = new DocumentHead(record, host.now());
      if (known !== undefined && known.since > 0) {
        const tail = new Tail(host, document, Math.max(head.upTo, known.since - 1), state.head);
        try {
          for (let page = yield* tail.next(); page !== undefined; page = yield* tail.next())
            this.take(document, head, page, page.at(-1)?.offset ?? head.upTo);
        } catch (error) {
          // The log was cut under it: there is a newer record.
          if (error instanceof RostrumError && error.code === "SERVER_BUSY") continue;
          throw error;
        }
      }
      head.upTo = Math.max(head.upTo, state.head);
      if (head.lineage !== (host.state.documents.get(document)?.lineage ?? 0)) continue;
      this.take(document, head, missed, host.state.head);
      return head;
    }
    throw new RostrumError("SERVER_BUSY", `The document "${document}" changed faster than it was read; try again.`, {
      document,
    });
  }

  /** A document that the session does not know: the app may have it. Whoever asks meanwhile waits for the same answer. */
  private *initial(document: string): Task<void> {
    const { effects, host } = this;
    const update = yield* wait<Uint8Array | undefined>((done) => effects.initial(document, done));
    if (update === undefined || host.state.documents.has(document)) return;
    // Nobody can have written it meanwhile: for that its head is needed.
    this.heads.set(document, new DocumentHead(undefined, host.now()));
    try {
      const item: Item = [`@doc/${document}`, effects.newReplica(), 0, 0, update];
      yield* wait<void>((done) => host.store(item, done));
    } catch (error) {
      // Another server process was first, with the same.
      if (!host.state.documents.has(document)) throw error;
    } finally {
      this.heads.delete(document);
    }
  }

  // ---- records ----

  /** Makes a new record, if there is anything to it. `done` when it is there. */
  compact(document: string, done?: Done<void>): void {
    const waiting = this.compacting.get(document);
    if (waiting !== undefined) {
      if (done !== undefined) waiting.push(done);
      return;
    }
    const all: Done<void>[] = done === undefined ? [] : [done];
    this.compacting.set(document, all);
    this.effects.enter((leave) => {
      const head = this.heads.get(document);
      const bytes = head?.bytes ?? 0;
      const begun = this.host.now();
      const users = (replica: number): string | null | undefined =>
        this.heads.get(document)?.writers.get(replica)?.user;
      const task = new Compaction(this.host, this.effects, this.contents, document, users).run();
      this.start(task, (saved) => {
        leave();
        this.compacting.delete(document);
        if (this.stopped !== undefined) return;
        if (saved instanceof RostrumError) {
          this.failures.set(document, this.host.now() + again);
          this.effects.warn(`The document "${document}" could not be compacted`, saved);
        } else {
          this.failures.delete(document);
          const now = this.host.now();
          if (head !== undefined) head.restsUntil = now + Math.min(mostRest, restFactor * (now - begun));
          if (saved !== undefined) this.saved(document, saved, head, bytes);
        }
        for (const each of all) each(saved instanceof RostrumError ? saved : undefined);
        this.host.alarm();
      });
    });
  }

  private saved(document: string, { record, state }: Saved, head: DocumentHead | undefined, before: number): void {
    if (head !== undefined && this.heads.get(document) === head) {
      head.recordBytes = record.bytes;
      head.bytes = record.bytes + Math.max(0, head.bytes - before);
    }
    this.effects.saved(document, state, record.offset);
    // What came while it was made may be worth the next.
    if ((this.host.state.documents.get(document)?.begun.length ?? 0) > 0) this.compactInTime(document);
    else this.consider(document);
  }

  /** The log must not be cut at or above what a record lacks: at `line` or below. What stands in the way is saved first. */
  keep(line: Offset): Offset {
    let lowest = line;
    for (const [document, { since }] of this.host.state.documents) {
      if (since === 0 || since >= line) continue;
      lowest = Math.min(lowest, since);
      this.compactInTime(document);
    }
    return lowest;
  }

  // ---- reading ----

  /** All of a document, now or at a sync point: parts to be taken up in this order. */
  read(document: string, { point, begin = false }: ReadOptions, done: Done<DocumentContent>): void {
    this.start(this.contentOf(document, point, begin), done);
  }

  private *contentOf(document: string, point: Offset | undefined, begin: boolean): Task<DocumentContent> {
    const { host, contents } = this;
    if (point !== undefined && pointAt(host.state.sync, point) === undefined)
      throw new RostrumError("SYNC_UNKNOWN", `There is no valid sync point at ${point}.`, { offset: point });
    if (!host.state.documents.has(document)) {
      yield* wait((done: Done<unknown>) => this.withHead(document, done));
      if (!host.state.documents.has(document)) {
        if (begin) return { lineage: 0, upTo: host.state.head, parts: [] };
        throw new RostrumError("DOCUMENT_UNKNOWN", `The session has no document "${document}".`, { document });
      }
    }
    const upTo = point ?? host.state.head;
    const { state, lineage, offset } = yield* contents.base(document, upTo, point !== undefined);
    const parts: DocumentPart[] = state === undefined ? [] : [{ format: 2, bytes: state }];
    const tail = new Tail(host, document, offset, upTo);
    for (let page = yield* tail.next(); page !== undefined; page = yield* tail.next())
      for (const { update } of page) parts.push({ format: 1, bytes: update });
    return { lineage, upTo, parts };
  }

  // ---- time ----

  /** When `tick` has something to do, or earlier. */
  next: Time = Infinity;

  /** Lets go of heads that nobody needs, after their documents are saved. */
  tick(): void {
    const now = this.host.now();
    this.next = Infinity;
    for (const [document, { until }] of this.faults) {
      if (until <= now) this.faults.delete(document);
      else this.next = Math.min(this.next, until);
    }
    for (const [document, head] of this.heads) {
      if (head.touched + idleAfter > now || this.compacting.has(document)) {
        this.next = Math.min(this.next, Math.max(head.touched, now - idleAfter / 2) + idleAfter);
        continue;
      }
      const { since } = this.host.state.documents.get(document) ?? newDocument;
      const letGo = (): void => {
        if (this.heads.get(document) !== head || head.touched + idleAfter > now) return;
        this.heads.delete(document);
        this.absent.delete(document);
      };
      // A failure is tried again by whoever edits it next, or before the log is cut.
      if (since > 0) this.compact(document, letGo);
      else letGo();
    }
  }
}
