/** A browser: a disk that keeps committed transactions, and pages that run the real client engine until they die. */

import {
  backoff,
  Engine,
  Pulse,
  type Resumption,
  readRecord,
  type Settle,
  type Transaction,
} from "@rostrum/client/internal";
import {
  type Entry,
  grantOf,
  guardOf,
  type Item,
  type MemberCommand,
  type MemberId,
  type Offset,
  type RostrumError,
  type ServerFrame,
} from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import { SimConnection } from "./network.ts";
import { type SimNode, session } from "./node.ts";
import type { Sabotage } from "./sabotage.ts";

/** One thing an app sent, and what became of it. */
export interface Sent {
  readonly id: string;
  readonly scope: string;
  readonly command: MemberCommand;
  /** Under which name and number it went first, if the member was somebody then. */
  readonly member: MemberId | undefined;
  seq: number;
  /** The grant that was held at the time of a guarded message. */
  fence: Offset | undefined;
  queued: boolean;
  stored: Offset | undefined;
  refused: RostrumError | undefined;
  /** Its page died, and what it knew with it. */
  orphaned: boolean;
}

/** The app in a page: remembers what it was told. Its state is what it keeps by checkpoint. */
export interface AppState {
  readonly seen: readonly (readonly [Offset, string])[];
  readonly from: Offset | undefined;
}

const clone = <T>(value: T): T => structuredClone(value);

export class Device {
  readonly disk = new Map<string, Map<string, unknown>>();
  readonly locks = new Map<string, Page>();
  /** Whom the server took them for, by scope. */
  readonly members = new Map<string, Set<MemberId>>();
  /** See `Page.noteReleases`. */
  readonly releases = new Map<string, Set<Offset>>();
  /** What pages were told is missing, by scope: it stays missing in later lives of the page. */
  readonly gaps = new Map<string, { readonly from: Offset; readonly to: Offset }[]>();
  private scopes = 0;

  constructor(
    readonly scheduler: Scheduler,
    readonly user: string,
    readonly sabotage: Sabotage,
  ) {}

  /** Takes the scope that the tab remembers, or one of a dead tab, or a new one. */
  claim(page: Page, remembered: string | undefined): string {
    const free = (scope: string): boolean => !this.locks.has(scope) || this.sabotage === "share-identity";
    const candidates = [...(remembered === undefined ? [] : [remembered]), ...this.disk.keys()];
    const scope = candidates.find(free) ?? `${this.user}/${(this.scopes += 1)}`;
    this.locks.set(scope, page);
    return scope;
  }

  /** The transaction under way in a scope: finished or given up when its page dies, before another page can read. */
  private readonly writing = new Map<string, (finish: boolean) => void>();

  died(scope: string): void {
    this.writing.get(scope)?.(this.scheduler.chance(0.3));
    this.writing.delete(scope);
  }

  /** At some moment of the wait the transaction is on the disk, as a whole. */
  commit(scope: string, { set, remove }: Transaction, alive: () => boolean, done: () => void): void {
    const { scheduler, sabotage } = this;
    const copies = set.map(([key, value]) => [key, clone(value)] as const);
    const write = (): void => {
      const values = this.disk.get(scope) ?? new Map<string, unknown>();
      for (const key of remove) values.delete(key);
      for (const [key, value] of copies) {
        if (sabotage === "forget-the-outbox" && key.startsWith("out/")) continue;
        if (sabotage === "half-transactions" && key !== "meta" && scheduler.chance(0.3)) continue;
        values.set(key, value);
      }
      if (values.size > 0) this.disk.set(scope, values);
      else this.disk.delete(scope);
    };
    const wait = scheduler.chance(0.1) ? scheduler.between(20, 300) : scheduler.between(0, 8);
    const cancel = scheduler.later(wait, () => {
      this.writing.delete(scope);
      write();
      scheduler.later(scheduler.between(0, 3), () => alive() && done());
    });
    this.writing.set(scope, (finish) => {
      cancel();
      if (finish) write();
    });
    if (sabotage === "commit-before-disk") {
      // The answer overtakes the disk.
      scheduler.later(0, () => alive() && done());
    }
  }
}

export class Page {
  readonly engine: Engine;
  readonly scope: string;
  alive = true;
  seen: [Offset, string][] = [];
  /** The app's knowledge begins after this offset. */
  from: Offset | undefined;
  readonly resumptions: Resumption[] = [];
  readonly violations: string[] = [];
  readonly warnings: string[] = [];
  /** The app takes its time over each entry. */
  slowHandlers = false;
  /** What it believes to hold: fence → floor. */
  readonly held = new Map<Offset, string>();
  /** What was handed back to the app, in this life of the page. */
  readonly returned: { readonly error: RostrumError; readonly command: MemberCommand }[] = [];
  private connection: SimConnection | undefined;
  private pulse: Pulse | undefined;
  private attempt = 0;
  private cancelAlarm: () => void = () => {};
  private cancelBeat: () => void = () => {};
  private cancelDial: () => void = () => {};

  constructor(
    readonly device: Device,
    remembered: string | undefined,
    private readonly route: () => SimNode,
    private readonly latency: () => number,
    private readonly sent: Sent[],
    /** Called at each moment in which the page begins or ceases to believe that it holds a floor. */
    believe: (page: Page, floor: string) => void,
    /** How the app's handlers behave. */
    asyncHandlers: boolean,
    keepsState: boolean,
  ) {
    const { scheduler, sabotage } = device;
    this.scope = device.claim(this, remembered);
    const alive = (): boolean => this.alive;
    this.engine = new Engine(
      {
        session,
        history: { last: 50 },
        required: [],
        outboxCommands: 200,
        outboxBytes: 100_000,
        keepsState,
        checkpointEntries: 5,
        checkpointBytes: 10_000,
        checkpointTime: 60_000,
        pointStates: 4,
        secureMessages: 1_000,
        secureBytes: 1_000_000,
        confirms: true,
      },
      {
        now: () => scheduler.now,
        send: (frames) => {
          for (const frame of frames) if (frame.type === "commands") this.noteReleases(frame.commands);
          this.connection?.up(frames);
        },
        commit: (transaction, done) => {
          let told = false;
          device.commit(this.scope, transaction, alive, () => {
            if (told) return;
            told = true;
            done(undefined);
          });
        },
        deliver: (entry, replayed, done) => {
          const run = (): void => this.handle(entry, replayed);
          if (sabotage === "cursor-before-handlers") {
            scheduler.later(scheduler.between(1, 40), () => alive() && run());
            return done();
          }
          if (!this.slowHandlers && (!asyncHandlers || scheduler.chance(0.5))) {
            run();
            return done();
          }
          scheduler.later(this.slowHandlers ? scheduler.between(300, 2_000) : scheduler.between(0, 30), () => {
            if (!alive()) return;
            run();
            done();
          });
        },
        checkpoint: () => clone({ seen: this.seen, from: this.from } satisfies AppState),
        restore: (state) => {
          const { seen, from } = clone(state) as AppState;
          this.seen = seen.map(([offset, id]) => [offset, id]);
          this.from = from;
        },
        fetchState: (_, done) => void scheduler.later(scheduler.between(1, 50), () => alive() && done(undefined)),
        wentBack: () => {},
        reached: () => {},
        defer: (then) => void scheduler.later(0, () => alive() && then()),
        alarm: (at) => {
          this.cancelAlarm();
          if (at !== Infinity)
            this.cancelAlarm = scheduler.later(at - scheduler.now, () => alive() && this.engine.wake());
        },
        changed: () => {},
        resumed: (resumption) => {
          this.resumptions.push(resumption);
          const { member } = this.engine;
          const known = device.members.get(this.scope) ?? new Set();
          if (member !== undefined) device.members.set(this.scope, known.add(member));
          if (resumption.outcome === "joined") this.from = resumption.from;
          if (resumption.gap !== undefined)
            device.gaps.set(this.scope, [...(device.gaps.get(this.scope) ?? []), resumption.gap]);
        },
        volatile: () => {},
        warn: (error) => this.warnings.push(`${scheduler.now.toFixed(0)} ${error.message}`),
        auth: (_, done) => void scheduler.later(scheduler.between(0, 5), () => alive() && done(device.user)),
        reconnect: () => this.hangUp(0),
        doubt: () => {
          if (this.pulse?.asking !== false) return;
          const { ping } = this.pulse.probe(scheduler.now, 2_500);
          this.connection?.up([{ type: "ping", n: ping }]);
          this.beat();
        },
        holding: ({ kind, floor, grant }) => {
          if (kind === "held") this.held.set(grant.fence, floor);
          if (kind === "lost") this.held.delete(grant.fence);
          if (kind !== "ending") believe(this, floor);
        },
        folded: () => {},
        refused: (error, command) => this.returned.push({ error, command }),
        newInstance: () => `i${scheduler.between(0, 1e9)}`,
      },
    );
    // Reading the disk takes its time; what is emitted meanwhile must not be lost.
    scheduler.later(scheduler.between(0, 10), () => {
      if (!this.alive) return;
      const values = new Map([...(device.disk.get(this.scope) ?? [])].map(([key, value]) => [key, clone(value)]));
      let kept = readRecord(values);
      if (kept !== undefined && sabotage === "forget-what-was-refused")
        kept = { ...kept, decided: kept.decided.filter(([, offset]) => offset > 0) };
      if (kept !== undefined && sabotage === "forget-the-reserve")
        kept = { ...kept, meta: { ...kept.meta, reserved: 1 } };
      if (kept?.checkpoint !== undefined && sabotage === "replay-what-is-in-the-checkpoint") {
        kept = {
          ...kept,
          checkpoint: { ...kept.checkpoint, offset: kept.checkpoint.offset - 3 },
          tail: [...this.sabotagedTail, ...kept.tail],
        };
      }
      this.engine.load(kept);
    });
    if (sabotage === "no-rewind") this.engine.outbox.rewind = () => 0;
    this.dial();
  }

  /** Under which fences this page's scope asked for the end of a grant; 0: of whichever it has. */
  private noteReleases(commands: readonly MemberCommand[]): void {
    const known = this.device.releases.get(this.scope) ?? new Set();
    this.device.releases.set(this.scope, known);
    for (const command of commands) {
      if (command.type === "floor-release" || command.type === "floor-pass") known.add(command.fence);
      // To cancel a request that was granted meanwhile is to release it, whatever its fence.
      else if (command.type === "floor-cancel") known.add(0);
    }
  }

  /** For one sabotage: entries that are in the checkpoint already. */
  private get sabotagedTail(): readonly Entry[] {
    const state = this.device.disk.get(this.scope)?.get("state") as { offset: Offset; state: AppState } | undefined;
    const last = state?.state.seen.at(-1);
    return last === undefined || state === undefined
      ? []
      : [{ type: "messages", by: null, offset: state.offset, at: 0, items: [["note", last[1]]] }];
  }

  private handle(entry: Entry, replayed: boolean): void {
    if (entry.type !== "messages") return;
    entry.items.forEach(([, id], index) => {
      const offset = entry.offset + index;
      const last = this.seen.at(-1);
      if (last !== undefined && offset <= last[0]) {
        this.violations.push(
          `${this.scope} was given #${offset} (${String(id)}) after #${last[0]}${replayed ? " in a replay" : ""}`,
        );
      }
      this.seen.push([offset, String(id)]);
    });
  }

  get live(): boolean {
    return this.alive && this.engine.phase.kind === "live";
  }

  /** Emits as the face does: what is guarded goes under the grant that is held, or not at all. */
  emit(item: Item, to: readonly MemberId[] | undefined, id: string): Sent | undefined {
    const command: MemberCommand = { type: "messages", items: [item], ...(to === undefined ? {} : { to }) };
    const { state, member } = this.engine;
    const floor = guardOf(state, item[0]);
    const fence = floor === undefined || member === undefined ? undefined : grantOf(state, floor, member)?.fence;
    const sent = this.track(command, id, (settle) => this.engine.message(item, to, 50, settle));
    if (sent !== undefined) sent.fence = fence;
    return sent;
  }

  submit(command: MemberCommand, id: string): Sent | undefined {
    return this.track(command, id, (settle) => this.engine.submit(command, 50, settle));
  }

  private track(command: MemberCommand, id: string, submit: (settle: Settle) => number): Sent | undefined {
    const sent: Sent = {
      id,
      scope: this.scope,
      command,
      member: this.engine.member,
      seq: 0,
      fence: undefined,
      queued: false,
      stored: undefined,
      refused: undefined,
      orphaned: false,
    };
    try {
      sent.seq = submit({
        queued: () => (sent.queued = true),
        stored: ({ offset }) => (sent.stored = offset),
        refused: (error) => (sent.refused = error),
      });
    } catch {
      return undefined;
    }
    this.sent.push(sent);
    return sent;
  }

  release(): void {
    this.engine.release({ queued: () => {}, stored: () => {}, refused: () => {} });
  }

  // ---- the link, in virtual time ----

  /** No network at all until then: what is there is dead, and nothing new comes about. */
  offlineUntil = 0;

  goOffline(milliseconds: number): void {
    this.offlineUntil = this.device.scheduler.now + milliseconds;
    if (this.connection !== undefined) this.connection.deafUp = this.connection.deafDown = true;
  }

  private dial(): void {
    if (!this.alive || this.engine.phase.kind === "closed") return;
    const { scheduler } = this.device;
    if (this.offlineUntil > scheduler.now) {
      this.cancelDial();
      this.cancelDial = scheduler.later(scheduler.between(100, 500), () => this.dial());
      return;
    }
    const connection: SimConnection = new SimConnection(
      scheduler,
      this.route(),
      {
        opened: () => {
          if (this.connection !== connection) return;
          this.attempt = 0;
          this.pulse = new Pulse({ every: 3_000, within: 2_000 }, scheduler.now);
          this.beat();
          this.engine.connect();
        },
        frames: (frames: readonly ServerFrame[]) => {
          if (this.connection !== connection || !this.alive) return;
          for (const frame of frames) {
            if (frame.type === "pong") this.pulse?.answered(frame.n, scheduler.now);
            this.engine.frame(frame);
            if (this.device.sabotage === "lease-from-the-answer") this.engine["tenure"]["witnessed"] = scheduler.now;
          }
        },
        lost: () => {
          if (this.connection === connection) this.hangUp(backoff(this.attempt++, scheduler.random()));
        },
      },
      this.latency,
    );
    this.connection = connection;
    // A connection that does not come about is given up.
    this.cancelBeat();
    this.cancelBeat = scheduler.later(
      5_000,
      () => this.connection === connection && this.hangUp(backoff(this.attempt++, scheduler.random())),
    );
  }

  private beat(): void {
    const { pulse } = this;
    const { scheduler } = this.device;
    this.cancelBeat();
    if (pulse === undefined) return;
    this.cancelBeat = scheduler.later(pulse.deadline - scheduler.now, () => {
      if (!this.alive || this.pulse !== pulse) return;
      const due = pulse.tick(scheduler.now);
      if (due === "dead") return this.hangUp(0);
      if (due !== undefined) this.connection?.up([{ type: "ping", n: due.ping }]);
      this.beat();
    });
  }

  private hangUp(wait: number): void {
    const { connection } = this;
    this.connection = undefined;
    this.pulse = undefined;
    this.cancelBeat();
    if (connection !== undefined && !connection.clientGone) connection.hangUp();
    this.engine.disconnect();
    this.cancelDial();
    if (this.alive) this.cancelDial = this.device.scheduler.later(wait, () => this.dial());
  }

  get link(): SimConnection | undefined {
    return this.connection;
  }

  /** Everything in memory is gone. What the page had not been told of its commands, nobody will be told. */
  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.held.clear();
    this.cancelAlarm();
    this.cancelBeat();
    this.cancelDial();
    this.connection?.hangUp();
    if (this.device.locks.get(this.scope) === this) this.device.locks.delete(this.scope);
    this.device.died(this.scope);
    for (const sent of this.sent)
      if (sent.scope === this.scope && sent.stored === undefined && sent.refused === undefined) sent.orphaned = true;
  }

  get member(): MemberId | undefined {
    return this.engine.member;
  }
}
