/** A browser: a disk that keeps committed transactions, and pages that run the real client engine until they die. */

import {
  backoff,
  Engine,
  Pulse,
  type RestoredFrom,
  type Resumption,
  readRecord,
  type Settle,
  type Transaction,
} from "@rostrum/client/internal";
import {
  type ClientFrame,
  documentIn,
  documentOf,
  type Entry,
  grantOf,
  guardOf,
  type History,
  type Item,
  lastOffset,
  type MemberCommand,
  type MemberId,
  type Offset,
  type OpenedFrame,
  type Resynchronized,
  type RostrumError,
  type ServerFrame,
  type SyncPoint,
  type UpdateItem,
} from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import { SimConnection } from "./network.ts";
import { type SimNode, session } from "./node.ts";
import { type Sabotage, sabotageEngine } from "./sabotage.ts";

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
  /** In which life of the log it was stored. */
  storedLife: number;
  refused: RostrumError | undefined;
  /** Its page died, and what it knew with it. */
  orphaned: boolean;
  /** What its page knew of the log at the time: how far its handlers were, in which life; `undefined`: nothing. */
  readonly made: { readonly processed: Offset; readonly life: number } | undefined;
}

export interface Range {
  readonly after: Offset;
  readonly before: Offset;
}

/** A message that the app has taken in. */
export type Seen = readonly [offset: Offset, id: string, secret: boolean];

/** The app in a page: remembers what it was told. Its state is what it keeps by checkpoint. */
export interface AppState {
  readonly seen: readonly Seen[];
  /** It knows everything after this. */
  readonly from: Offset | undefined;
  /** Up to here it was another's: that one's private messages are not in it, nor ours. */
  readonly shared: Offset;
  /** What it still holds though it is void: there was no state to go back to. */
  readonly unrestored: readonly Range[];
}

/** How the app in a scope is made. */
export interface Profile {
  readonly keepsState: boolean;
  readonly history: History;
  readonly confirms: boolean;
  readonly pointStates: number;
  readonly secureMessages: number;
}

/** What pages ask of the world around them. */
export interface Surroundings {
  readonly latency: () => number;
  readonly sent: Sent[];
  /** Called at each moment in which the page begins or ceases to believe that it holds a floor. */
  readonly believe: (page: Page, floor: string) => void;
  /** The handlers have come to a point. */
  readonly reached: (page: Page, point: Offset) => void;
  /** The shared state of a point, if it is to be had. */
  readonly fetch: (page: Page, point: SyncPoint) => AppState | undefined;
  /** A page is made, and has not been loaded. */
  readonly made: (page: Page) => void;
  /** A page is about to die. */
  readonly dying: (page: Page) => void;
  /** A page is dead, and the disk is as it left it. */
  readonly died: (page: Page) => void;
  /** Looks at what a page says. */
  readonly saying: (page: Page, frame: ClientFrame) => void;
  /** Looks at what a page was told. */
  readonly overhear: (page: Page, frame: ServerFrame) => void;
  readonly profile: (scope: string) => Profile;
}

const clone = <T>(value: T): T => structuredClone(value);

/** The updates of documents in a command. */
export const updatesIn = (command: MemberCommand): readonly UpdateItem[] =>
  command.type === "messages"
    ? (command.items.filter(([event]) => documentOf(event) !== undefined) as UpdateItem[])
    : [];

/** A transaction that is not yet on the disk. */
interface Writing {
  readonly at: number;
  readonly end: (finish: boolean) => void;
}

export class Device {
  readonly disk = new Map<string, Map<string, unknown>>();
  readonly locks = new Map<string, Page>();
  /** Whom the server took them for, by scope. */
  readonly members = new Map<string, Set<MemberId>>();
  /** See `Page.noteReleases`. */
  readonly releases = new Map<string, Set<Offset>>();
  /** What pages were told is missing, by scope: it stays missing in later lives of the page. */
  readonly gaps = new Map<string, { readonly from: Offset; readonly to: Offset }[]>();
  /** The life of the log of which the disk tells. */
  readonly lives = new Map<string, number>();
  /** Nothing before this was ever in the app of a scope that was taken back: it came later. */
  readonly floors = new Map<string, Offset>();
  /** The shared state that a scope has to ask for, as it was let in anew. */
  readonly owed = new Map<string, Offset>();
  /** Where the knowledge of a scope begins, when it is let in anew. */
  readonly starts = new Map<string, Offset>();
  /** Scopes of which a page was put out. */
  readonly putOut = new Set<string>();
  readonly profiles = new Map<string, Profile>();
  /** How the pages of a scope came back. */
  readonly resumptions = new Map<string, { readonly life: number; readonly resumption: Resumption }[]>();
  /** Messages that were handed back to the app, by id, and with what. */
  readonly returned = new Map<string, string>();
  /** Points at which the pages of a scope have kept their state, in this life of the log. */
  readonly reached = new Map<string, { readonly life: number; readonly offsets: Set<Offset> }>();
  /** Points that the pages of a scope set out to confirm: `life offset`. */
  readonly confirmed = new Map<string, Set<string>>();
  private scopes = 0;

  constructor(
    readonly scheduler: Scheduler,
    readonly user: string,
    readonly sabotage: Sabotage,
    /** Another one if the user has several devices. */
    readonly name: string = user,
  ) {}

  /** Takes the scope that the tab remembers, or one of a dead tab, or a new one. */
  claim(page: Page, remembered: string | undefined): string {
    const free = (scope: string): boolean => !this.locks.has(scope) || this.sabotage === "share-identity";
    const candidates = [...(remembered === undefined ? [] : [remembered]), ...this.disk.keys()];
    const scope = candidates.find(free) ?? `${this.name}/${(this.scopes += 1)}`;
    this.locks.set(scope, page);
    return scope;
  }

  /** What lies beside the record of a scope, under names. */
  readonly beside = new Map<string, Map<string, Map<string, unknown>>>();

  /**
   * The transactions under way in a scope, in order: the first ones finished, or all given up, when its page dies, before another
   * page can read.
   */
  private readonly writing = new Map<string, Writing[]>();
  private readonly told = new Map<string, number>();

  died(scope: string): void {
    const queue = this.writing.get(scope) ?? [];
    this.writing.delete(scope);
    let goesOn = true;
    for (const each of queue) {
      goesOn &&= this.scheduler.chance(0.3);
      each.end(goesOn);
    }
  }

  private valuesOf(scope: string, name: string | undefined): Map<string, unknown> {
    const places = name === undefined ? this.disk : (this.beside.get(scope) ?? new Map<string, Map<string, unknown>>());
    if (name !== undefined) this.beside.set(scope, places);
    const key = name ?? scope;
    const values = places.get(key) ?? new Map<string, unknown>();
    places.set(key, values);
    return values;
  }

  /** What lies beside the record, once all is written that was begun. */
  load(scope: string, name: string, done: (values: ReadonlyMap<string, unknown>) => void): void {
    const { scheduler } = this;
    const at = Math.max(scheduler.now + scheduler.between(0, 10), this.writing.get(scope)?.at(-1)?.at ?? 0);
    scheduler.later(at - scheduler.now, () =>
      done(new Map([...(this.beside.get(scope)?.get(name) ?? [])].map(([key, value]) => [key, clone(value)]))),
    );
  }

  /** At some moment of the wait the transaction is on the disk, as a whole. `name`: it is about what lies beside the record. */
  commit(
    scope: string,
    { set, remove }: Transaction<string>,
    life: number,
    alive: () => boolean,
    done: () => void,
    name?: string,
  ): void {
    const { scheduler, sabotage } = this;
    const copies = set.map(([key, value]) => [key, clone(value)] as const);
    const write = (): void => {
      const values = this.valuesOf(scope, name);
      for (const key of remove) values.delete(key);
      for (const [key, value] of copies) {
        if (sabotage === "forget-the-outbox" && key.startsWith("out/")) continue;
        if (sabotage === "half-transactions" && key !== "meta" && scheduler.chance(0.3)) continue;
        values.set(key, value);
      }
      if (name !== undefined) return;
      this.lives.set(scope, life);
      if (values.size === 0) this.disk.delete(scope);
    };
    const wait = scheduler.chance(0.1) ? scheduler.between(20, 300) : scheduler.between(0, 8);
    const queue = this.writing.get(scope) ?? [];
    this.writing.set(scope, queue);
    const at = Math.max(scheduler.now + wait, queue.at(-1)?.at ?? 0);
    const cancel = scheduler.later(at - scheduler.now, () => {
      queue.shift();
      write();
      const tellAt = Math.max(scheduler.now + scheduler.between(0, 3), this.told.get(scope) ?? 0);
      this.told.set(scope, tellAt);
      scheduler.later(tellAt - scheduler.now, () => alive() && done());
    });
    queue.push({
      at,
      end: (finish) => {
        cancel();
        if (finish) write();
      },
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
  readonly profile: Profile;
  alive = true;
  seen: Seen[] = [];
  /** The app's knowledge begins after this offset. */
  from: Offset | undefined;
  shared: Offset = 0;
  unrestored: readonly Range[] = [];
  /** In which life of the log it was opened last. */
  life = 0;
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
    private readonly around: Surroundings,
    /** How the app's handlers behave. */
    asyncHandlers: boolean,
  ) {
    const { scheduler, sabotage } = device;
    this.scope = device.claim(this, remembered);
    this.profile = device.profiles.get(this.scope) ?? around.profile(this.scope);
    device.profiles.set(this.scope, this.profile);
    const { keepsState, history, confirms, pointStates, secureMessages } = this.profile;
    const alive = (): boolean => this.alive;
    this.engine = new Engine(
      {
        session,
        history,
        required: [],
        outboxCommands: 200,
        outboxBytes: 100_000,
        keepsState,
        checkpointEntries: 5,
        checkpointBytes: 10_000,
        checkpointTime: 60_000,
        pointStates,
        secureMessages,
        secureBytes: 1_000_000,
        confirms,
      },
      {
        now: () => scheduler.now,
        send: (frames) => this.send(frames),
        commit: (transaction, done) => {
          let told = false;
          device.commit(this.scope, transaction, this.life, alive, () => {
            if (told) return;
            told = true;
            done(undefined);
          });
        },
        deliver: (entry, replayed, done) => {
          // Where no state is kept, what comes after a reset is another book; a late handler writes into its own.
          const book = keepsState ? undefined : this.seen;
          const run = (): void => this.handle(entry, replayed, book);
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
        checkpoint: () => {
          this.forgetReached();
          return this.kept();
        },
        restore: (state) => {
          const { seen, from, shared, unrestored } = state as AppState;
          this.seen = [...seen];
          this.from = from;
          this.shared = shared;
          this.unrestored = unrestored;
        },
        fetchState: (point, done) => {
          if ((device.owed.get(this.scope) ?? Infinity) <= point.offset) device.owed.delete(this.scope);
          scheduler.later(scheduler.between(1, scheduler.chance(0.1) ? 800 : 60), () => {
            if (!alive()) return;
            const value = scheduler.chance(0.1) ? undefined : around.fetch(this, point);
            done(value === undefined ? undefined : { value });
          });
        },
        wentBack: (entry, from) => this.wentBack(entry, from),
        reached: (point) => {
          if (keepsState) this.noteReached(point);
          around.reached(this, point);
        },
        defer: (then) => void scheduler.later(0, () => alive() && then()),
        alarm: (at) => {
          this.cancelAlarm();
          if (at !== Infinity)
            this.cancelAlarm = scheduler.later(at - scheduler.now, () => alive() && this.engine.wake());
        },
        changed: () => {
          const { extension, phase, isOver, isForgotten } = this.engine;
          extension?.changed();
          if (phase.kind !== "closed" || !isOver || this.isFinished) return;
          this.isFinished = true;
          extension?.closed(phase.error, isForgotten);
          if (isForgotten) device.beside.delete(this.scope);
        },
        resumed: (resumption) => {
          this.resumptions.push(resumption);
          const { member } = this.engine;
          const known = device.members.get(this.scope) ?? new Set();
          if (member !== undefined) device.members.set(this.scope, known.add(member));
          const before = device.resumptions.get(this.scope) ?? [];
          device.resumptions.set(this.scope, [...before, { life: this.life, resumption }]);
          if (resumption.gap !== undefined)
            device.gaps.set(this.scope, [...(device.gaps.get(this.scope) ?? []), resumption.gap]);
        },
        volatile: (from, event, args) => this.heard(from, event, args),
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
          if (kind !== "ending") around.believe(this, floor);
        },
        folded: () => {},
        refused: (error, command) => {
          for (const item of updatesIn(command)) return this.engine.extension?.refused(item, error);
          this.returned.push({ error, command });
          if (command.type === "messages")
            for (const [, id] of command.items) device.returned.set(String(id), error.code);
        },
        newInstance: () => `i${scheduler.between(0, 1e9)}`,
      },
    );
    around.made(this);
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
      if (kept !== undefined && !keepsState) this.handledUpTo = kept.meta.processed;
      // What was not yet on the disk when its page died was not.
      const reached = device.reached.get(this.scope)?.offsets ?? new Set<Offset>();
      for (const offset of reached) if (offset > (kept?.meta.processed ?? 0)) reached.delete(offset);
      if (kept?.meta.birth !== undefined) this.life = device.lives.get(this.scope) ?? 0;
      this.engine.load(kept);
      this.isLoaded = true;
      for (const then of this.onLoaded.splice(0)) then();
    });
    if (sabotage === "no-rewind") this.engine.outbox.rewind = () => 0;
    sabotageEngine(this.engine, sabotage);
    this.watchConfirmations();
    this.dial();
  }

  private isFinished = false;
  /** A volatile event has come. */
  heard: (from: MemberId | null, event: string, args: readonly unknown[]) => void = () => {};
  private readonly onLoaded: (() => void)[] = [];
  private isLoaded = false;

  /** Runs when the disk has been read. */
  onceLoaded(then: () => void): void {
    if (this.isLoaded) this.device.scheduler.later(0, () => this.alive && then());
    else this.onLoaded.push(then);
  }

  send(frames: readonly ClientFrame[]): void {
    for (const frame of frames) {
      if (frame.type === "commands") this.noteReleases(frame.commands);
      this.around.saying(this, frame);
    }
    this.connection?.up(frames);
  }

  /** The app's state as it is. */
  kept(): AppState {
    // The first one is of an app that has been told nothing: it serves wherever it is let in.
    const from = this.isPristine ? undefined : (this.from ?? this.device.starts.get(this.scope));
    this.isPristine = false;
    return { seen: [...this.seen], from, shared: this.shared, unrestored: this.unrestored };
  }

  private isPristine = true;

  private noteReached(point: Offset): void {
    const known = this.device.reached.get(this.scope);
    const { offsets } = known?.life === this.life ? known : { offsets: new Set<Offset>() };
    this.device.reached.set(this.scope, { life: this.life, offsets: offsets.add(point) });
  }

  /** Whenever a state is kept, older ones may go: not the last few valid ones, the base's, and those to go back to. */
  private forgetReached(): void {
    const known = this.device.reached.get(this.scope);
    if (known?.life !== this.life) return;
    const { base, points, resyncs } = this.engine.state.sync;
    const due = new Set(resyncs.flatMap(({ offset, to }) => (offset > this.engine.processed ? [to] : [])));
    const valid = points.flatMap(({ offset, status }) =>
      status !== "void" && offset > base.offset && known.offsets.has(offset) ? [offset] : [],
    );
    const major = points.find(({ kind, status }) => kind === "major" && status === "open")?.offset;
    const last = new Set([...valid.slice(-this.profile.pointStates), base.offset, major]);
    for (const offset of known.offsets) if (!last.has(offset) && !due.has(offset)) known.offsets.delete(offset);
  }

  private wentBack(entry: Resynchronized, from: RestoredFrom): void {
    if (!this.profile.keepsState || entry.kind === "set") return;
    if (from === "beginning") this.from = 0;
    if (from !== "none") return;
    this.unrestored = [...this.unrestored, { after: entry.to, before: entry.offset }];
    const kept = this.device.reached.get(this.scope);
    if (kept?.life !== this.life || !kept.offsets.has(entry.to)) return;
    this.violations.push(`${this.scope} could not go back to #${entry.to}, though it kept its state there`);
  }

  /** A point is confirmed only when the handlers have come to it, and the app's state is on the disk. */
  private watchConfirmations(): void {
    const { engine, device, scope } = this;
    const submit = engine.submit.bind(engine);
    engine.submit = (command, bytes, settle) => {
      if (command.type === "sync-confirm") {
        const { points } = engine.state.sync;
        const point = points.findLast(({ serial, status }) => serial === command.serial && status !== "void");
        if (point !== undefined) {
          const known = device.confirmed.get(scope) ?? new Set();
          device.confirmed.set(scope, known.add(`${this.life} ${point.offset}`));
          if (this.persisted < point.offset)
            this.violations.push(`${scope} confirms #${point.offset}, and has come to #${this.persisted} on its disk`);
        }
      }
      return submit(command, bytes, settle);
    };
  }

  /** Up to where the disk has the app's state, or the app what it needs. */
  get persisted(): Offset {
    if (!this.profile.keepsState) return this.handledUpTo;
    const values = this.device.disk.get(this.scope);
    const meta = values?.get("meta") as { readonly checkpoint?: string } | undefined;
    const checkpoint = values?.get(meta?.checkpoint ?? "") as { readonly offset: Offset } | undefined;
    return checkpoint?.offset ?? 0;
  }

  /** The last entry that the handlers have finished. */
  private handledUpTo: Offset = 0;

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

  private handle(entry: Entry, replayed: boolean, book: Seen[] | undefined): void {
    const seen = book ?? this.seen;
    if (book === undefined || book === this.seen) this.handledUpTo = lastOffset(entry);
    if (entry.type !== "messages" || documentIn(entry) !== undefined) return;
    entry.items.forEach(([, id], index) => {
      const offset = entry.offset + index;
      const last = seen.at(-1);
      if (last !== undefined && offset <= last[0]) {
        this.violations.push(
          `${this.scope} was given #${offset} (${String(id)}) after #${last[0]}${replayed ? " in a replay" : ""}`,
        );
      }
      seen.push([offset, String(id), entry.to !== undefined]);
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

  submit(command: MemberCommand, id: string, stored: (offset: Offset) => void = () => {}): Sent | undefined {
    return this.track(command, id, (settle) =>
      this.engine.submit(command, 50, {
        ...settle,
        stored: (where) => {
          settle.stored(where);
          stored(where.offset);
        },
      }),
    );
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
      storedLife: 0,
      refused: undefined,
      orphaned: false,
      made:
        this.life === 0
          ? undefined
          : { processed: Math.max(this.engine.processed, this.device.floors.get(this.scope) ?? 0), life: this.life },
    };
    try {
      sent.seq = submit({
        queued: () => (sent.queued = true),
        stored: ({ offset }) => {
          sent.stored = offset;
          sent.storedLife = this.life;
        },
        refused: (error) => (sent.refused = error),
      });
    } catch {
      return undefined;
    }
    this.around.sent.push(sent);
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
            this.follow(frame, connection.life);
            this.around.overhear(this, frame);
            this.noteOwed(frame);
            this.engine.frame(frame);
            // It goes on from a state of its own.
            if (frame.type === "view" && this.engine.phase.kind === "opening") this.device.owed.delete(this.scope);
            if (this.device.sabotage === "lease-from-the-answer") this.engine["tenure"]["witnessed"] = scheduler.now;
          }
        },
        lost: () => {
          if (this.connection === connection) this.hangUp(backoff(this.attempt++, scheduler.random()));
        },
      },
      this.around.latency,
    );
    this.connection = connection;
    // A connection that does not come about is given up.
    this.cancelBeat();
    this.cancelBeat = scheduler.later(
      5_000,
      () => this.connection === connection && this.hangUp(backoff(this.attempt++, scheduler.random())),
    );
  }

  /** Nothing of an opening counts before the state has come that belongs to it. */
  private follow(frame: ServerFrame, life: number): void {
    const { phase } = this.engine;
    if (frame.type === "opened" && phase.kind === "opening" && frame.outcome.kind === "resumed")
      this.opened(frame, life);
    if (frame.type === "view" && phase.kind === "viewing") this.opened(phase.opened, life);
  }

  /** Who is let in anew, and keeps its state, takes up what is shared at the last point within its history. */
  private noteOwed(frame: ServerFrame): void {
    const { phase } = this.engine;
    if (frame.type !== "view" || phase.kind !== "viewing" || !this.profile.keepsState) return;
    const { outcome, start } = phase.opened;
    const point = frame.view.sync.points.findLast(({ state, status }) => state !== undefined && status !== "void");
    this.device.owed.delete(this.scope);
    if (outcome.kind !== "snapshot" && outcome.kind !== "resumed" && point !== undefined && point.offset >= start)
      if (outcome.kind === "joined" || outcome.why !== "member-unknown") this.device.owed.set(this.scope, point.offset);
  }

  private opened({ outcome, start, head }: OpenedFrame, life: number): void {
    this.life = life;
    const anew = outcome.kind === "reset" && outcome.why !== "member-unknown";
    if (outcome.kind === "joined" || anew) {
      this.device.starts.set(this.scope, start);
      this.device.reached.delete(this.scope);
      // What it was asked to confirm before was never for it.
      this.handledUpTo = start;
      this.device.floors.set(this.scope, head);
    }
    if ("gap" in outcome && outcome.gap !== undefined) {
      const { to } = outcome.gap;
      this.handledUpTo = Math.max(this.handledUpTo, to);
      this.device.floors.set(this.scope, Math.max(this.device.floors.get(this.scope) ?? 0, to));
    }
    if (!anew) return;
    if (!this.profile.keepsState) this.seen = [];
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
    this.around.dying(this);
    this.alive = false;
    if (this.wasPutOut) this.device.putOut.add(this.scope);
    this.held.clear();
    this.cancelAlarm();
    this.cancelBeat();
    this.cancelDial();
    this.connection?.hangUp();
    if (this.device.locks.get(this.scope) === this) this.device.locks.delete(this.scope);
    this.device.died(this.scope);
    this.around.died(this);
    for (const sent of this.around.sent)
      if (sent.scope === this.scope && sent.refused === undefined) sent.orphaned = true;
  }

  /** It reported that it cannot go on, and was put out; or the session has ended. What it had is gone with it. */
  get wasPutOut(): boolean {
    const { phase } = this.engine;
    return (
      phase.kind === "closed" && (phase.error.details["how"] === "removed" || phase.error.code === "SESSION_ENDED")
    );
  }

  get member(): MemberId | undefined {
    return this.engine.member;
  }
}
