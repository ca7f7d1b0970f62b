/** A server for the documents' tests: the real rules over a log in memory. */

import {
  type ClientFrame,
  decide,
  defaultConfig,
  defaultLimits,
  documentIn,
  type Entry,
  emptyState,
  features,
  foldAll,
  isVisible,
  type Limits,
  lastOffset,
  type MemberCommand,
  type MemberId,
  memberId,
  type Offset,
  type Outcome,
  RostrumError,
  redact,
  type ServerCommand,
  type ServerFrame,
  type SessionConfig,
  type SessionId,
  type SessionState,
  seqSpan,
  sessionId,
  toView,
  toWire,
  type UpdateItem,
  userId,
} from "@rostrum/protocol";
import * as Y from "yjs";
import { docOf, fits } from "./copy.ts";
import type { Piece } from "./terms.ts";

export const session: SessionId = sessionId("s");

interface Stored {
  readonly document: string;
  readonly offset: Offset;
  readonly item: UpdateItem;
}

interface Head {
  readonly lineage: Offset;
  readonly doc: Y.Doc;
  readonly next: Map<number, number>;
}

/** Who is connected. */
export interface Guest {
  readonly name: string;
  readonly user: string;
  readonly roles: readonly string[];
  /** Which life of the log its session belongs to. */
  readonly life: number;
  joins: number;
  drop(): unknown;
}

/** The server. */
export class Hall {
  state: SessionState = emptyState(session);
  log: Entry[] = [];
  now = 1_000;
  /** Questions for documents are not answered until this is over. */
  holdsAnswers = false;
  limits: Limits = defaultLimits;
  private readonly held: (() => void)[] = [];
  readonly links: Set<Link> = new Set();
  private heads = new Map<string, Head>();
  private life = 0;
  /** The last offset that the log of each life had in common with the one before. */
  private readonly forks = new Map<number, Offset>();

  constructor(config: Partial<SessionConfig> = {}) {
    this.begin(config);
  }

  private begin(config: Partial<SessionConfig>): void {
    this.life += 1;
    this.server({ type: "open", session, birth: `birth ${this.life}`, config: { ...defaultConfig, ...config } });
    this.server({ type: "begin-epoch", epoch: `epoch ${this.life}` });
  }

  /** Another log, and nothing of the one before. */
  beginAnother(): void {
    this.forks.clear();
    this.state = emptyState(session);
    this.log = [];
    this.heads.clear();
    this.begin(defaultConfig);
    for (const link of [...this.links]) link.page.drop();
  }

  /** The end of the log is lost, as if an older copy had been brought back. */
  lose(above: Offset): void {
    this.log = this.log.filter((entry) => lastOffset(entry) <= above);
    this.state = foldAll(emptyState(session), this.log);
    this.heads.clear();
    this.life += 1;
    this.forks.set(this.life, above);
    this.server({ type: "begin-epoch", epoch: `epoch ${this.life}` });
    for (const link of [...this.links]) link.page.drop();
  }

  // ---- commands ----

  server(command: ServerCommand | MemberCommand): void {
    this.append(decide(this.state, { from: null, command }, (this.now += 1), this.inspect).entries);
  }

  private append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.state = foldAll(this.state, entries);
    this.log.push(...entries);
    for (const link of this.links) this.tell(link);
  }

  tell(link: Link): void {
    const { member, received } = link;
    if (member === undefined || this.state.head <= received) return;
    const entries = this.log
      .filter((entry) => lastOffset(entry) > received && isVisible(entry, member))
      .filter((entry) => {
        const document = documentIn(entry);
        const isOwn = "by" in entry && entry.by === member;
        return document === undefined || isOwn || link.follows.has(document);
      })
      .map(redact);
    link.down({ type: "entries", session, after: received, upTo: this.state.head, entries });
    link.received = this.state.head;
  }

  frame(link: Link, frame: ClientFrame): void {
    switch (frame.type) {
      case "open":
        return this.open(link, frame);
      case "commands":
        return this.commands(link, frame);
      case "renew":
        return link.down({ type: "renewed", session, n: frame.n, head: this.state.head, at: this.now });
      case "volatile":
        for (const other of this.links)
          if (
            other !== link &&
            other.member !== undefined &&
            (frame.to === undefined || frame.to.includes(other.member))
          )
            other.down({
              type: "volatile-event",
              session,
              from: link.member ?? null,
              event: frame.event,
              args: structuredClone(frame.args),
            });
        return;
      case "document-open": {
        link.follows.add(frame.document);
        const answer = (): void => this.answer(link, frame);
        if (this.holdsAnswers) this.held.push(answer);
        else answer();
        return;
      }
      case "document-close":
        link.follows.delete(frame.document);
        return;
      case "detach":
        this.links.delete(link);
        return;
      default:
    }
  }

  /** What was held is answered, as of now. */
  answerHeld(): void {
    this.holdsAnswers = false;
    for (const answer of this.held.splice(0)) answer();
  }

  private open(link: Link, { resume, cursor, documents = [] }: Extract<ClientFrame, { type: "open" }>): void {
    const known = resume === undefined ? undefined : this.state.members.get(resume.member);
    const { page } = link;
    let member = known?.id;
    if (known === undefined) {
      member = memberId(`m${this.life}-${page.name}-${(page.joins += 1)}`);
      const { roles, user } = page;
      this.server({ type: "join", member, user: userId(user), roles: [...roles], node: "" });
    } else {
      const { user, roles } = page;
      const { incarnation, id } = known;
      const confirmed = incarnation;
      this.server({
        type: "resume",
        member: id,
        user: userId(user),
        incarnation,
        confirmed,
        node: "",
        roles: [...roles],
      });
    }
    if (member === undefined) return;
    link.member = member;
    const forks = [...this.forks].flatMap(([life, at]) => (life > page.life ? [at] : []));
    const fork = forks.length === 0 ? undefined : Math.min(...forks);
    const isSame = cursor !== undefined && cursor.birth === this.state.birth;
    let outcome: Outcome = { kind: "joined" };
    if (cursor !== undefined) {
      if (!isSame) outcome = { kind: "reset", why: "birth" };
      else if (fork !== undefined && (cursor.seen ?? cursor.offset) > fork)
        outcome = { kind: "reset", why: "fork", fork };
      else if (known === undefined) outcome = { kind: "reset", why: "member-unknown" };
      else outcome = { kind: "resumed", from: cursor.offset };
    }
    link.life = this.life;
    const start = outcome.kind === "resumed" ? outcome.from : this.state.head;
    if (outcome.kind === "resumed") for (const document of documents) link.follows.add(document);
    link.received = start;
    link.down({
      type: "opened",
      session,
      version: 1,
      features,
      limits: this.limits,
      member,
      incarnation: this.state.members.get(member)?.incarnation ?? 1,
      token: `token of ${member}`,
      birth: this.state.birth,
      outcome,
      start,
      head: this.state.head,
      seq: this.state.seqs.get(member) ?? 0,
      at: this.now,
    });
    if (outcome.kind !== "resumed") link.down({ type: "view", session, view: toView(this.state, member) });
    this.tell(link);
  }

  private commands(link: Link, { seq, commands }: Extract<ClientFrame, { type: "commands" }>): void {
    const { member } = link;
    if (member === undefined) return;
    let next = seq;
    for (const command of commands) {
      const incarnation = this.state.members.get(member)?.incarnation ?? 1;
      const decision = decide(
        this.state,
        { from: { member, incarnation, seq: next }, command },
        (this.now += 1),
        this.inspect,
      );
      this.append(decision.entries);
      for (const { seq: first, count, error } of decision.refusals)
        link.down({ type: "refused", session, seq: first, count, error: toWire(error) });
      next += seqSpan(command);
    }
  }

  // ---- documents ----

  private get updates(): readonly Stored[] {
    return this.log.flatMap((entry) => {
      const document = documentIn(entry);
      if (document === undefined || entry.type !== "messages") return [];
      return entry.items.map((item, index) => ({ document, offset: entry.offset + index, item: item as UpdateItem }));
    });
  }

  /** What a document held at an offset. */
  piecesAt(document: string, upTo: Offset): readonly Piece[] {
    const begun = this.log.findLast(
      (entry) =>
        entry.offset <= upTo &&
        ((entry.type === "document-restored" && entry.document === document) ||
          (entry.type === "resynchronized" &&
            this.updates.some((each) => each.document === document && each.offset <= entry.offset) &&
            this.lineageAt(document, entry.offset) === entry.offset)),
    );
    const base =
      begun?.type === "document-restored"
        ? this.piecesAt(begun.from, begun.point)
        : begun?.type === "resynchronized"
          ? this.piecesAt(document, begun.to)
          : [];
    const later = this.updates.filter(
      (each) => each.document === document && each.offset <= upTo && each.offset > (begun?.offset ?? 0),
    );
    return [...base, ...later.map(({ item }): Piece => ({ format: 1, bytes: item[4] }))];
  }

  private lineageAt(document: string, upTo: Offset): Offset {
    const state = foldAll(
      emptyState(session),
      this.log.filter(({ offset }) => offset <= upTo),
    );
    return state.documents.get(document)?.lineage ?? 0;
  }

  textOf(document = "notes"): string {
    return docOf(this.piecesAt(document, this.state.head)).getText("t").toString();
  }

  private headOf(document: string): Head {
    const lineage = this.state.documents.get(document)?.lineage ?? 0;
    const known = this.heads.get(document);
    if (known?.lineage === lineage) return known;
    const next = new Map<number, number>();
    for (const { document: name, item } of this.updates)
      if (name === document && item[3] === lineage) next.set(item[1], item[2] + 1);
    const head = { lineage, doc: docOf(this.piecesAt(document, this.state.head), false), next };
    this.heads.set(document, head);
    return head;
  }

  private readonly inspect = (
    document: string,
    [, replica, n, , bytes]: UpdateItem,
    _by: MemberId | null,
  ): RostrumError | undefined => {
    const { doc, next } = this.headOf(document);
    const expected = next.get(replica) ?? 0;
    const details = { document, replica, n, known: n < expected };
    if (n !== expected) return new RostrumError("DOCUMENT_GAP", `${n} is not ${expected}`, details);
    if (!fits(doc, bytes)) return new RostrumError("DOCUMENT_GAP", "It builds on what is not there", { document });
    Y.applyUpdate(doc, bytes);
    next.set(replica, n + 1);
    return undefined;
  };

  private answer(
    link: Link,
    { document, lineage, after, vector, point }: Extract<ClientFrame, { type: "document-open" }>,
  ): void {
    const upTo = point ?? this.state.head;
    const present = this.lineageAt(document, upTo);
    const isSame = point === undefined && lineage === present;
    const whole = !isSame || (after === undefined && vector === undefined);
    let parts: readonly Piece[] = this.piecesAt(document, upTo);
    if (isSame && after !== undefined)
      parts = this.updates
        .filter((each) => each.document === document && each.offset > after && each.offset <= upTo)
        .map(({ item }) => ({ format: 1, bytes: item[4] }));
    else if (parts.length > 0) {
      const doc = docOf(parts);
      parts = [{ format: 2, bytes: Y.encodeStateAsUpdateV2(doc, isSame ? vector : undefined) }];
    }
    if (parts.length === 0) parts = [{ format: 1, bytes: new Uint8Array() }];
    const about = { type: "document-state", session, document, lineage: present, upTo, whole } as const;
    parts.forEach(({ format, bytes }, part) => {
      // Small pieces, as for large documents.
      const step = Math.max(1, Math.ceil(bytes.byteLength / 3));
      for (let at = 0; at === 0 || at < bytes.byteLength; at += step) {
        const end = part === parts.length - 1 && at + step >= bytes.byteLength;
        const piece = bytes.slice(at, at + step);
        link.down({
          ...about,
          part,
          format,
          at,
          size: bytes.byteLength,
          bytes: piece,
          end,
          ...(point === undefined ? {} : { point }),
        });
      }
    });
  }
}

/** One connection. */
export class Link {
  member: MemberId | undefined;
  received: Offset = 0;
  /** The life of the log when it was opened. */
  life = 0;
  readonly follows: Set<string> = new Set();
  private readonly frames: ServerFrame[] = [];

  constructor(readonly page: Guest) {}

  down(frame: ServerFrame): void {
    this.frames.push(asInBrowsers(structuredClone(frame)));
  }

  get next(): ServerFrame | undefined {
    return this.frames.shift();
  }
}

/** Binary comes as Socket.IO gives it to a browser. */
const asInBrowsers = <T>(value: T): T => {
  if (value instanceof Uint8Array) return new Uint8Array(value).buffer as T;
  if (Array.isArray(value)) return value.map(asInBrowsers) as T;
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, asInBrowsers(each)])) as T;
};
