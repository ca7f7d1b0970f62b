/**
 * Who listens to a session, and how far each has been told. A connection is a cursor into the log: those who keep up
 * share one frame, encoded once; one that lags reads pages from the log when it has credit again. Nobody has a queue.
 */

import {
  audienceOf,
  type ClosedFrame,
  type Cursor,
  defaultHistory,
  documentIn,
  type Entry,
  forkOf,
  type History,
  hasPrivateParts,
  isPublic,
  type Left,
  lastOffset,
  lastShared,
  type MemberId,
  may,
  type Offset,
  type Outcome,
  type Refusal,
  RostrumError,
  redact,
  type ServerCommand,
  type ServerFrame,
  type SessionId,
  type SessionState,
  type StateRecord,
  type Stored,
  span,
  type Time,
  toView,
  toWire,
} from "@rostrum/protocol";
import { Followers } from "./audience/followers.ts";
import { Recent } from "./audience/recent.ts";
import { bySight, sees } from "./audience/sight.ts";

/** A connection that wants in, once the app has said who it is. */
export interface Arrival<C> {
  readonly connection: C;
  readonly join: Extract<ServerCommand, { type: "join" }>;
  /** Present if the token is genuine: the member and the incarnation it is bound to. */
  readonly resume: { readonly member: MemberId; readonly incarnation: number } | undefined;
  readonly cursor: Cursor | undefined;
  /** Documents that the connection follows from the beginning. */
  readonly documents?: readonly string[];
  readonly history: History | undefined;
  /** Answers whether the connection is still there. */
  readonly accepted: (member: MemberId) => boolean;
  readonly refused: (error: RostrumError) => void;
}

export interface AudienceEffects<C> {
  now(): Time;
  /** Where the log begins. */
  load(done: (result: { readonly first: Offset } | RostrumError) => void): void;
  /** Reads the log after an offset, about `limit` offsets of it. */
  read(after: Offset, limit: number, done: (result: readonly Entry[] | RostrumError) => void): void;
  /** One frame to several connections, encoded once. */
  send(connections: readonly C[], frame: ServerFrame): void;
  /** One frame to everybody who is live, but for those. */
  broadcast(frame: ServerFrame, except: readonly C[]): void;
  /** From now on the connection is (not) among those who get broadcasts. */
  live(connection: C, on: boolean): void;
  /** The session is over for this connection; the frame says why. */
  closed(connection: C, frame: ClosedFrame): void;
  /** Asks for `flush` in so many milliseconds; 0: when this turn is over. Asking again brings it forward, never back. */
  flushIn(milliseconds: number): void;
  /** Signs a resume token. */
  token(member: MemberId, incarnation: number): string;
  /** What goes into `opened` about the conversation as such. */
  terms(connection: C): Pick<Extract<ServerFrame, { type: "opened" }>, "version" | "features" | "limits">;
}

interface Listener<C> {
  readonly connection: C;
  readonly member: MemberId;
  readonly incarnation: number;
  /** What it follows. */
  readonly documents: Set<string>;
  /** Told up to here, if that is further than everybody was. */
  sent: Offset;
  processed: Offset;
  /** What is missing of documents up to here it knows of. */
  readonly thinned: Offset;
  /** It has written documents: its own updates it is told of, whatever it follows. */
  writes: boolean;
  /** `live`: gets broadcasts. `paging`: a page is being read. `stalled`: waits for credit. */
  mode: "live" | "paging" | "stalled";
}

const pageOffsets = 1_000;
/**
 * While several members speak at once, what they say is gathered for this long: each broadcast costs the same, whatever is
 * in it (one display frame, so that nobody sees it). A single speaker's messages go out at once, as nothing would be gathered with them. Milliseconds.
 */
const gather = 16;
/** What several write into documents waits for two frames: it has been gathered by its writers already, and is read by many. */
const gatherUpdates = 33;
/** Several speak at once if two different ones spoke within this time. */
const together = 25;

/** Comings and goings can wait a little: half a millisecond for each who has to be told, half a second at most. */
const isHurried = (entry: Entry): boolean =>
  !(entry.type === "joined" || entry.type === "resumed" || entry.type === "dropped" || entry.type === "left");

/** The last offset in `(after, upTo]` that the page lacks, as far as it goes; 0: it lacks none. */
const lastLacking = (page: readonly Entry[], after: Offset, upTo: Offset): Offset => {
  let lacking = 0;
  let next = after + 1;
  for (const { offset, last } of page.map((entry) => ({ offset: entry.offset, last: lastOffset(entry) }))) {
    if (next > upTo) break;
    if (offset > next) lacking = Math.min(offset - 1, upTo);
    next = last + 1;
  }
  return lacking;
};

export class Audience<C> {
  private readonly listeners = new Map<C, Listener<C>>();
  private readonly byMember = new Map<MemberId, Listener<C>>();
  /** Incarnations that were confirmed by a first frame: from then on an older token is no longer good. */
  private readonly confirmed = new Map<MemberId, number>();
  private readonly log = new Recent();
  private readonly followers = new Followers<Listener<C>>();
  private head: Offset = 0;
  /** Everybody live has been told up to here. */
  private told: Offset = 0;
  private flushed: Time = 0;
  /** Lowest offset still in the log. */
  first: Offset = 1;
  /** Up to here the log may lack updates of documents. */
  private thinned: Offset = 0;

  constructor(
    private readonly session: SessionId,
    private readonly effects: AudienceEffects<C>,
  ) {}

  get size(): number {
    return this.listeners.size;
  }

  has(member: MemberId): boolean {
    return this.byMember.has(member);
  }

  begin(first: Offset, { head, thinned }: SessionState): void {
    this.first = first;
    this.thinned = thinned;
    this.head = this.told = head;
    this.log.begin(head);
  }

  trimmed(below: Offset): void {
    this.first = below;
  }

  /** The member's highest incarnation that is known to have got its token; 0 for none. */
  confirmedOf(member: MemberId, state: SessionState): number {
    return Math.max(this.confirmed.get(member) ?? 0, state.members.get(member)?.confirmed ?? 0);
  }

  /** The connection has sent something: its token arrived. Answers whom it speaks for, if it still does. */
  confirm(connection: C): { member: MemberId; incarnation: number } | undefined {
    const listener = this.listeners.get(connection);
    if (listener === undefined) return undefined;
    this.confirmed.set(listener.member, listener.incarnation);
    return { member: listener.member, incarnation: listener.incarnation };
  }

  memberOf(connection: C): MemberId | undefined {
    return this.listeners.get(connection)?.member;
  }

  connectionsOf(members: readonly MemberId[]): readonly C[] {
    return members.flatMap((member) => this.byMember.get(member)?.connection ?? []);
  }

  /** What is at hand of the log behind an offset. */
  recent(after: Offset): readonly Entry[] | undefined {
    return this.log.since(after);
  }

  rolesOf(connection: C, { members }: SessionState): readonly string[] | undefined {
    const listener = this.listeners.get(connection);
    return listener === undefined ? undefined : (members.get(listener.member)?.roles ?? []);
  }

  /** The documents that the connection follows. */
  followed(connection: C): ReadonlySet<string> {
    return this.listeners.get(connection)?.documents ?? new Set();
  }

  follow(connection: C, document: string): void {
    const listener = this.listeners.get(connection);
    if (listener !== undefined) this.followers.follow(listener, document);
  }

  unfollow(connection: C, document: string): void {
    const listener = this.listeners.get(connection);
    if (listener !== undefined) this.followers.unfollow(listener, document);
  }

  /** Others may read now: who may no longer follows no longer. */
  private readAnew({ config, members }: SessionState): void {
    for (const listener of this.listeners.values()) {
      const roles = members.get(listener.member)?.roles ?? [];
      for (const document of [...listener.documents])
        if (!may(config, roles, "read", document)) this.followers.unfollow(listener, document);
    }
  }

  /** One frame to who follows a document and is live, but for its sender; `to`: of those, only these members. */
  tellFollowers(document: string, frame: ServerFrame, sender?: C, to?: readonly MemberId[]): void {
    const followers = this.followers.of(document);
    if (to === undefined && followers.size === this.listeners.size)
      return this.effects.broadcast(frame, sender === undefined ? [] : [sender]);
    const connections: C[] = [];
    for (const { connection, member, mode } of followers) {
      if (mode === "live" && connection !== sender && (to?.includes(member) ?? true)) connections.push(connection);
    }
    this.effects.send(connections, frame);
  }

  all(): readonly C[] {
    return [...this.listeners.keys()];
  }

  /** Welcomes a member: says how it was taken up, then what it missed. */
  admit(arrival: Arrival<C>, member: MemberId, incarnation: number, state: SessionState): void {
    const { connection, cursor } = arrival;
    const { outcome, start } = this.outcomeOf(arrival, member, state);
    // Else documents are asked for anyhow.
    const isLacking = outcome.kind === "resumed" && start < state.thinned;
    // Near the end all is at hand, and is what it gets; should it get something else after all, it is let go.
    const isAtHand = isLacking && state.head - start <= pageOffsets / 2 && this.log.since(start) !== undefined;
    const opened: ServerFrame = {
      type: "opened",
      session: this.session,
      ...this.effects.terms(connection),
      member,
      incarnation,
      token: this.effects.token(member, incarnation),
      birth: state.birth,
      outcome,
      start,
      head: state.head,
      ...(isLacking && !isAtHand ? { thinned: state.thinned } : {}),
      seq: state.seqs.get(member) ?? 0,
      at: this.effects.now(),
    };
    const listener: Listener<C> = {
      connection,
      member,
      incarnation,
      documents: new Set(),
      sent: start,
      processed: cursor?.offset ?? start,
      thinned: isAtHand ? start : state.thinned,
      writes: false,
      mode: "paging",
    };
    if (listener.processed > start) listener.processed = start;
    this.supersede(member, incarnation);
    this.listeners.set(connection, listener);
    const roles = state.members.get(member)?.roles ?? [];
    for (const document of arrival.documents ?? [])
      if (may(state.config, roles, "read", document)) this.followers.follow(listener, document);
    this.byMember.set(member, listener);
    this.effects.send([connection], opened);
    this.arrivals.push({ listener, view: outcome.kind !== "resumed" });
    this.effects.flushIn(0);
  }

  private arrivals: { readonly listener: Listener<C>; readonly view: boolean }[] = [];

  private outcomeOf(
    { cursor, resume, history }: Arrival<C>,
    member: MemberId,
    state: SessionState,
  ): { readonly outcome: Outcome; readonly start: Offset } {
    const lowest = this.first - 1;
    if (cursor === undefined) return { outcome: { kind: "joined" }, start: this.historyStart(history, state) };
    const { birth, offset: from, seen = 0, epochs = [] } = cursor;
    if (birth !== state.birth)
      return { outcome: { kind: "reset", why: "birth" }, start: this.historyStart(history, state) };
    const fork = forkOf(state.epochs, state.head, Math.max(from, seen), epochs);
    if (fork !== undefined)
      return { outcome: { kind: "reset", why: "fork", fork }, start: this.historyStart(history, state) };
    if (resume?.member === member) {
      if (from >= lowest) return { outcome: { kind: "resumed", from }, start: from };
      return { outcome: { kind: "snapshot", from, gap: { from: from + 1, to: lowest } }, start: lowest };
    }
    const start = this.historyStart(history, state);
    const gap = from < start ? { gap: { from: from + 1, to: start } } : {};
    return { outcome: { kind: "reset", why: "member-unknown", ...gap }, start: Math.max(from, start) };
  }

  /** Where the history begins that a newcomer gets. */
  private historyStart(wanted: History | undefined, { config, sync, head }: SessionState): Offset {
    const offered = config.history;
    const asked = wanted ?? offered;
    const lowest = this.first - 1;
    if ("since" in asked) {
      const point =
        asked.since === "state" ? lastShared(sync) : sync.points.findLast(({ status }) => status !== "void");
      // Without a state to take up, what was offered anyhow is the best there is.
      if (point !== undefined || asked.since === "sync-point") return Math.max(lowest, point?.offset ?? head);
    }
    const most = "last" in offered ? offered.last : Infinity;
    const last = "last" in asked ? Math.min(asked.last, most) : Math.min(most, defaultHistory.last);
    return Math.max(lowest, this.log.lastMessages(last, head));
  }

  /** A newer incarnation was taken up, here or on another node: the older connection has nothing to say any more. */
  supersede(member: MemberId, incarnation: number): void {
    const older = this.byMember.get(member);
    if (older === undefined || older.incarnation >= incarnation) return;
    this.close(
      older,
      new RostrumError("REPLACED", "The member was taken up by another connection; this one was closed.", {
        incarnation,
      }),
    );
  }

  /** The member has left: what it has not been told, it is told before its connection is let go. */
  expel({ member, how, reason }: Left): void {
    const listener = this.byMember.get(member);
    this.confirmed.delete(member);
    if (listener === undefined) return;
    this.leaving.push([
      listener,
      new RostrumError("CLOSED", `The member has left the session: ${how}.`, { how, reason: reason ?? null }),
    ]);
  }

  private leaving: (readonly [Listener<C>, RostrumError])[] = [];

  private close(listener: Listener<C>, error: RostrumError, retryAfter?: number): void {
    this.dismiss(listener.connection);
    this.effects.closed(listener.connection, {
      type: "closed",
      session: this.session,
      error: toWire(error),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
  }

  /** Lets one connection go. One whose member has just left is let go with the next flush, when it has been told why. */
  drop(connection: C, error: RostrumError): void {
    const listener = this.listeners.get(connection);
    if (listener !== undefined && !this.leaving.some(([each]) => each === listener)) this.close(listener, error);
  }

  /** Forgets a connection. Answers whose it was. */
  dismiss(connection: C): { readonly member: MemberId; readonly incarnation: number } | undefined {
    const listener = this.listeners.get(connection);
    if (listener === undefined) return undefined;
    this.listeners.delete(connection);
    this.followers.forget(listener);
    if (this.byMember.get(listener.member) === listener) this.byMember.delete(listener.member);
    if (listener.mode === "live") this.effects.live(connection, false);
    return listener;
  }

  disband(error: RostrumError): void {
    for (const listener of [...this.listeners.values()]) this.close(listener, error);
  }

  refuse(connection: C, { seq, count, error }: Refusal): void {
    if (!this.listeners.has(connection)) return;
    this.effects.send([connection], { type: "refused", session: this.session, seq, count, error: toWire(error) });
  }

  /** Tells a member of something that concerns none of its commands. */
  warn(member: MemberId, error: RostrumError): void {
    const listener = this.byMember.get(member);
    if (listener !== undefined) this.refuse(listener.connection, { seq: 0, count: 0, error });
  }

  /** Tells a member where the log ends, and everything up to there if it is not behind. */
  renewed(connection: C, n: number, head: Offset): void {
    const listener = this.listeners.get(connection);
    if (listener === undefined) return;
    const after = Math.max(listener.sent, this.told);
    const page = listener.mode === "live" && after < this.head ? this.log.since(after) : undefined;
    if (page !== undefined) {
      const entries = page.filter((entry) => sees(listener, entry));
      this.effects.send([connection], { type: "entries", session: this.session, after, upTo: this.head, entries });
      listener.sent = this.head;
    }
    this.effects.send([connection], {
      type: "renewed",
      session: this.session,
      n,
      head,
      at: this.effects.now(),
    });
  }

  /** New entries are in the log. */
  extend(entries: readonly Entry[], state: SessionState): void {
    this.head = state.head;
    this.thinned = state.thinned;
    this.log.extend(entries, this.head, this.told);
    if (entries.some(({ type }) => type === "configured")) this.readAnew(state);
    if (this.listeners.size === 0) {
      this.told = this.head;
      return;
    }
    this.noteWriters(entries);
    const wait = entries.some(isHurried)
      ? Math.max(this.gathering(entries), this.crowd(entries))
      : Math.min(500, this.listeners.size / 2);
    this.due = Math.min(this.due, this.effects.now() + wait);
    this.effects.flushIn(wait < 1 ? 0 : wait);
  }

  private noteWriters(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.type !== "messages" || entry.by === null || documentIn(entry) === undefined) continue;
      const listener = this.byMember.get(entry.by);
      if (listener !== undefined) listener.writes = true;
    }
  }

  /** When everybody live is to be told of what is new. */
  private due: Time = Infinity;

  private speaker: { readonly member: MemberId | null; readonly at: Time } = { member: null, at: 0 };
  private severalUntil: Time = 0;

  /** How long to wait for others who are speaking too. */
  private gathering(entries: readonly Entry[]): number {
    const now = this.effects.now();
    for (const entry of entries) {
      if (entry.type !== "messages" || entry.by === null) continue;
      if (this.speaker.member !== null && entry.by !== this.speaker.member && now - this.speaker.at < together) {
        this.severalUntil = now + 2 * together;
      }
      this.speaker = { member: entry.by, at: now };
    }
    const window = entries.every((entry) => documentIn(entry) !== undefined) ? gatherUpdates : gather;
    return now < this.severalUntil ? Math.max(0, this.flushed + window - now) : 0;
  }

  /** Telling a crowd of a floor takes longer than this wait, in which more about the floor may come together. */
  private crowd(entries: readonly Entry[]): number {
    const { size } = this.listeners;
    return size < 200 || !entries.every((entry) => "floor" in entry) ? 0 : Math.min(gather, size / 100);
  }

  /** Tells everybody what is new, then those who just came what they missed. */
  flush(state: SessionState): void {
    if (this.told < this.head && this.listeners.size > 0) {
      // Somebody's arrival may bring us here before the others' time has come. Timers may be a little early.
      const wait = this.due - this.effects.now();
      if (wait < 1) this.tell();
      else if (wait !== Infinity) this.effects.flushIn(wait);
    }
    this.receive(state);
    for (const [listener, error] of this.leaving.splice(0)) {
      if (this.listeners.get(listener.connection) === listener) this.close(listener, error);
    }
    if (state.ended !== null) {
      const { at, reason = null } = state.ended;
      this.disband(
        new RostrumError("SESSION_ENDED", `The session ended: ${reason ?? "no reason given"}.`, { at, reason }),
      );
    }
  }

  private tell(): void {
    this.due = Infinity;
    const page = this.log.since(this.told) ?? [];
    const partial = this.followers.notOfAll(page, this.listeners.size);
    const shared = page.filter(
      (entry) => isPublic(entry) && (partial.size === 0 || !partial.has(documentIn(entry) ?? "")),
    );
    const [first] = shared;
    const ahead = this.tellSome(page, partial);
    const nothingShared = shared.length === 0 && (ahead.length > 0 || partial.size > 0);
    if (nothingShared && this.head - this.told < pageOffsets && !this.log.isHeavy) {
      // Only some were concerned. The others are told how far they are with the next thing that concerns them.
      return;
    }
    const sole =
      first?.type === "messages" &&
      first.by !== null &&
      shared.length === page.length &&
      page.every((entry) => entry.type === "messages" && entry.by === first.by)
        ? this.byMember.get(first.by)
        : undefined;
    const span = { session: this.session, after: this.told, upTo: this.head } as const;
    // Worth a frame of its own only if there is a payload to save.
    const bulky = page.length > 8 || page.some((entry) => entry.type === "messages" && entry.items.length > 8);
    if (sole?.mode === "live" && bulky) {
      const stored = page.flatMap((entry): readonly Stored[] =>
        entry.type === "messages" && entry.seq !== undefined
          ? [{ seq: entry.seq, count: entry.items.length, offset: entry.offset, at: entry.at }]
          : [],
      );
      this.effects.send([sole.connection], { type: "stored", ...span, stored });
      ahead.push(sole.connection);
    }
    if (this.listeners.size > ahead.length)
      this.effects.broadcast({ type: "entries", ...span, entries: shared }, ahead);
    this.told = this.head;
    this.flushed = this.effects.now();
    this.checkCredit();
  }

  /** Entries that not everybody is told of go to those concerned, with all that lies between; `partial`: documents not followed by all. */
  private tellSome(page: readonly Entry[], partial: ReadonlySet<string>): C[] {
    const concerned = new Set<Listener<C>>();
    for (const entry of page) {
      const document = documentIn(entry);
      if (document !== undefined) {
        if (!partial.has(document)) continue;
        for (const listener of this.followers.of(document)) if (listener.mode === "live") concerned.add(listener);
      }
      const audience =
        document === undefined
          ? audienceOf(entry)
          : entry.type === "messages" && entry.by !== null
            ? [entry.by]
            : "none";
      if (audience === "all" || audience === "none") continue;
      for (const member of audience) {
        const listener = this.byMember.get(member);
        if (listener?.mode === "live") concerned.add(listener);
      }
    }
    const standing = new Map<Offset, Listener<C>[]>();
    for (const listener of concerned) {
      const after = Math.max(listener.sent, this.told);
      const group = standing.get(after);
      if (after === this.head) continue;
      if (group === undefined) standing.set(after, [listener]);
      else group.push(listener);
    }
    for (const [after, group] of standing) {
      const news = page.filter((entry) => lastOffset(entry) > after);
      for (const { viewers, entries } of bySight(group, news)) {
        if (entries.length === 0) continue;
        const to = viewers.map(({ connection }) => connection);
        this.effects.send(to, { type: "entries", session: this.session, after, upTo: this.head, entries });
        for (const listener of viewers) listener.sent = this.head;
      }
    }
    return [...concerned].flatMap(({ sent, connection }) => (sent === this.head ? [connection] : []));
  }

  private receive(state: SessionState): void {
    const arrivals = this.arrivals
      .splice(0)
      .filter(({ listener }) => this.listeners.get(listener.connection) === listener);
    const newcomers = arrivals.filter(({ view }) => view).map(({ listener }) => listener);
    const show = (to: readonly Listener<C>[], view: StateRecord): void => {
      const frame: ServerFrame = { type: "view", session: this.session, view };
      if (to.length > 0)
        this.effects.send(
          to.map(({ connection }) => connection),
          frame,
        );
    };
    if (hasPrivateParts(state)) for (const each of newcomers) show([each], toView(state, each.member));
    else show(newcomers, toView(state));
    // Those who missed the same get the same page, encoded once.
    const groups = new Map<Offset, Listener<C>[]>();
    for (const { listener } of arrivals) {
      const group = groups.get(listener.sent);
      if (group === undefined) groups.set(listener.sent, [listener]);
      else group.push(listener);
    }
    for (const [after, group] of groups) {
      const cached = this.log.since(after);
      // What is hidden from members costs nothing, however many offsets it takes.
      const weigh = (entry: Entry): number =>
        isPublic(entry) && (documentIn(entry) === undefined || group.some((each) => sees(each, entry)))
          ? span(entry)
          : 0;
      const weight = cached?.reduce((sum, entry) => sum + weigh(entry), 0) ?? Infinity;
      const entries = weight <= pageOffsets ? cached : undefined;
      if (entries === undefined) for (const listener of group) this.page(listener);
      else this.deliver(group, after, entries, this.head);
    }
  }

  /** Gives a page to listeners who stand at `after`, and makes them live if it brought them up to the head. */
  private deliver(group: readonly Listener<C>[], after: Offset, entries: readonly Entry[], upTo: Offset): void {
    for (const { viewers, entries: seen } of bySight(group, entries)) {
      const to = viewers.map(({ connection }) => connection);
      this.effects.send(to, { type: "entries", session: this.session, after, upTo, entries: seen });
    }
    for (const listener of group) listener.sent = upTo;
    for (const listener of group) this.proceed(listener);
  }

  private proceed(listener: Listener<C>): void {
    if (listener.sent >= this.told) {
      if (listener.mode !== "live") {
        listener.mode = "live";
        this.effects.live(listener.connection, true);
        if (listener.sent < this.head) this.effects.flushIn(0);
      }
    } else if (this.owes(listener)) listener.mode = "stalled";
    else this.page(listener);
  }

  private owes(listener: Listener<C>): boolean {
    return listener.sent - listener.processed > this.effects.terms(listener.connection).limits.creditEntries;
  }

  private page(listener: Listener<C>): void {
    listener.mode = "paging";
    const { sent } = listener;
    this.effects.read(sent, pageOffsets, (result) => {
      if (this.listeners.get(listener.connection) !== listener || listener.mode !== "paging") return;
      if (result instanceof RostrumError) return this.close(listener, result, 1_000);
      const [first] = result;
      if (first === undefined || first.offset > sent + 1) this.findOut(listener, result);
      else this.turn(listener, result);
    });
  }

  /** The page begins behind what was asked for: was the log thinned there, or did somebody cut it? */
  private findOut(listener: Listener<C>, page: readonly Entry[]): void {
    this.effects.load((loaded) => {
      if (this.listeners.get(listener.connection) !== listener || listener.mode !== "paging") return;
      if (loaded instanceof RostrumError) return this.close(listener, loaded, 1_000);
      if (page.length > 0 && loaded.first <= listener.sent + 1) return this.turn(listener, page);
      // Somebody trimmed the log under us. Coming back, the member is told exactly what is missing.
      this.first = Math.max(this.first, loaded.first);
      const error = new RostrumError("SERVER_BUSY", "The log was trimmed while it was read for you. Resume again.");
      this.close(listener, error, 0);
    });
  }

  /** Gives a page to one who stands where it begins, if what it lacks is known to be only updates of documents. */
  private turn(listener: Listener<C>, page: readonly Entry[]): void {
    const { sent } = listener;
    const lacking = lastLacking(page, sent, this.head);
    if (lacking > this.thinned) {
      // Another node is ahead of what was read here. What it says of this place is known in a moment.
      const error = new RostrumError("SERVER_BUSY", "The log was changed while it was read for you. Resume again.");
      return this.close(listener, error, 200);
    }
    if (lacking > listener.thinned && (listener.documents.size > 0 || listener.writes)) {
      const error = new RostrumError(
        "SERVER_BUSY",
        "The log was thinned of documents' updates while it was read for you. Resume again.",
      );
      return this.close(listener, error, 0);
    }
    const entries = page.filter((entry) => lastOffset(entry) <= this.head).map(redact);
    const last = entries.at(-1);
    this.deliver([listener], sent, entries, last === undefined ? this.head : lastOffset(last));
  }

  /** The member has processed everything up to here: it may be sent as much again. */
  processed(connection: C, offset: Offset): void {
    const listener = this.listeners.get(connection);
    if (listener === undefined) return;
    this.confirm(connection);
    if (offset <= listener.processed || offset > this.head) return;
    listener.processed = offset;
    if (listener.mode === "stalled" && !this.owes(listener)) this.page(listener);
  }

  private creditChecked: Offset = 0;

  /** Who is too far behind leaves the broadcasts; the log is its buffer. Looked at now and then, not at each frame. */
  private checkCredit(): void {
    const [some] = this.listeners.values();
    if (some === undefined) return;
    const { creditEntries } = this.effects.terms(some.connection).limits;
    if (this.told - this.creditChecked < creditEntries / 4) return;
    this.creditChecked = this.told;
    for (const listener of this.listeners.values()) {
      if (listener.mode !== "live" || this.told - listener.processed <= creditEntries) continue;
      listener.mode = "stalled";
      listener.sent = Math.max(listener.sent, this.told);
      this.effects.live(listener.connection, false);
    }
  }
}
