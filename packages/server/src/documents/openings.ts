/** Documents that are asked for: each answered in pieces that messages can pass, a few at a time on each connection. */

import {
  type DocumentOpenFrame,
  type DocumentStateFrame,
  may,
  newDocument,
  type Offset,
  pointAt,
  RostrumError,
  type ServerFrame,
  type SessionId,
  toWire,
} from "@rostrum/protocol";
import { Tail } from "./content.ts";
import type { Documents } from "./documents.ts";
import { type Done, type Task, wait } from "./task.ts";

/** Most documents that a connection follows, or waits for. */
const mostFollowed = 10_000;
/** Most openings under way on a connection; others wait. */
const mostAtOnce = 4;
/** Updates that are merged into one part, and bytes from which on there are no more. */
const blockUpdates = 50;
const blockBytes = 262_144;

/** What openings need of who listens. */
export interface OpeningAudience<C> {
  /** `undefined`: the connection has gone. */
  rolesOf(connection: C): readonly string[] | undefined;
  follow(connection: C, document: string): void;
  followed(connection: C): ReadonlySet<string>;
  send(connection: C, frame: ServerFrame): void;
  chunkBytes(connection: C): number;
}

/** A part of an answer: one update. */
interface Part {
  readonly format: 1 | 2;
  readonly bytes: Uint8Array;
}

interface Asked {
  frame: DocumentOpenFrame;
  /** Not wanted any more. */
  closed: boolean;
  /** Asked for again meanwhile, and otherwise. */
  next: DocumentOpenFrame | undefined;
}

/** One connection's openings. */
interface Desk {
  readonly waiting: Asked[];
  readonly asked: Map<string, Asked>;
  atWork: number;
}

const keyOf = ({ document, point }: DocumentOpenFrame): string => `${point ?? ""} ${document}`;

const isSame = (a: DocumentOpenFrame, b: DocumentOpenFrame): boolean =>
  a.lineage === b.lineage && a.after === b.after && a.vector === undefined && b.vector === undefined;

export class Openings<C> {
  private readonly desks = new Map<C, Desk>();

  constructor(
    private readonly session: SessionId,
    private readonly documents: Documents<C>,
    private readonly audience: OpeningAudience<C>,
    /** Whether the log still has all updates behind an offset. */
    private readonly isLogged: (after: Offset) => boolean,
  ) {}

  get resting(): boolean {
    return this.desks.size === 0;
  }

  open(connection: C, frame: DocumentOpenFrame): void {
    const desk: Desk = this.desks.get(connection) ?? { waiting: [], asked: new Map(), atWork: 0 };
    const key = keyOf(frame);
    const asked = desk.asked.get(key);
    if (asked !== undefined) {
      // What is under way answers it, unless it asks for something else.
      if (asked.closed || !isSame(asked.frame, frame)) asked.next = frame;
      return;
    }
    const followed = this.audience.followed(connection);
    const most = followed.has(frame.document) ? desk.asked.size : Math.max(followed.size, desk.asked.size);
    if (most >= mostFollowed) {
      return this.refuse(
        connection,
        frame,
        new RostrumError(
          "DOCUMENT_LIMIT",
          `The connection follows or waits for ${mostFollowed} documents, which is the limit; "${frame.document}" was not opened. Close some.`,
          { documents: mostFollowed, limit: mostFollowed },
        ),
      );
    }
    this.desks.set(connection, desk);
    const opening: Asked = { frame, closed: false, next: undefined };
    desk.asked.set(key, opening);
    desk.waiting.push(opening);
    this.proceed(connection, desk);
  }

  /** The document is not wanted any more: what is under way goes no further. */
  close(connection: C, document: string): void {
    for (const asked of this.desks.get(connection)?.asked.values() ?? []) {
      if (asked.frame.document !== document) continue;
      asked.closed = true;
      asked.next = undefined;
    }
  }

  /** The connection has gone; what is under way for it finds out. */
  gone(connection: C): void {
    this.desks.delete(connection);
  }

  private proceed(connection: C, desk: Desk): void {
    while (desk.atWork < mostAtOnce) {
      const opening = desk.waiting.shift();
      if (opening === undefined) break;
      desk.atWork += 1;
      const { frame } = opening;
      const isWanted = (): boolean => !opening.closed && this.audience.rolesOf(connection) !== undefined;
      this.documents.start(this.answer(connection, frame, isWanted), (result) => {
        desk.atWork -= 1;
        if (this.desks.get(connection) !== desk) return;
        if (result instanceof RostrumError && isWanted()) this.refuse(connection, frame, result);
        desk.asked.delete(keyOf(frame));
        if (opening.next !== undefined) {
          const next: Asked = { frame: opening.next, closed: false, next: undefined };
          desk.asked.set(keyOf(frame), next);
          desk.waiting.push(next);
        }
        this.proceed(connection, desk);
      });
    }
    if (desk.atWork === 0 && desk.waiting.length === 0) this.desks.delete(connection);
  }

  private refuse(connection: C, { document, point }: DocumentOpenFrame, error: RostrumError): void {
    if (this.audience.rolesOf(connection) === undefined) return;
    this.audience.send(connection, {
      type: "document-refused",
      session: this.session,
      document,
      error: toWire(error),
      ...(point === undefined ? {} : { point }),
    });
  }

  private *answer(connection: C, frame: DocumentOpenFrame, isWanted: () => boolean): Task<void> {
    const { document, point } = frame;
    if (!isWanted()) return;
    this.requireRead(connection, document);
    if (point !== undefined) yield* this.answerPoint(connection, document, point, isWanted);
    else yield* this.answerNow(connection, frame, isWanted);
  }

  private requireRead(connection: C, document: string): void {
    const roles = this.audience.rolesOf(connection) ?? [];
    if (may(this.documents.host.state.config, roles, "read", document)) return;
    throw new RostrumError(
      "FORBIDDEN",
      `The roles ${roles.join(", ") || "(none)"} do not permit read:${document}; it was not opened.`,
      { permission: `read:${document}` },
    );
  }

  private *answerPoint(connection: C, document: string, point: Offset, isWanted: () => boolean): Task<void> {
    const { host, contents } = this.documents;
    if (pointAt(host.state.sync, point) === undefined)
      throw new RostrumError("SYNC_UNKNOWN", `There is no valid sync point at ${point}.`, { offset: point });
    if (!host.state.documents.has(document))
      throw new RostrumError("DOCUMENT_UNKNOWN", `The session has no document "${document}".`, { document });
    const { state, lineage, offset } = yield* contents.base(document, point);
    const sending = new Sending(this.audience, this.documents, connection, isWanted, {
      session: this.session,
      document,
      lineage,
      upTo: point,
      whole: true,
      point,
    });
    if (state !== undefined) yield* sending.part({ format: 2, bytes: state });
    yield* sending.tail(new Tail(host, document, offset, point));
    yield* sending.end();
  }

  private *answerNow(
    connection: C,
    { document, lineage, after, vector }: DocumentOpenFrame,
    isWanted: () => boolean,
  ): Task<void> {
    const { documents, audience } = this;
    const { host, contents } = documents;
    if (!host.state.documents.has(document)) yield* wait((done: Done<unknown>) => documents.withHead(document, done));
    if (!isWanted()) return;
    // It may have waited for long: who follows now is not looked at again.
    this.requireRead(connection, document);
    // From here on everything new comes by itself; what is there by now is answered.
    audience.follow(connection, document);
    // What was begun anew is made whole once, for all who ask.
    for (let tries = 0; tries < 3 && (host.state.documents.get(document)?.begun.length ?? 0) > 0; tries += 1)
      yield* wait<void>((done) => documents.compact(document, done));
    const { state } = host;
    const known = state.documents.get(document) ?? newDocument;
    const upTo = state.head;
    const about = { session: this.session, document, lineage: known.lineage, upTo };
    const isSameContent = lineage === known.lineage;
    if (isSameContent && after !== undefined && after >= known.last) {
      return yield* new Sending(audience, documents, connection, isWanted, { ...about, whole: false }).end();
    }
    const { offset: saved = 0 } = (yield* contents.record(document)) ?? {};
    const isLogged = after !== undefined && this.isLogged(after);
    if (isSameContent && isLogged && (after >= saved || vector === undefined)) {
      const sending = new Sending(audience, documents, connection, isWanted, { ...about, whole: false });
      yield* sending.tail(new Tail(host, document, after, upTo));
      return yield* sending.end();
    }
    const base = yield* contents.base(document, upTo, false);
    const isDiff = isSameContent && vector !== undefined && base.state !== undefined && base.lineage === lineage;
    const sending = new Sending(audience, documents, connection, isWanted, {
      ...about,
      lineage: base.lineage,
      whole: !isDiff,
    });
    const { state: bytes } = base;
    if (isDiff && bytes !== undefined && vector !== undefined)
      yield* sending.part({
        format: 2,
        bytes: yield* wait((done: Done<Uint8Array>) => documents.effects.diff(bytes, vector, done)),
      });
    else if (bytes !== undefined) yield* sending.part({ format: 2, bytes });
    yield* sending.tail(new Tail(host, document, base.offset, upTo));
    yield* sending.end();
  }
}

type About = Pick<DocumentStateFrame, "session" | "document" | "lineage" | "upTo" | "whole" | "point">;

/** One answer on its way: part by part, each in pieces, the next when the one before has left. */
class Sending<C> {
  /** Held back until it is known whether it is the last. */
  private held: Part | undefined;
  private parts = 0;
  private pieces = 0;

  constructor(
    private readonly audience: OpeningAudience<C>,
    private readonly documents: Documents<C>,
    private readonly connection: C,
    private readonly isWanted: () => boolean,
    private readonly about: About,
  ) {}

  *part(part: Part): Task<void> {
    if (this.held !== undefined) yield* this.send(this.held, false);
    this.held = part;
  }

  /** Updates, in blocks: each merged into one part. */
  *tail(tail: Tail): Task<void> {
    let block: Uint8Array[] = [];
    let bytes = 0;
    for (let page = yield* tail.next(); page !== undefined; page = yield* tail.next()) {
      // A long log is not read to its end for nobody, least of all where there is nothing in it to be sent.
      if (!this.isWanted()) throw unwanted();
      for (const { update } of page) {
        if (block.length >= blockUpdates || (block.length > 0 && bytes + update.byteLength > blockBytes)) {
          yield* this.block(block);
          block = [];
          bytes = 0;
        }
        block.push(update);
        bytes += update.byteLength;
      }
    }
    if (block.length > 0) yield* this.block(block);
  }

  private *block(updates: readonly Uint8Array[]): Task<void> {
    const [only] = updates;
    const bytes = updates.length === 1 && only !== undefined ? only : this.documents.effects.merge(updates);
    yield* this.part({ format: 1, bytes });
  }

  *end(): Task<void> {
    yield* this.send(this.held ?? { format: 1, bytes: new Uint8Array() }, true);
    this.held = undefined;
  }

  private *send({ format, bytes }: Part, isLast: boolean): Task<void> {
    const { audience, documents, connection, about } = this;
    const size = bytes.byteLength;
    const most = audience.chunkBytes(connection);
    for (let at = 0; at === 0 || at < size; at += most) {
      // The first as well: who asks for many and reads none of them would else have the server hold them all.
      if (this.pieces > 0 || size > 0) yield* wait<void>((done) => documents.effects.clear(connection, () => done()));
      if (!this.isWanted()) throw unwanted();
      const piece = size <= most ? bytes : bytes.subarray(at, at + most);
      const end = isLast && at + most >= size;
      audience.send(connection, {
        type: "document-state",
        ...about,
        part: this.parts,
        format,
        at,
        size,
        bytes: piece,
        end,
      });
      this.pieces += 1;
    }
    this.parts += 1;
  }
}

/** Told to nobody. */
const unwanted = (): RostrumError => new RostrumError("ABORTED", "The document is not wanted any more.");
