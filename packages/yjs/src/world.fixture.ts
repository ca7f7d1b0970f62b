/**
 * A world for the documents' tests: the real protocol and the real engine around a server that keeps everything in memory. Time,
 * disks and the network do what a test says, and nothing else.
 */

import { Engine, readRecord } from "@rostrum/client/internal";
import {
  type ClientFrame,
  decide,
  defaultConfig,
  defaultLimits,
  documentEvent,
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
  type SessionState,
  seqSpan,
  sessionId,
  toView,
  toWire,
  type UpdateItem,
  userId,
} from "@rostrum/protocol";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { DocBinding, DocOptions, Replaced } from "./binding.ts";
import { docOf, fits } from "./copy.ts";
import { Documents } from "./documents.ts";
import type { Effects, Piece, Transaction } from "./terms.ts";

const session = sessionId("s");

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
class Link {
  member: MemberId | undefined;
  received: Offset = 0;
  /** The life of the log when it was opened. */
  life = 0;
  readonly follows: Set<string> = new Set();
  private readonly frames: ServerFrame[] = [];

  constructor(readonly page: Page) {}

  down(frame: ServerFrame): void {
    this.frames.push(structuredClone(frame));
  }

  get next(): ServerFrame | undefined {
    return this.frames.shift();
  }
}

type Values = Map<string, unknown>;

/** A device's disk: scopes of values. What is written in order is written as a whole; a page that dies leaves the rest undone. */
export class Drive {
  readonly scopes: Map<string, Values> = new Map();
  /** Nothing is done until this is over. */
  isSlow = false;
  /** The life of the log that the session's record here belongs to. */
  life = 1;
  /** Answers with an error from here on. */
  fails = false;
  private queue: (() => void)[] = [];

  scope(name: string): Values {
    const values = this.scopes.get(name) ?? new Map<string, unknown>();
    this.scopes.set(name, values);
    return values;
  }

  commit(name: string, { set, remove }: Transaction, done: (error?: unknown) => void): void {
    const write = (): void => {
      if (this.fails) return done(new Error("no space"));
      const values = this.scope(name);
      for (const key of remove) values.delete(key);
      for (const [key, value] of set) values.set(key, structuredClone(value));
      done();
    };
    if (this.isSlow) this.queue.push(write);
    else write();
  }

  /** So many of the transactions that wait are done. */
  step(count: number = Infinity): void {
    for (const write of this.queue.splice(0, count)) write();
  }

  get waiting(): number {
    return this.queue.length;
  }

  /** The page dies. What has not been written never is. */
  die(): void {
    this.queue = [];
    this.isSlow = false;
  }
}

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** One life of a page, on a drive. */
export class Page {
  readonly engine: Engine;
  readonly documents: Documents;
  readonly warnings: RostrumError[] = [];
  readonly replaced: Replaced[] = [];
  readonly sent: ClientFrame[] = [];
  now = 0;
  life = 0;
  joins = 0;
  user = "u";
  roles: readonly string[] = ["member"];
  isDead = false;
  private deferred: (() => void)[] = [];
  private readonly timers = new Set<Timer>();
  private readonly leaving = new Set<() => void>();
  private readonly hearers = new Map<string, Set<(from: MemberId | null, args: readonly unknown[]) => void>>();
  private readonly heard = new WeakSet<DocBinding>();
  private link: Link | undefined;

  constructor(
    readonly hall: Hall,
    readonly name: string,
    readonly drive: Drive = new Drive(),
    options: { readonly outboxCommands?: number } = {},
  ) {
    this.life = drive.life;
    this.engine = new Engine(
      {
        session,
        history: undefined,
        required: [],
        outboxCommands: options.outboxCommands ?? 1_000,
        outboxBytes: 10_000_000,
        keepsState: false,
        checkpointEntries: 100,
        checkpointBytes: 1e6,
        checkpointTime: 1e9,
        pointStates: 4,
        secureMessages: 1_000,
        secureBytes: 1e6,
        confirms: true,
      },
      {
        now: () => this.now,
        send: (frames) => {
          this.sent.push(...frames);
          for (const frame of frames) this.up(frame);
        },
        commit: (transaction, done) => {
          const { life } = this;
          this.drive.commit("session", transaction, (error) => {
            if (error === undefined) this.drive.life = life;
            done(error === undefined ? undefined : new RostrumError("STORAGE_FAILED", String(error)));
          });
        },
        deliver: (_entry, _replayed, done) => done(),
        checkpoint: () => undefined,
        restore: () => {},
        fetchState: (_, done) => done(undefined),
        wentBack: () => {},
        reached: () => {},
        defer: (then) => void this.deferred.push(then),
        alarm: () => {},
        changed: () => this.documents?.changed(),
        resumed: () => {},
        holding: () => {},
        folded: () => {},
        refused: (error, command) => {
          if (command.type !== "messages") return;
          for (const item of command.items) this.documents.refused(item as UpdateItem, error);
        },
        volatile: (from, event, args) => {
          for (const hear of this.hearers.get(event) ?? []) hear(from, args);
        },
        warn: (error) => void this.warnings.push(error),
        auth: (_, done) => done(undefined),
        reconnect: () => {},
        doubt: () => {},
        newInstance: () => "i",
      },
    );
    const { engine } = this;
    this.documents = new Documents(
      {
        state: () => engine.state,
        self: () => engine.member,
        limits: () => engine.limits,
        features: () => engine.features,
        isLive: () => engine.phase.kind === "live",
        received: () => engine.received,
        holds: (floor) => engine.grantOn(floor) !== undefined,
        update: (item) => engine.update(item),
        undecided: () =>
          engine.outbox
            .all()
            .flatMap(({ command }) => (command.type === "messages" ? (command.items as unknown as UpdateItem[]) : [])),
        command: () => {
          throw new Error("not in this world");
        },
        volatile: (event, args, to) => engine.sendVolatile(event, args, to),
        send: (frame) => {
          const whole = { ...frame, session } as ClientFrame;
          this.sent.push(whole);
          this.up(whole);
        },
        keep: () => Promise.reject(new Error("not in this world")),
        warn: (error) => void this.warnings.push(error),
      },
      this.effects,
      () => Promise.reject(new Error("not in this world")),
    );
    engine.extension = this.documents;
    engine.load(readRecord(new Map(this.drive.scope("session"))));
  }

  private get effects(): Effects {
    return {
      defer: (run) => void this.deferred.push(run),
      after: (milliseconds, run) => {
        const timer = { at: this.now + milliseconds, run };
        this.timers.add(timer);
        return () => void this.timers.delete(timer);
      },
      now: () => this.now,
      keep: (name, done) =>
        done({
          load: (loaded) => loaded(structuredClone(this.drive.scope(`doc/${name}`))),
          commit: (transaction, committed) => this.drive.commit(`doc/${name}`, transaction, committed),
        }),
      awareness: (doc) => {
        const awareness = new Awareness(doc);
        // Its clock is not this world's.
        clearInterval((awareness as unknown as { _checkInterval: ReturnType<typeof setInterval> })._checkInterval);
        return awareness;
      },
      away: (listener) => {
        this.leaving.add(listener);
        return () => void this.leaving.delete(listener);
      },
      hear: (event, listener) => {
        const all = this.hearers.get(event) ?? new Set();
        this.hearers.set(event, all.add(listener));
        return () => void all.delete(listener);
      },
      warn: (error) => void this.warnings.push(error),
    };
  }

  bind(name = "notes", options: DocOptions = {}): DocBinding {
    const binding = this.documents.bind(name, options);
    if (this.heard.has(binding)) return binding;
    this.heard.add(binding);
    binding.on("replaced", (event) => void this.replaced.push(event));
    return binding;
  }

  private up(frame: ClientFrame): void {
    if (this.link !== undefined) this.hall.frame(this.link, structuredClone(frame));
  }

  /** Is connected, and everything that follows from it has happened. */
  connect(): this {
    this.link = new Link(this);
    this.hall.links.add(this.link);
    this.engine.connect();
    return this.settle();
  }

  /** The connection is gone, and what was on it. */
  drop(): this {
    if (this.link !== undefined) this.hall.links.delete(this.link);
    this.link = undefined;
    this.engine.disconnect();
    return this;
  }

  /** Nothing that comes to this page is taken any more, though it is sent. */
  deafen(): void {
    const { link } = this;
    if (link !== undefined) this.hall.links.delete(link);
  }

  /** One thing happens here, if there is something. */
  step(): boolean {
    if (this.isDead) return false;
    const [then] = this.deferred.splice(0, 1);
    if (then !== undefined) {
      then();
      return true;
    }
    const frame = this.link?.next;
    if (frame === undefined) return false;
    const { link } = this;
    // A view that is lost on the way leaves us what we were.
    const before = this.life;
    if (frame.type === "view" || (frame.type === "opened" && frame.outcome.kind === "resumed"))
      this.life = link?.life ?? before;
    this.engine.frame(frame);
    return true;
  }

  /** Everything happens that does not need time. */
  settle(): this {
    run(this, ...[...this.hall.links].map(({ page }) => page));
    return this;
  }

  /** Time goes by for this page. */
  wait(milliseconds: number): this {
    const end = this.now + milliseconds;
    for (;;) {
      const due = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers.delete(due);
      this.now = Math.max(this.now, due.at);
      due.run();
      this.settle();
    }
    this.now = end;
    return this.settle();
  }

  get alarms(): number {
    return this.timers.size;
  }

  /** It is about to be hidden. */
  hide(): this {
    for (const listener of this.leaving) listener();
    return this.settle();
  }

  /** It dies without a word. */
  die(): Drive {
    this.drop();
    this.isDead = true;
    this.drive.die();
    return this.drive;
  }
}

/** Until nothing happens any more. */
export const run = (...pages: readonly Page[]): void => {
  for (let more = true; more; ) {
    more = false;
    for (const page of pages) while (page.step()) more = true;
  }
};

export const textOf = ({ doc }: Pick<DocBinding, "doc">): string => doc.getText("t").toString();

export const typeInto = ({ doc }: Pick<DocBinding, "doc">, text: string, at: number = doc.getText("t").length): void =>
  doc.getText("t").insert(at, text);

export const updatesSent = ({ sent }: Page): readonly UpdateItem[] =>
  sent.flatMap((frame) =>
    frame.type === "commands"
      ? frame.commands.flatMap((command) =>
          command.type === "messages"
            ? (command.items.filter(([event]) => event === documentEvent("notes")) as unknown as UpdateItem[])
            : [],
        )
      : [],
  );
