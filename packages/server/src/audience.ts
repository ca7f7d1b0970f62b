/**
 * Who listens to a session, and how far each has been told. A connection is a cursor into the log: those who keep up
 * share one frame, encoded once; one that lags reads pages from the log when it has credit again. Nobody has a queue.
 */

import {
  audienceOf,
  type ClosedFrame,
  type Cursor,
  defaultHistory,
  type EntriesFrame,
  type Entry,
  forkOf,
  type History,
  hasPrivateParts,
  isPublic,
  isVisible,
  type Left,
  lastOffset,
  lastShared,
  type MemberId,
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

/** A connection that wants in, once the app has said who it is. */
export interface Arrival<C> {
  readonly connection: C;
  readonly join: Extract<ServerCommand, { type: "join" }>;
  /** Present if the token is genuine: the member and the incarnation it is bound to. */
  readonly resume: { readonly member: MemberId; readonly incarnation: number } | undefined;
  readonly cursor: Cursor | undefined;
  readonly history: History | undefined;
  /** Answers whether the connection is still there. */
  readonly accepted: (member: MemberId) => boolean;
  readonly refused: (error: RostrumError) => void;
}

export interface AudienceEffects<C> {
  now(): Time;
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
  /** Told up to here, if that is further than everybody was. */
  sent: Offset;
  processed: Offset;
  /** `live`: gets broadcasts. `paging`: a page is being read. `stalled`: waits for credit. */
  mode: "live" | "paging" | "stalled";
}

/** How many offsets of the log are kept at hand for those who come back. */
const cacheOffsets = 4_000;
const pageOffsets = 1_000;
/**
 * While several members speak at once, what they say is gathered for this long: each broadcast costs the same, whatever is
 * in it (one display frame, so that nobody sees it). A single speaker's messages go out at once, as nothing would be gathered with them. Milliseconds.
 */
const gather = 16;
/** Several speak at once if two different ones spoke within this time. */
const together = 25;

/** Comings and goings can wait a little: half a millisecond for each who has to be told, half a second at most. */
const isHurried = (entry: Entry): boolean =>
  !(entry.type === "joined" || entry.type === "resumed" || entry.type === "dropped" || entry.type === "left");

export class Audience<C> {
  private readonly listeners = new Map<C, Listener<C>>();
  private readonly byMember = new Map<MemberId, Listener<C>>();
  /** Incarnations that were confirmed by a first frame: from then on an older token is no longer good. */
  private readonly confirmed = new Map<MemberId, number>();
  private cache: Entry[] = [];
  /** The cache holds everything after this. */
  private cacheAfter: Offset = 0;
  private head: Offset = 0;
  /** Everybody live has been told up to here. */
  private told: Offset = 0;
  private flushed: Time = 0;
  /** Lowest offset still in the log. */
  first: Offset = 1;

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

  begin(first: Offset, head: Offset): void {
    this.first = first;
    this.head = this.told = this.cacheAfter = head;
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

  all(): readonly C[] {
    return [...this.listeners.keys()];
  }

  /** Welcomes a member: says how it was taken up, then what it missed. */
  admit(arrival: Arrival<C>, member: MemberId, incarnation: number, state: SessionState): void {
    const { connection, cursor } = arrival;
    const { outcome, start } = this.outcomeOf(arrival, member, state);
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
      seq: state.seqs.get(member) ?? 0,
      at: this.effects.now(),
    };
    const listener: Listener<C> = {
      connection,
      member,
      incarnation,
      sent: start,
      processed: cursor?.offset ?? start,
      mode: "paging",
    };
    if (listener.processed > start) listener.processed = start;
    this.supersede(member, incarnation);
    this.listeners.set(connection, listener);
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
    return Math.max(lowest, this.lastMessages(last, head));
  }

  /** Where the last `count` messages begin, as far as they are at hand. */
  private lastMessages(count: number, head: Offset): Offset {
    let left = count;
    for (let index = this.cache.length - 1; index >= 0 && left > 0; index -= 1) {
      const entry = this.cache[index];
      if (entry?.type === "messages") {
        left -= entry.items.length;
        if (left <= 0) return entry.offset - 1 - Math.min(0, left);
      }
    }
    return left > 0 ? Math.max(0, this.cacheAfter - left) : head;
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
    const page = listener.mode === "live" && after < this.head ? this.cached(after) : undefined;
    if (page !== undefined) {
      const entries = page.filter((entry) => isVisible(entry, listener.member));
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
    for (const entry of entries) this.cache.push(redact(entry));
    this.head = state.head;
    if (this.cache.length > 2 * cacheOffsets || this.head - this.cacheAfter > 4 * cacheOffsets) this.prune();
    if (this.listeners.size === 0) {
      this.told = this.head;
      return;
    }
    const wait = entries.some(isHurried)
      ? Math.max(this.gathering(entries), this.crowd(entries))
      : Math.min(500, this.listeners.size / 2);
    this.due = Math.min(this.due, this.effects.now() + wait);
    this.effects.flushIn(wait < 1 ? 0 : wait);
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
    return now < this.severalUntil ? Math.max(0, this.flushed + gather - now) : 0;
  }

  /** Telling a crowd of a floor takes longer than this wait, in which more about the floor may come together. */
  private crowd(entries: readonly Entry[]): number {
    const { size } = this.listeners;
    return size < 200 || !entries.every((entry) => "floor" in entry) ? 0 : Math.min(gather, size / 100);
  }

  private prune(): void {
    const floor = Math.min(this.told, this.head - cacheOffsets);
    let cut = 0;
    while (cut < this.cache.length && lastOffset(this.cache[cut] as Entry) <= floor) cut += 1;
    const last = this.cache[cut - 1];
    if (last === undefined) return;
    this.cacheAfter = lastOffset(last);
    this.cache = this.cache.slice(cut);
  }

  /** The cached entries after an offset; `undefined` if the cache does not reach back that far. */
  private cached(after: Offset): readonly Entry[] | undefined {
    if (after < this.cacheAfter) return undefined;
    let low = 0;
    let high = this.cache.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lastOffset(this.cache[middle] as Entry) > after) high = middle;
      else low = middle + 1;
    }
    return this.cache.slice(low);
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
    const page = this.cached(this.told) ?? [];
    const shared = page.filter(isPublic);
    const [first] = shared;
    const ahead = this.tellPrivately(page);
    const nothingShared = shared.length === 0 && ahead.length > 0;
    if (nothingShared && this.head - this.told < pageOffsets) {
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

  /** Entries that not everybody may see go to each member concerned, with all that lies between. */
  private tellPrivately(page: readonly Entry[]): C[] {
    const concerned = new Set<Listener<C>>();
    for (const entry of page) {
      const audience = audienceOf(entry);
      if (audience === "all" || audience === "none") continue;
      for (const member of audience) {
        const listener = this.byMember.get(member);
        if (listener?.mode === "live") concerned.add(listener);
      }
    }
    const ahead: C[] = [];
    for (const listener of concerned) {
      const after = Math.max(listener.sent, this.told);
      if (after < this.head) {
        const entries = page.filter((entry) => lastOffset(entry) > after && isVisible(entry, listener.member));
        if (entries.length > 0) {
          this.effects.send([listener.connection], {
            type: "entries",
            session: this.session,
            after,
            upTo: this.head,
            entries,
          });
          listener.sent = this.head;
        }
      }
      if (listener.sent === this.head) ahead.push(listener.connection);
    }
    return ahead;
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
      const cached = this.cached(after);
      // What is hidden from members costs nothing, however many offsets it takes.
      const weight = cached?.reduce((sum, entry) => sum + (isPublic(entry) ? span(entry) : 0), 0) ?? Infinity;
      const entries = weight <= pageOffsets ? cached : undefined;
      if (entries === undefined) for (const listener of group) this.page(listener);
      else this.deliver(group, after, entries, this.head);
    }
  }

  /** Gives a page to listeners who stand at `after`, and makes them live if it brought them up to the head. */
  private deliver(group: readonly Listener<C>[], after: Offset, entries: readonly Entry[], upTo: Offset): void {
    const frame = (visible: readonly Entry[]): EntriesFrame => ({
      type: "entries",
      session: this.session,
      after,
      upTo,
      entries: visible,
    });
    const secret = entries.filter((entry) => Array.isArray(audienceOf(entry)));
    const shared: C[] = [];
    for (const listener of group) {
      if (secret.some((entry) => isVisible(entry, listener.member))) {
        this.effects.send([listener.connection], frame(entries.filter((entry) => isVisible(entry, listener.member))));
      } else shared.push(listener.connection);
      listener.sent = upTo;
    }
    if (shared.length > 0) this.effects.send(shared, frame(entries.filter(isPublic)));
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
      if (first === undefined || first.offset > sent + 1) {
        // Somebody trimmed the log under us. Coming back, the member is told exactly what is missing.
        this.first = first?.offset ?? this.first;
        const error = new RostrumError("SERVER_BUSY", "The log was trimmed while it was read for you. Resume again.");
        return this.close(listener, error, 0);
      }
      const entries = result.filter((entry) => lastOffset(entry) <= this.head).map(redact);
      const last = entries.at(-1);
      this.deliver([listener], sent, entries, last === undefined ? this.head : lastOffset(last));
    });
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
