/** A host with documents, by hand: a log and a store in memory, a clock that is set, and members that edit real documents. */

import {
  type DocumentOpenFrame,
  defaultConfig,
  defaultLimits,
  documentEvent,
  documentIn,
  type Entry,
  features,
  type Item,
  isControl,
  lastOffset,
  type MemberCommand,
  memberId,
  type Offset,
  RostrumError,
  type ServerCommand,
  type ServerFrame,
  type SessionConfig,
  type SessionId,
  sessionId,
  span,
  userId,
} from "@rostrum/protocol";
import type { DocumentRecord, DocumentVersion, Snapshot } from "@rostrum/server";
import { type DocumentEffects, Host } from "@rostrum/server/internal";
import * as Y from "yjs";
import { readFacts } from "../facts.ts";
import { work } from "./heavy.ts";
import { Replica } from "./replica.fixture.ts";

export const session: SessionId = sessionId("s");

/** What outlives a host. */
export class Disk {
  log: Entry[] = [];
  first: Offset = 1;
  snapshot: Snapshot | undefined;
  readonly records: Map<string, { readonly record: DocumentRecord; readonly state: Uint8Array }> = new Map();
  readonly versions: Map<string, Map<Offset, DocumentVersion>> = new Map();
  /** The document store fails. */
  broken = false;
  /** What is to be thinned stays. */
  lazy = false;

  get head(): Offset {
    const last = this.log.at(-1);
    return last === undefined ? 0 : lastOffset(last);
  }

  get control(): Offset {
    return this.log.findLast(isControl)?.offset ?? this.trimmed;
  }

  /** The last control entry that was cut off. */
  private trimmed: Offset = 0;

  trim(below: Offset): void {
    const { control, head } = this;
    this.log = this.log.filter((entry) => lastOffset(entry) >= below);
    this.trimmed = control;
    this.first = Math.max(this.first, Math.min(below, this.log[0]?.offset ?? head + 1));
  }

  thin(upTo: Offset): void {
    this.log = this.log.filter((entry) => documentIn(entry) === undefined || lastOffset(entry) > upTo);
  }

  versionsOf(document: string): readonly Offset[] {
    return [...(this.versions.get(document)?.keys() ?? [])].sort((a, b) => a - b);
  }
}

export interface Fixture {
  readonly config?: Partial<SessionConfig>;
  readonly retention?: number;
  /** Updates that the log keeps at its end; absent: the store drops nothing out of the middle. */
  readonly updates?: number;
  readonly updateBytes?: number;
  readonly snapshotEvery?: number;
  readonly load?: (document: string) => Uint8Array | RostrumError | undefined;
}

export class Server {
  now = 1_000;
  readonly host: Host<string>;
  readonly frames: (readonly [string, ServerFrame])[] = [];
  /** States that the app was given. */
  readonly kept: { readonly document: string; readonly offset: Offset }[] = [];
  readonly warnings: string[] = [];
  compactions = 0;
  loads = 0;
  failed: RostrumError | undefined;
  /** Compactions wait here while they are held up. */
  slow: (() => void)[] | undefined;
  private readonly waiting: (() => void)[] = [];
  private alarm = Infinity;
  private readonly live = new Set<string>();
  private readonly seqs = new Map<string, number>();

  constructor(
    readonly disk: Disk = new Disk(),
    { config = {}, retention = 1e6, snapshotEvery = 1e6, updates = -1, updateBytes = 1e9, load }: Fixture = {},
  ) {
    const later = (run: () => void): void => void this.waiting.push(run);
    this.host = new Host<string>(
      {
        session,
        node: "n",
        config: { ...defaultConfig, ...config },
        retention: { count: retention, bytes: 1e12, age: 1e12, updates, updateBytes },
        snapshotEvery,
        flicker: 0,
      },
      {
        now: () => this.now,
        elapsed: () => this.now,
        load: (done) => later(() => done({ snapshot: disk.snapshot, first: disk.first, head: disk.head })),
        append: ({ control, head }, entries, done) =>
          later(() => {
            if (control !== disk.control || (head !== undefined && head !== disk.head)) return done({ ok: false });
            const moved = disk.head + 1 - (entries[0]?.offset ?? 0);
            const first = disk.head + 1;
            disk.log.push(...entries.map((entry) => ({ ...entry, offset: entry.offset + moved })));
            done({ ok: true, first, bytes: 1 });
          }),
        read: (after, limit, done) =>
          later(() => {
            const found: Entry[] = [];
            let offsets = 0;
            for (const entry of disk.log) {
              if (lastOffset(entry) <= after || offsets >= limit) continue;
              found.push(entry);
              offsets += span(entry);
            }
            done(found);
          }),
        snapshot: (snapshot, done) => {
          disk.snapshot = snapshot;
          done(undefined);
        },
        trim: (below) => disk.trim(below),
        ...(updates < 0
          ? {}
          : {
              thin: (upTo: Offset, done: (isDone: boolean) => void) =>
                later(() => {
                  if (!disk.lazy) disk.thin(upTo);
                  done(!disk.lazy);
                }),
            }),
        defer: later,
        alarm: (at) => (this.alarm = at),
        alive: () => true,
        newBirth: () => "b",
        newMember: () => memberId("x"),
        loaded: () => {},
        stored: () => {},
        failed: (error) => (this.failed = error),
        send: (to, frame) => void this.frames.push(...to.map((each) => [each, frame] as const)),
        broadcast: (frame, except) => {
          for (const each of this.live) if (!except.includes(each)) this.frames.push([each, frame]);
        },
        live: (connection, on) => void (on ? this.live.add(connection) : this.live.delete(connection)),
        closed: (to, frame) => void this.frames.push([to, frame]),
        flushIn: (milliseconds) =>
          later(() => {
            this.now += milliseconds;
            this.host.audience.flush(this.host.current);
          }),
        token: () => "t",
        terms: () => ({ version: 1, features, limits: { ...defaultLimits, chunkBytes: 1_000 } }),
        documents: this.documents(load),
      },
    );
    this.run();
  }

  private documents(load: Fixture["load"]): DocumentEffects<string> {
    const { disk } = this;
    const versions = (document: string): Map<Offset, DocumentVersion> => {
      const known = disk.versions.get(document) ?? new Map<Offset, DocumentVersion>();
      disk.versions.set(document, known);
      return known;
    };
    const from = <T>(make: () => T | RostrumError, done: (result: T | RostrumError) => void): void =>
      void this.waiting.push(() =>
        done(disk.broken ? new RostrumError("STORE_FAILED", "The disk is broken.") : make()),
      );
    return {
      load: (document, done) => from(() => disk.records.get(document)?.record, done),
      state: (document, offset, done) =>
        from(() => {
          const known = disk.records.get(document);
          return known?.record.offset === offset ? known.state : undefined;
        }, done),
      save: (document, record, state, done) => from(() => void disk.records.set(document, { record, state }), done),
      versions: (document, done) => from(() => disk.versionsOf(document), done),
      version: (document, point, done) => from(() => versions(document).get(point), done),
      saveVersion: (document, point, version, done) => from(() => void versions(document).set(point, version), done),
      removeVersion: (document, point, done) => from(() => void versions(document).delete(point), done),
      read: readFacts,
      merge: (updates) => Y.mergeUpdates([...updates]),
      diff: (state, vector, done) => from(() => Y.diffUpdateV2(state, vector), done),
      compact: (state, updates, done) => {
        this.compactions += 1;
        const compact = (): void =>
          from(() => {
            try {
              const outcome = work(Y, { kind: "compact", updates, ...(state === undefined ? {} : { state }) });
              return { state: outcome.bytes, clocks: new Map(outcome.clocks) };
            } catch (cause) {
              return new RostrumError("DOCUMENT_INVALID", String(cause));
            }
          }, done);
        if (this.slow === undefined) compact();
        else this.slow.push(compact);
      },
      initial: (document, done) => {
        // At once, as where the app has nothing to be asked.
        if (load === undefined) return done(undefined);
        this.waiting.push(() => {
          this.loads += 1;
          done(load(document));
        });
      },
      saved: (document, _, offset) => void this.kept.push({ document, offset }),
      enter: (then) => then(() => {}),
      clear: (_, then) => void this.waiting.push(then),
      newReplica: () => 1,
      warn: (message) => void this.warnings.push(message),
    };
  }

  /** Until nothing waits, or so many things have happened. */
  run(most: number = Infinity): void {
    for (let count = 0; count < 100_000; count += 1) {
      const next = count < most ? this.waiting.shift() : undefined;
      if (next === undefined) return;
      next();
    }
    throw new Error("it never comes to rest");
  }

  /** Time goes by, as far as something is due. */
  waits(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (let rings = 0; rings < 1_000; rings += 1) {
      this.run();
      if (this.alarm > until) break;
      this.now = Math.max(this.now, this.alarm);
      this.alarm = Infinity;
      this.host.wake();
    }
    this.now = until;
    this.run();
  }

  /** `ada.phone` and `ada.desk` are members of one user. */
  joins(name: string, roles: readonly string[] = ["member"], documents: readonly string[] = []): void {
    this.host.attach({
      connection: name,
      join: { type: "join", member: memberId(name), user: userId(name.split(".")[0] ?? ""), roles, node: "n" },
      resume: undefined,
      cursor: undefined,
      documents,
      history: undefined,
      accepted: () => true,
      refused: (error) => {
        throw error;
      },
    });
    this.run();
  }

  /** What came of each item: its offset, or the code of its refusal. */
  says(name: string, ...items: readonly Item[]): readonly (Offset | string)[] {
    return this.command(name, { type: "messages", items });
  }

  command(name: string, command: MemberCommand): readonly (Offset | string)[] {
    const seq = this.send(name, command);
    this.run();
    return this.outcomes(name, seq, command.type === "messages" ? command.items.length : 1);
  }

  /** Sends, and waits for nothing. */
  send(name: string, command: MemberCommand): number {
    const seq = (this.seqs.get(name) ?? 0) + 1;
    this.seqs.set(name, seq + (command.type === "messages" ? command.items.length : 1) - 1);
    this.host.commands(name, seq, [command], () => {});
    return seq;
  }

  outcomes(name: string, seq: number, count = 1): readonly (Offset | string)[] {
    return Array.from({ length: count }, (_, index) => {
      const each = seq + index;
      for (const entry of this.disk.log) {
        if (!("by" in entry) || entry.by !== name || !("seq" in entry) || entry.seq === undefined) continue;
        if (entry.seq <= each && each < entry.seq + span(entry)) return entry.offset + each - entry.seq;
      }
      const refused = this.told(name, "refused").find((frame) => frame.seq <= each && each < frame.seq + frame.count);
      return refused?.error.code ?? "nothing";
    });
  }

  /** What the last refusal said. */
  details(name: string): Readonly<Record<string, unknown>> {
    return this.told(name, "refused").at(-1)?.error.details ?? {};
  }

  server(command: MemberCommand | ServerCommand): readonly Entry[] | RostrumError {
    let answer: readonly Entry[] | RostrumError = [];
    this.host.submit({ from: null, command }, (result) => {
      answer = result instanceof RostrumError ? result : (result.refusals[0]?.error ?? result.entries);
    });
    this.run();
    return answer;
  }

  /** Sets a sync point. Answers its offset. */
  point(): Offset {
    const set = this.server({ type: "sync-minor" });
    if (set instanceof RostrumError) throw set;
    return set[0]?.offset ?? 0;
  }

  told<T extends ServerFrame["type"]>(name: string, type: T): readonly Extract<ServerFrame, { type: T }>[] {
    return this.frames.flatMap(([to, frame]) =>
      to === name && frame.type === type ? [frame as Extract<ServerFrame, { type: T }>] : [],
    );
  }

  /** Updates of a document that a member was sent. */
  updates(name: string, document: string): readonly Item[] {
    return this.told(name, "entries")
      .flatMap(({ entries }) => entries)
      .flatMap((entry) => (entry.type === "messages" ? entry.items : []))
      .filter(([event]) => event === documentEvent(document));
  }

  /** Opens a document: its parts, or the code of the refusal. */
  opens(name: string, document: string, more: Partial<DocumentOpenFrame> = {}): Opened {
    const before = this.frames.length;
    this.host.openDocument(name, { type: "document-open", session, document, ...more });
    this.run();
    return this.answer(name, document, before);
  }

  answer(name: string, document: string, before: number): Opened {
    const mine = this.frames.slice(before).flatMap(([to, frame]) => (to === name ? [frame] : []));
    const refused = mine.find((frame) => frame.type === "document-refused");
    const states = mine.flatMap((frame) =>
      frame.type === "document-state" && frame.document === document ? [frame] : [],
    );
    const last = states.at(-1);
    const parts = new Map<number, { format: 1 | 2; bytes: Uint8Array }>();
    for (const { part, format, at, size, bytes } of states) {
      const known = parts.get(part) ?? { format, bytes: new Uint8Array(size) };
      known.bytes.set(bytes, at);
      if (size > 0) parts.set(part, known);
    }
    return {
      code: refused?.type === "document-refused" ? refused.error.code : undefined,
      parts: [...parts.values()],
      frames: states.length,
      bytes: states.reduce((sum, { bytes }) => sum + bytes.byteLength, 0),
      lineage: last?.lineage ?? -1,
      upTo: last?.upTo ?? -1,
      whole: last?.whole ?? false,
      ended: last?.end ?? false,
    };
  }

  /** The text of a document, as the app's server reads it. */
  text(document: string, point?: Offset): string {
    let text = "nothing";
    this.host.documents?.read(document, point === undefined ? {} : { point }, (content) => {
      text = content instanceof RostrumError ? content.code : new Replica(document).take(content.parts).text;
    });
    this.run();
    return text;
  }
}

export interface Opened {
  readonly code: string | undefined;
  readonly parts: readonly { readonly format: 1 | 2; readonly bytes: Uint8Array }[];
  readonly frames: number;
  readonly bytes: number;
  readonly lineage: Offset;
  readonly upTo: Offset;
  readonly whole: boolean;
  readonly ended: boolean;
}
