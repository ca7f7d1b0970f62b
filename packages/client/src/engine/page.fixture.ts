/** A page for the engine's tests: an engine over a disk that can be slow, with an app and a server played by hand. */

import {
  defaultConfig,
  defaultFloor,
  defaultLimits,
  type Entry,
  emptyState,
  foldAll,
  lastOffset,
  type MemberCommand,
  type MemberId,
  memberId,
  type Offset,
  type Outcome,
  type ServerFrame,
  type SessionId,
  type SessionState,
  sessionId,
  toView,
  userId,
} from "@rostrum/protocol";
import { Engine } from "./engine.ts";
import { readRecord, type Transaction } from "./record.ts";
import type { EngineOptions, Resumption } from "./terms.ts";

export const session: SessionId = sessionId("s");
export const me: MemberId = memberId("me");
export const other: MemberId = memberId("other");
export const lease = 1_000;
export const beginning: readonly Entry[] = [
  {
    type: "opened",
    offset: 1,
    at: 0,
    session,
    birth: "b",
    config: { ...defaultConfig, floors: { mic: { ...defaultFloor, grace: lease } }, guards: { speak: "mic" } },
  },
  { type: "joined", offset: 2, at: 0, member: me, user: userId("u"), roles: ["member"], node: "" },
  { type: "joined", offset: 3, at: 0, member: other, user: userId("v"), roles: ["member"], node: "" },
];

type Frame = Record<string, unknown> & { readonly type: string };

/** The app: what it was given, by offset; its state if it keeps one. A handler that is held finishes when it is let go. */
export class Page {
  now = 0;
  readonly sent: Frame[] = [];
  readonly told: string[] = [];
  readonly engine: Engine;
  slow = false;
  private readonly commits: (() => void)[] = [];
  private deferred: (() => void)[] = [];
  seen: readonly Offset[] = [];
  readonly resumptions: Resumption[] = [];
  /** States that the app was given, whatever they were. */
  readonly restored: unknown[] = [];
  /** The shared states of points, by their offset. */
  readonly shared: Map<Offset, readonly Offset[]> = new Map();
  /** Handlers are held, and fetches of states. */
  held = false;
  private readonly holding: (() => void)[] = [];

  constructor(
    readonly disk: Map<string, unknown> = new Map(),
    options: Partial<EngineOptions> = {},
  ) {
    this.engine = new Engine(
      {
        session,
        history: undefined,
        required: [],
        outboxCommands: 100,
        outboxBytes: 10_000,
        keepsState: false,
        checkpointEntries: 100,
        checkpointBytes: 1e6,
        checkpointTime: 1e9,
        pointStates: 4,
        secureMessages: 100,
        secureBytes: 1e6,
        confirms: true,
        ...options,
      },
      {
        now: () => this.now,
        send: (frames) => void this.sent.push(...(frames as unknown as Frame[])),
        commit: (transaction, done) => {
          const write = (): void => {
            this.write(transaction);
            done(undefined);
          };
          if (this.slow) this.commits.push(write);
          else write();
        },
        deliver: (entry, _, done) =>
          this.hold(() => {
            if (entry.type === "messages") this.seen = [...this.seen, entry.offset];
            done();
          }),
        checkpoint: () => this.seen,
        restore: (state) => {
          this.restored.push(state);
          this.seen = state as readonly Offset[];
        },
        fetchState: ({ offset }, done) =>
          this.hold(() => {
            const value = this.shared.get(offset);
            done(value === undefined ? undefined : { value });
          }),
        wentBack: ({ to }, from) => void this.told.push(`back to ${to} from ${from}`),
        reached: () => {},
        defer: (then) => void this.deferred.push(then),
        alarm: () => {},
        changed: () => {},
        resumed: (resumption) => void this.resumptions.push(resumption),
        holding: ({ kind, floor, ...news }) =>
          void this.told.push(`${kind} ${floor}${"error" in news ? ` ${String(news.error.details["reason"])}` : ""}`),
        folded: () => {},
        refused: (error, command) => void this.told.push(`refused ${error.code} ${command.type}`),
        volatile: () => {},
        warn: () => {},
        auth: (_, done) => done(undefined),
        reconnect: () => {},
        doubt: () => void this.told.push("doubt"),
        newInstance: () => "i",
      },
    );
  }

  private hold(run: () => void): void {
    if (this.held) this.holding.push(run);
    else run();
  }

  /** What was held goes on. */
  let(): void {
    this.held = false;
    for (const run of this.holding.splice(0)) run();
  }

  private write({ set, remove }: Transaction): void {
    for (const key of remove) this.disk.delete(key);
    for (const [key, value] of set) this.disk.set(key, structuredClone(value));
  }

  /** The disk does what it was asked to do. */
  settle(): void {
    this.slow = false;
    for (const commit of this.commits.splice(0)) commit();
  }

  load(): this {
    this.engine.load(readRecord(this.disk));
    return this;
  }

  /** Is taken up, `log` being the whole log. */
  open(log: readonly Entry[], seq: number, anew = false): this {
    const cursor = anew ? 0 : this.engine.received;
    const joined: Outcome = anew ? { kind: "reset", why: "birth" } : { kind: "joined" };
    const head = headOf(log);
    return this.opened(
      log,
      cursor === 0 ? joined : { kind: "resumed", from: cursor },
      cursor === 0 ? head : cursor,
      seq,
    );
  }

  /** Is taken up in some way, from `start`. */
  opened(log: readonly Entry[], outcome: Outcome, start: Offset, seq = 0, member: MemberId = me): this {
    this.engine.connect();
    const state: SessionState = foldAll(emptyState(session), log);
    this.take({
      type: "opened",
      session,
      version: 1,
      features: [],
      limits: defaultLimits,
      member,
      incarnation: 1,
      token: "t",
      birth: state.birth,
      outcome,
      start,
      head: headOf(log),
      seq,
      at: 0,
    });
    if (outcome.kind !== "resumed") this.take({ type: "view", session, view: toView(state) });
    if (start < headOf(log)) this.tell(log.filter(({ offset }) => offset > start));
    return this;
  }

  take(frame: ServerFrame): void {
    this.engine.frame(frame);
  }

  tell(entries: readonly Entry[]): void {
    const upTo = entries.length === 0 ? this.engine.received : headOf(entries);
    this.take({ type: "entries", session, after: this.engine.received, upTo, entries });
  }

  submit(command: MemberCommand): void {
    this.engine.submit(command, 10, { queued: () => {}, stored: () => {}, refused: () => {} });
    this.turn();
  }

  /** What was put off until the turn is over. */
  turn(): void {
    for (const then of this.deferred.splice(0)) then();
  }

  wait(milliseconds: number): void {
    this.now += milliseconds;
    this.engine.wake();
  }

  get holds(): boolean {
    return this.engine.grantOn("mic") !== undefined;
  }

  sentOf(type: string): readonly Frame[] {
    return this.sent.filter((frame) => frame.type === type);
  }
}

const headOf = (log: readonly Entry[]): Offset => {
  const last = log.at(-1);
  return last === undefined ? 0 : lastOffset(last);
};
