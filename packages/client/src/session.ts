/** A session as an app sees it: handlers, emit, floors, sync points, status. Wires the engine; decides nothing itself. */

import {
  type ClientFrame,
  commandsAsText,
  documentOf,
  type Entry,
  entriesFromText,
  type MemberCommand,
  type MemberId,
  measure,
  memberId,
  type Offset,
  RostrumError,
  type ServerFrame,
  type SessionState,
  type Subject,
  type SyncPoint,
  sessionId,
  type Time,
  toPayload,
} from "@rostrum/protocol";
import { Activities } from "./activities.ts";
import { awaited } from "./awaited.ts";
import { sleeplessClock } from "./clock.ts";
import { Dialog, type ProposalOutcome, type ProposeOptions } from "./dialog.ts";
import { Engine } from "./engine/engine.ts";
import type { Extension, ExtensionHost } from "./engine/extension.ts";
import { updatesIn } from "./engine/fork.ts";
import type { Stored } from "./engine/outbox.ts";
import { seamOf } from "./engine/seam.ts";
import type { AnyEvents, Args, EventHandler, MemberView, Meta, Sending, SessionEvents } from "./events.ts";
import { Floor, type FloorHost } from "./floor.ts";
import { Handlers, isOwn } from "./handlers.ts";
import { type Observable, observable } from "./observable.ts";
import { sending } from "./sending.ts";
import type { Keeping, SessionHost, SessionOptions } from "./session-options.ts";
import { lostAfter, phaseOf, type Status } from "./status.ts";
import { SyncPoints } from "./sync-points.ts";
import { Transfers } from "./transfers.ts";
import { isOnline } from "./wake.ts";

const toText = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
const fromText = (text: string): Uint8Array => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** What floors and dialog need of the session. */
type Seam = Pick<FloorHost, "state" | "self" | "submit" | "local">;

export class Session<Events extends object = AnyEvents> {
  /** Resolves when the session is live for the first time. Rejects if it is closed before. */
  readonly ready: Promise<void>;
  readonly status: Observable<Status>;
  /** Who is in the session, dropped ones included, in the order of their joining. */
  readonly members: Observable<readonly MemberView[]>;
  /** How members take turns, and what is proposed at present. */
  readonly dialog: Dialog;
  /** Sync points: setting and confirming them, going back to them. */
  readonly sync: SyncPoints;
  /** Named pieces of work that can be interrupted and resumed, here or on another device of the same user. */
  readonly activities: Activities;
  /** Bytes for others, that go on where they were after drops, reloads and crashes. */
  readonly transfers: Transfers;
  readonly volatile: {
    /** To those who are here now, not stored, dropped if late. Answers whether it was sent at all. */
    readonly emit: <K extends keyof Events & string>(event: K, ...args: Args<Events, K>) => boolean;
  };

  private readonly clock = sleeplessClock();
  private readonly engine: Engine;
  private readonly handlers = new Handlers();
  private readonly floors = new Map<string, Floor>();
  private readonly kept: Promise<Keeping>;
  private keeping: Keeping | undefined;
  private apartSince: number | undefined = performance.now();
  private everLive = false;
  private lostTimer: ReturnType<typeof setTimeout> | undefined;
  private alarm: ReturnType<typeof setTimeout> | undefined;
  /** Commands of our own making: whoever made one hears of its refusal, not the app. */
  private readonly quiet = new WeakSet<MemberCommand>();
  private readonly statusSource = observable<Status>({
    network: "online",
    phase: "connecting",
    sync: "synced",
    pending: { commands: 0, bytes: 0 },
  });
  private readonly membersSource = observable<readonly MemberView[]>([]);
  private settleReady: { readonly resolve: () => void; readonly reject: (error: RostrumError) => void } | undefined;

  constructor(
    readonly id: string,
    options: SessionOptions,
    private readonly host: SessionHost,
  ) {
    this.status = this.statusSource;
    this.members = this.membersSource;
    this.ready = new Promise((resolve, reject) => {
      this.settleReady = { resolve, reject };
    });
    this.ready.catch(() => {});
    this.volatile = {
      emit: (event, ...args) =>
        this.engine.sendVolatile(
          event,
          args.map((arg) => this.payload(arg)),
          undefined,
        ),
    };
    const { checkpoint, restore } = options;
    const every =
      typeof options.checkpointEvery === "number" ? { entries: options.checkpointEvery } : options.checkpointEvery;
    this.sync = new SyncPoints({
      ...this.seam,
      payload: (value) => this.payload(value),
      under: () => this.engine.under(),
      keepsState: checkpoint !== undefined,
      sharing: () => this.engine.features.includes("transfers"),
      stateAt: (offset) => this.engine.stateAt(offset),
      goBackTo: (kept) => this.engine.goBackTo(kept),
      share: (point, state) => this.share(point, state),
      fetch: (point) => this.fetchState(point),
    });
    this.dialog = new Dialog({
      ...this.seam,
      ask: (proposal) => this.tell("proposal", proposal),
    });
    this.activities = new Activities({
      ...this.seam,
      submit: (command) => this.submit(command, measure(command, this.engine.limits.depth + 2)),
      payload: (value) => this.payload(value),
      tell: (change) => this.tell("activity", change),
    });
    this.transfers = new Transfers(
      {
        ...this.seam,
        submit: (command) => {
          this.quiet.add(command);
          return this.submit(command, measure(command, this.engine.limits.depth + 2));
        },
        payload: (value) => this.payload(value),
        session: sessionId(id),
        limits: () => this.engine.limits,
        pass: () => (this.engine.phase.kind === "live" ? this.engine.pass : undefined),
        link: host.lane,
        silence: host.silence,
        status: this.status,
        source: options.transferSource,
        hears: () => this.handlers.hears("transfer"),
        tell: (incoming) => this.tell("transfer", incoming),
        warn: (error) => this.tell("warning", error),
      },
      this.activities,
    );
    this.engine = new Engine(
      {
        session: sessionId(id),
        history: options.history ?? (checkpoint === undefined ? undefined : { since: "state" }),
        required: options.required ?? [],
        outboxCommands: options.outboxCommands ?? 10_000,
        outboxBytes: options.outboxBytes ?? 8_388_608,
        keepsState: checkpoint !== undefined,
        checkpointEntries: every?.entries ?? 100,
        checkpointBytes: every?.bytes ?? 262_144,
        checkpointTime: every?.time ?? 30_000,
        pointStates: options.pointStates ?? 8,
        secureMessages: options.secureMessages ?? 2_000,
        secureBytes: options.secureBytes ?? 2_097_152,
        confirms: options.confirm !== "explicit",
      },
      {
        now: this.clock,
        send: (frames: readonly ClientFrame[]) =>
          host.link.send(frames.map((frame) => (frame.type === "commands" ? commandsAsText(frame, toText) : frame))),
        commit: (transaction, done) => {
          const { keeping } = this;
          if (keeping === undefined) return done(undefined);
          keeping.commit(transaction).then(
            () => done(undefined),
            (cause: unknown) =>
              done(
                new RostrumError(
                  "STORAGE_FAILED",
                  `This device could not keep the session: ${String(cause)}. It goes on from memory; what is unconfirmed is lost with this page.`,
                  {},
                  { cause },
                ),
              ),
          );
        },
        deliver: (entry, replayed, done) => this.handlers.deliver(entry, replayed, this.engine.member, done),
        checkpoint: () => structuredClone(checkpoint?.()),
        restore: (state) => restore?.(structuredClone(state) as never),
        fetchState: (point, done) => {
          this.fetchState(point).then(done, (error: unknown) => {
            if (error instanceof RostrumError) this.tell("warning", error);
            done(undefined);
          });
        },
        wentBack: (entry, from) =>
          this.tell("resynchronize", {
            kind: entry.kind,
            by: entry.by,
            to: entry.to,
            offset: entry.offset,
            restored: from,
            ...(entry.reason === undefined ? {} : { reason: entry.reason }),
          }),
        reached: (point) => this.sync.reached(point),
        // Not the function itself: browsers insist on being its owner.
        defer: (then) => queueMicrotask(then),
        alarm: (at) => {
          clearTimeout(this.alarm);
          // Timers cut fractions off and may ring early; an alarm that rings too early would not ring again.
          if (at !== Infinity) {
            const wait = Math.ceil(Math.max(0, at - this.clock())) + 1;
            // A timer's longest wait is 2^31 ms; what is due later is looked at again then.
            this.alarm = setTimeout(() => this.engine.wake(), Math.min(wait, 2_000_000_000));
          }
        },
        changed: () => this.changed(),
        resumed: (resumption) => {
          if (resumption.outcome === "reset") this.activities.reset();
          this.tell("resume", resumption);
        },
        volatile: (from, event, args) => {
          const meta: Meta = {
            offset: 0,
            at: 0,
            from,
            own: from === this.engine.member,
            replayed: false,
            private: false,
          };
          this.handlers.run(event, args, meta);
        },
        holding: (news) => this.floors.get(news.floor)?.news(news),
        folded: (entry) => this.folded(entry),
        refused: (error, command) => this.refused(error, command),
        warn: (error) => this.tell("warning", error),
        auth: (reason, done) => {
          host.auth(reason).then(done, (cause: unknown) => {
            this.tell(
              "warning",
              new RostrumError(
                "AUTH_FAILED",
                `The auth option failed: ${String(cause)}. It will be asked again.`,
                {},
                { cause },
              ),
            );
            if (reason === "open") host.link.reconnect(2_000);
          });
        },
        reconnect: () => host.link.reconnect(),
        doubt: () => host.link.doubt(),
        newInstance: () => crypto.randomUUID(),
      },
    );
    this.kept = host.keep(this as Session<never>);
    this.kept.then(
      (keeping) => this.begin(keeping),
      (cause: unknown) => {
        const error =
          cause instanceof RostrumError ? cause : new RostrumError("STORAGE_FAILED", String(cause), {}, { cause });
        this.engine.close(error);
      },
    );
  }

  /** This member's own id; `undefined` until the server has taken it up for the first time. */
  get member(): MemberId | undefined {
    return this.engine.member;
  }

  /** Up to where the handlers have run. */
  get cursor(): Offset {
    return this.engine.processed;
  }

  /**
   * Listens to an event. Handlers get the payload and then the `Meta`; entries come one after the other, and an async
   * handler is awaited before the next. Returns its undo.
   *
   * @example
   * const stop = session.on("note", async (note, meta) => { await save(note, meta.offset) })
   */
  on<K extends keyof SessionEvents>(event: K, handler: SessionEvents[K]): () => void;
  on<K extends Exclude<keyof Events & string, keyof SessionEvents>>(
    event: K,
    handler: EventHandler<Events, K>,
  ): () => void;
  on(event: string, handler: (...args: never[]) => unknown): () => void {
    const undo = this.handlers.on(event, handler);
    if (event === "transfer") this.transfers.update();
    return undo;
  }

  /**
   * Sends an event to everybody in the session, this member included. Resolves when it is durable on the server; what is
   * emitted without a connection is kept and sent later, once.
   * @throws RostrumError (by rejecting) FORBIDDEN, FLOOR_NOT_HELD, MESSAGE_TOO_LARGE, MESSAGE_INVALID, OUTBOX_FULL …
   *
   * @example
   * await session.emit("note", { text: "hello" })
   */
  emit<K extends Exclude<keyof Events & string, keyof SessionEvents>>(event: K, ...args: Args<Events, K>): Sending {
    return this.send(undefined, event, args);
  }

  /** The same, to some members only; nobody else is told that it was sent. */
  emitTo<K extends Exclude<keyof Events & string, keyof SessionEvents>>(
    to: readonly string[],
    event: K,
    ...args: Args<Events, K>
  ): Sending {
    return this.send(to.map(memberId), event, args);
  }

  /** A floor by its name. The same object each time. */
  floor(name: string): Floor {
    if (name.length === 0 || name.length > this.engine.limits.nameLength) {
      throw new RostrumError(
        "USAGE",
        `A floor's name has 1 to ${this.engine.limits.nameLength} characters; this has ${name.length}.`,
      );
    }
    const known = this.floors.get(name);
    if (known !== undefined) return known;
    const floor = new Floor(name, {
      ...this.seam,
      grantOn: (floor) => this.engine.grantOn(floor),
    });
    this.floors.set(name, floor);
    return floor;
  }

  /**
   * Proposes to all others to take turns (`half-duplex`: only the holder of the floor "@data" sends), to stop doing so, or to
   * end the session in good order. Holds once all have accepted; one refusal, or an answer that does not come, and all goes
   * on as before. Proposing a release needs the floor "@release" (X.215: negotiated release).
   * @throws RostrumError PROPOSAL_PENDING, PROPOSAL_IDLE, FLOOR_NOT_HELD, FORBIDDEN, FEATURE_MISSING
   * @example
   * const { outcome } = await session.propose({ kind: "dialog", mode: "half-duplex" })
   */
  propose(subject: Subject, options: ProposeOptions = {}): Promise<ProposalOutcome> {
    const proposed = this.dialog.propose(subject, options);
    proposed.catch(() => {});
    return proposed;
  }

  /** Keeps the app's state on this device now, as `checkpoint` gives it. */
  checkpoint(): void {
    this.engine.saveCheckpoint();
  }

  /** Tries again now: after an error that needed somebody's doing, or instead of waiting for the next attempt. */
  retry(): void {
    this.host.link.probe();
    this.engine.retry();
  }

  /** Leaves in order: what was emitted before is stored first. Resolves when the member has left. */
  release(): Promise<void> {
    return awaited(sending((settle) => this.engine.release(settle)).then(() => {}));
  }

  /** Leaves at once. What is not confirmed is given up; floors come free at once, or after the grace if the link is down. */
  abort(reason?: string): void {
    this.engine.abort(reason === "" ? undefined : reason?.slice(0, 500));
  }

  /** Lets go of the session in this page without leaving it: the next page goes on where this one stood. */
  close(): void {
    this.engine.close(
      new RostrumError(
        "CLOSED",
        "The session was closed in this page. What it kept on this device is sent when it is opened here again.",
      ),
    );
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal What lives in the session beside its messages, if anything does. */
  get extension(): Extension | undefined {
    return this.engine.extension;
  }

  /**
   * Adds what lives in the session beside its messages; one at most.
   * @internal For packages of ours.
   */
  extend<E extends Extension>(make: (host: ExtensionHost) => E): E {
    const { engine } = this;
    const extension = make({
      ...seamOf(engine),
      command: (command) => this.submit(command, 64),
      send: (frame) => this.host.link.send([{ ...frame, session: sessionId(this.id) }]),
      keep: async (name) => (await this.kept).beside(name),
      warn: (error) => this.tell("warning", error),
    });
    engine.extension = extension;
    return extension;
  }

  // ---- for the client ----

  /** @internal */
  connected(): void {
    this.engine.connect();
  }

  /** @internal */
  disconnected(): void {
    this.engine.disconnect();
  }

  /** @internal */
  frame(frame: ServerFrame): void {
    this.engine.frame(frame.type === "entries" ? entriesFromText(frame, fromText) : frame);
  }

  /** @internal The page is hidden, or left. */
  away(): void {
    this.engine.leave();
  }

  /** @internal The link or the device's word on the network has changed. */
  refresh(): void {
    // The machine may have slept, and leases may be over.
    this.engine.wake();
    this.changed();
  }

  // ---- inside ----

  private begin(keeping: Keeping): void {
    this.keeping = keeping;
    for (const warning of keeping.warnings) this.tell("warning", warning);
    this.engine.load(keeping.kept);
    this.changed();
  }

  private payload(value: unknown): unknown {
    return toPayload(value, this.engine.limits.depth);
  }

  private send(to: readonly MemberId[] | undefined, event: string, args: readonly unknown[]): Sending {
    return sending((settle) => {
      if (isOwn(event) || documentOf(event) !== undefined)
        throw new RostrumError("USAGE", `"${event}" is an event of the session itself; choose another name.`, {
          event,
        });
      const { limits } = this.engine;
      const item = [event, ...args.map((arg) => this.payload(arg))] as const;
      const size = measure(item, limits.depth);
      if (to !== undefined && to.length > limits.recipients) {
        throw new RostrumError(
          "MESSAGE_INVALID",
          `The message "${event.slice(0, 40)}" has ${to.length} recipients, the limit is ${limits.recipients}; it was not sent.`,
          { recipients: to.length, limit: limits.recipients },
        );
      }
      if (size > limits.messageBytes || event.length > limits.nameLength || event === "") {
        throw new RostrumError(
          "MESSAGE_TOO_LARGE",
          `The message "${event.slice(0, 40)}" has ${size} bytes, the limit is ${limits.messageBytes}; it was not sent.`,
          { size, limit: limits.messageBytes },
        );
      }
      this.engine.message(item, to, size, settle);
    });
  }

  private get seam(): Seam {
    return {
      state: (): SessionState => this.engine.state,
      self: (): MemberId | undefined => this.engine.member,
      submit: (command: MemberCommand): Promise<Stored> => this.submit(command, 64),
      local: (at: Time): number => Math.round(at + this.skew),
    };
  }

  /** This device's clock less the server's. Moves only if it is clearly wrong: times that people see should not tremble. */
  private skewed = 0;
  private get skew(): number {
    const { serverTime } = this.engine;
    const skew = serverTime === undefined ? this.skewed : Date.now() - serverTime;
    if (Math.abs(skew - this.skewed) > 300) this.skewed = skew;
    return this.skewed;
  }

  private submit(command: MemberCommand, bytes: number): Sending {
    return sending((settle) => void this.engine.submit(command, bytes, settle));
  }

  /** Puts the app's state at a point on the server. That it could not be done stops nothing. */
  private share(point: Offset, state: unknown): void {
    this.transfers.putState(point, state).catch((cause: unknown) => {
      // A point that has become void in the meantime needs no state.
      const error = cause instanceof RostrumError ? cause : new RostrumError("USAGE", String(cause), {}, { cause });
      if (error.code !== "SYNC_UNKNOWN" && error.code !== "CLOSED") this.tell("warning", error);
    });
  }

  /** Gets the app's state at a point from the server; `undefined`: none is shared there. */
  private async fetchState({ serial, state }: SyncPoint): Promise<{ readonly value: unknown } | undefined> {
    if (state === undefined) return undefined;
    try {
      return { value: await this.transfers.getState(state) };
    } catch (cause) {
      throw cause instanceof RostrumError
        ? cause
        : new RostrumError(
            "STATE_MISSING",
            `The state at sync point ${serial} could not be read: ${String(cause)}.`,
            { serial },
            { cause },
          );
    }
  }

  private tell<K extends keyof SessionEvents>(event: K, ...args: Parameters<SessionEvents[K]>): void {
    this.handlers.tell(event, ...args);
  }

  /** What somebody here waits for. */
  private folded(entry: Entry): void {
    this.activities.happened(entry);
    if (entry.type === "settled") return this.dialog.happened(entry);
    if (entry.type === "exception") return this.tell("exception", { from: entry.member, reason: entry.reason });
    if ((entry.type !== "floor-denied" && entry.type !== "floor-cancelled") || entry.member !== this.engine.member)
      return;
    const { floor } = entry;
    this.floors.get(floor)?.refused(entry.request, requestOver(entry));
  }

  private refused(error: RostrumError, command: MemberCommand): void {
    // A grant that somebody else ended first is released as it was meant to be.
    if (command.type === "floor-release" && error.code === "FLOOR_NOT_HELD") return;
    const { extension } = this.engine;
    if (extension !== undefined) for (const item of updatesIn([{ command }])) return extension.refused(item, error);
    if (this.quiet.has(command) || (command.type === "sync-confirm" && isLate(error))) return;
    if (command.type !== "messages") return this.tell("refused", error);
    for (const [event, ...args] of command.items)
      this.tell("refused", error, { event, args, ...(command.to === undefined ? {} : { to: command.to }) });
  }

  private changed(): void {
    const { phase, outbox, state } = this.engine;
    const now = performance.now();
    if (phase.kind === "live") {
      if (!this.everLive) this.settleReady?.resolve();
      this.everLive = true;
      this.apartSince = undefined;
      clearTimeout(this.lostTimer);
      this.lostTimer = undefined;
    } else if (this.apartSince === undefined || this.lostTimer === undefined) {
      this.apartSince ??= now;
      this.lostTimer = setTimeout(() => this.changed(), Math.max(0, this.apartSince + lostAfter - now) + 1);
      (this.lostTimer as { unref?: () => void }).unref?.();
    }
    const { retrying } = this.host.link;
    const before = this.statusSource.get();
    this.statusSource.set({
      network: isOnline() ? "online" : "offline",
      phase: phaseOf(phase, this.apartSince, this.everLive, now),
      sync: outbox.size === 0 ? "synced" : "pending",
      pending: { commands: outbox.size, bytes: outbox.bytes },
      ...(retrying === undefined || phase.kind === "live" || phase.kind === "closed" ? {} : { retry: retrying }),
      ...(phase.kind === "closed" ? { error: phase.error } : {}),
    });
    if (
      state.control !== this.shownControl ||
      state.birth !== this.shownBirth ||
      this.shownMember !== this.engine.member
    )
      this.show();
    this.engine.extension?.changed();
    if (phase.kind === "closed" && before.phase !== "closed") this.over(phase.error);
    if (phase.kind === "closed" && this.engine.isOver && !this.finished) this.finish(phase.error);
  }

  private shownControl: Offset = -1;
  private shownBirth = "";
  private shownMembers: SessionState["members"] | undefined;
  private shownMember: MemberId | undefined;

  private show(): void {
    const { state, member } = this.engine;
    this.shownControl = state.control;
    this.shownBirth = state.birth;
    this.shownMember = member;
    // Maps and lists are others only if something in them is.
    if (state.members !== this.shownMembers) {
      this.shownMembers = state.members;
      this.membersSource.set(
        [...state.members.values()].flatMap(({ id, user, name, roles, presence, since }): MemberView[] =>
          presence === "gone" ? [] : [{ id, user, roles, presence, since, ...(name === undefined ? {} : { name }) }],
        ),
      );
    }
    this.sync.update();
    this.dialog.update();
    this.activities.update();
    for (const floor of this.floors.values()) floor.update();
  }

  private over(error: RostrumError): void {
    clearTimeout(this.lostTimer);
    clearTimeout(this.alarm);
    this.settleReady?.reject(error);
    for (const floor of this.floors.values()) floor.close(error);
    this.dialog.close(error);
    this.sync.close(error);
    this.tell("closed", error);
  }

  private finished = false;

  /** Nothing brings it back: unlike what has only been stopped by an error, and may be tried again. */
  private finish(error: RostrumError): void {
    this.finished = true;
    this.activities.close(error);
    const { extension, isForgotten } = this.engine;
    extension?.closed(error, isForgotten);
    if (isForgotten)
      this.keeping
        ?.beside()
        .wipe()
        .catch(() => {});
    this.host.gone(this as Session<never>);
    this.keeping?.release();
  }
}

/** What was to be confirmed is confirmed, void or forgotten: who asks for it hears so by the promise. */
const isLate = ({ code }: RostrumError): boolean =>
  code === "SYNC_NOT_ASKED" || code === "SYNC_UNKNOWN" || code === "RESYNCHRONIZED";

const requestOver = (entry: Extract<Entry, { type: "floor-denied" | "floor-cancelled" }>): RostrumError => {
  const { floor, reason } = entry;
  const details = { floor, reason: reason ?? null };
  const which = `The request for the floor "${floor}"`;
  if (entry.type === "floor-denied")
    return new RostrumError("FLOOR_DENIED", `${which} was denied: ${reason ?? "no reason given"}.`, details);
  if (reason === "timeout")
    return new RostrumError("FLOOR_TIMEOUT", `${which} waited for too long and was taken back.`, details);
  return new RostrumError("FLOOR_CANCELLED", `${which} was taken back: ${reason ?? ""}.`, details);
};
