/** One history: pages, nodes, a store and a network between them, faults by chance, and then the promises, as code. */

import {
  defaultConfig,
  defaultFloor,
  documentIn,
  type Entry,
  emptyState,
  type FloorConfig,
  fold,
  foldAll,
  fromRecord,
  isVisible,
  lastOffset,
  type MemberId,
  type Messages,
  type SessionConfig,
  type SessionState,
  toRecord,
  toView,
  type UserId,
} from "@rostrum/protocol";
import { Scheduler } from "@rostrum/testing";
import { checkSerials } from "../../packages/protocol/src/sync/oracle.fixture.ts";
import { ActivityPlay, activityFaults, Confidences, stuckActivities } from "./activities.ts";
import { type AppState, Device, Page, type Profile, type Sent, type Surroundings } from "./device.ts";
import { DocumentPlay, rogueUser, withDocuments } from "./documents.ts";
import { FloorPlay, floorFaults, guardIn, stuckFloors } from "./floors.ts";
import { SimNode, session } from "./node.ts";
import { type Sabotage, type WorldKind, worldOf } from "./sabotage.ts";
import { type Copy, SimStore } from "./store.ts";
import { Generations, SyncPlay, stuckSync, takenBack } from "./sync.ts";

export interface Report {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly events: number;
  readonly history: readonly string[];
}

const floor = (options: Partial<FloorConfig>): FloorConfig => ({ ...defaultFloor, warning: 500, ...options });

const config: SessionConfig = {
  ...defaultConfig,
  floors: {
    mic: floor({ grace: 3_000, maxQueue: 2, maxHold: 8_000, warning: 1_000 }),
    desk: floor({ capacity: 2, grace: 1_000, maxQueue: 10, order: "priority", preempt: true }),
    chair: floor({ grace: 2_000 }),
    stage: floor({ grace: 1_500, policy: "chair", chair: "chair", unchaired: "queue", order: "least-spoken" }),
    "cell:*": floor({ grace: 500, maxQueue: 2, policy: "first-come" }),
  },
  guards: { speak: "mic", "stage:*": "stage" },
  dialog: { mode: "full-duplex", typed: ["note", "speak"], answerWithin: 5_000 },
  roles: { member: ["emit", "volatile", "floor", "sync", "dialog", "activity"], boss: ["*"] },
  sync: { ...defaultConfig.sync, confirmWithin: 5_000 },
  activities: { ...defaultConfig.activities, most: 8, resumeWithin: 6_000 },
  history: { last: 50 },
  maxMembers: 50,
  memberGrace: 120_000,
  forgetAfter: 600_000,
};

/** A state on the server, and what its sender had been told is missing in it. */
interface Blob {
  readonly state: AppState;
  readonly gaps: readonly { readonly from: number; readonly to: number }[];
}

interface Tab {
  page: Page;
  readonly device: Device;
  readonly asyncHandlers: boolean;
  closed: boolean;
}

/** `kind`: what there must be much of, whatever the seed says. */
export const play = (
  seed: number,
  sabotage: Sabotage = "none",
  verbose = false,
  kind: WorldKind | undefined = worldOf[sabotage],
): Report => {
  const world = new World(seed, sabotage, verbose, kind);
  try {
    world.run();
  } catch (error) {
    world.violations.push(`crash: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  const log = verbose ? world.log() : [];
  return { seed, violations: world.violations, events: world.scheduler.ran, history: [...world.history, ...log] };
};

class World {
  readonly scheduler: Scheduler;
  readonly history: string[] = [];
  readonly violations: string[] = [];
  private readonly store: SimStore;
  private readonly nodes: SimNode[] = [];
  private readonly devices: Device[] = [];
  private readonly tabs: Tab[] = [];
  private readonly sent: Sent[] = [];
  private readonly floorPlay: FloorPlay;
  private readonly gone: { readonly page: Page; readonly how: "released" | "aborted"; readonly life: number }[] = [];
  private readonly lives = new Set<string>();
  private calm = false;
  private readonly contended: boolean;
  /** Much is done with sync points. */
  private readonly synced: boolean;
  /** The log is lost now and then, and an older copy takes its place. */
  private readonly fragile: boolean;
  private readonly copies: Copy[] = [];
  /** Much is done with activities. */
  private readonly active: boolean;
  private readonly activityPlay: ActivityPlay;
  private readonly confidences = new Confidences();
  /** The shared states that were sent as a whole, by activity. */
  private readonly blobs = new Map<number, Blob>();
  private lostAt = -Infinity;
  private readonly syncPlay: SyncPlay;
  /** Absent: there are none. */
  private readonly documents: DocumentPlay | undefined;
  /** How much of what is done is done with documents. */
  private readonly documented: number;
  private readonly around: Surroundings;
  private ids = 0;

  constructor(
    seed: number,
    private readonly sabotage: Sabotage,
    private readonly verbose: boolean,
    kind: WorldKind | undefined,
  ) {
    this.scheduler = new Scheduler(seed);
    const { scheduler } = this;
    this.store = new SimStore(scheduler, sabotage);
    this.contended = contending.has(sabotage) || scheduler.chance(0.2);
    const isOfDocuments = kind === "document";
    this.synced = isOfDocuments
      ? scheduler.chance(0.3)
      : kind !== undefined || (!this.contended && scheduler.chance(0.4));
    this.floorPlay = new FloorPlay(
      scheduler,
      this.contended,
      (text) => this.note(text),
      () => this.newId(),
    );
    this.fragile = kind === "loss" || scheduler.chance(isOfDocuments ? 0.3 : 0.15);
    // By the seed itself, so that the others play as they did without documents.
    if (isOfDocuments || (kind === undefined && seed % 8 === 0)) this.documents = this.withDocuments();
    this.documented = isOfDocuments ? 0.6 : 0.15;
    this.copies.push(this.store.copy());
    this.active = kind === "activity" || (this.synced && scheduler.chance(0.3));
    const count = this.contended || scheduler.chance(0.4) ? 2 : 1;
    const sync = {
      ...config.sync,
      points: scheduler.pick([6, 64]) ?? 64,
      exception: scheduler.pick(["tell", "restart", "restart", "remove"] as const) ?? "tell",
    };
    const options = {
      config: sabotaged(
        this.documents === undefined ? { ...config, sync } : withDocuments({ ...config, sync }, scheduler),
        sabotage,
      ),
      retention: { count: scheduler.pick([5, 20, 10_000]) ?? 20, bytes: 1e9, age: 1e9, updates: 5, updateBytes: 1e9 },
      snapshotEvery: scheduler.pick([5, 15, 1_000]) ?? 15,
      flicker: scheduler.pick([0, 500, 2_000]) ?? 500,
    };
    for (let index = 0; index < count; index += 1) {
      this.nodes.push(
        new SimNode(
          `n${index}`,
          scheduler,
          this.store,
          options,
          (life) => this.lives.has(life),
          sabotage,
          this.lives,
          this.refused,
          this.documents,
        ),
      );
    }
    this.store.placed = (entry) => this.placed(entry);
    this.syncPlay = new SyncPlay(
      scheduler,
      this.nodes,
      (text) => this.note(text),
      () => this.newId(),
    );
    this.activityPlay = new ActivityPlay(
      scheduler,
      this.nodes,
      (text) => this.note(text),
      () => this.newId(),
    );
    this.around = {
      latency: this.latency,
      sent: this.sent,
      believe: (_, name) => this.checkBelief(name),
      reached: (page, point) => this.share(page, point),
      fetch: (page, point) => this.fetch(page, point.state ?? 0),
      made: (page) => this.documents?.attach(page),
      dying: (page) => this.documents?.dying(page),
      died: (page) => this.documents?.died(page),
      saying: (page, frame) => this.documents?.saying(page, frame),
      overhear: (page, frame) => {
        this.documents?.overhear(page, frame);
        const member =
          frame.type === "view" && page.engine.phase.kind === "viewing" ? page.engine.phase.opened.member : page.member;
        if (member === undefined || page.life !== this.store.life) return;
        for (const text of this.confidences.faults(frame, member, page.device.user)) this.fail(text);
      },
      profile: () => this.profile(),
    };
    const begin = (user: string, name?: string): void => {
      const device = new Device(scheduler, user, sabotage, name);
      this.devices.push(device);
      this.openTab(device, undefined);
    };
    for (let index = 0; index < scheduler.between(1, 3); index += 1) begin(`u${index}`);
    if (isOfDocuments && scheduler.chance(0.5)) begin(rogueUser);
    if (isOfDocuments && scheduler.chance(0.5)) begin("u0", "u0-again");
  }

  private withDocuments(): DocumentPlay {
    const { scheduler, nodes, store, sabotage } = this;
    return new DocumentPlay({
      scheduler,
      nodes,
      store,
      sabotage,
      note: (text) => this.note(text),
      fail: (text) => this.fail(text),
      newId: () => this.newId(),
      userOf: (member) => this.userOf(member),
    });
  }

  /** The log, as the store has it at the end, and who sits where. */
  log(): readonly string[] {
    const pages = this.tabs.map(
      ({ page }) =>
        `${page.scope} is ${page.member ?? "nobody"}, ${page.alive ? page.engine.phase.kind : "dead"}${page.engine.phase.kind === "closed" ? ` (${page.engine.phase.error.message})` : ""}, ${page.engine.received}/${page.engine.processed}, ${page.engine.outbox.size} unsent, ${JSON.stringify(page.resumptions)}${page.warnings.map((warning) => `\n  ${warning}`).join("")}`,
    );
    const shown = (_: string, value: unknown): unknown =>
      value instanceof Uint8Array ? `${value.length} bytes` : value;
    return [...pages, ...this.store.truth.map((entry) => JSON.stringify(entry, shown))];
  }

  private note(text: string): void {
    if (this.verbose) this.history.push(`${this.scheduler.now.toFixed(0).padStart(8)}  ${text}`);
  }

  private fail(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  private readonly latency = (): number => {
    const { scheduler } = this;
    if (this.calm) return scheduler.between(1, 5);
    if (this.lag !== undefined) return this.lag;
    return scheduler.chance(0.05) ? scheduler.between(100, 1_500) : scheduler.between(0, 30);
  };

  private page(device: Device, remembered: string | undefined, asyncHandlers: boolean): Page {
    const route = (): SimNode => this.scheduler.pick(this.nodes.filter(({ up }) => up)) ?? (this.nodes[0] as SimNode);
    return new Page(device, remembered, route, this.around, asyncHandlers);
  }

  /** How a new tab's app is made. */
  private profile(): Profile {
    const { scheduler } = this;
    if (!this.synced)
      return {
        keepsState: true,
        history: { last: 50 },
        confirms: true,
        pointStates: 4,
        secureMessages: 1_000,
      };
    return {
      keepsState: scheduler.chance(0.85),
      history: scheduler.chance(0.3) ? { since: "state" } : { last: scheduler.pick([5, 50]) ?? 50 },
      confirms: scheduler.chance(0.85),
      pointStates: scheduler.pick([1, 4]) ?? 4,
      secureMessages: scheduler.chance(0.9) ? 1_000 : 3,
    };
  }

  /** An entry is stored, now. */
  private placed(entry: Entry): void {
    const { truth, lost } = this.store;
    this.confidences.placed(entry, (member) => this.userOf(member));
    this.documents?.placed(entry);
    if (entry.type !== "sync-confirmed") return;
    const point = truth.findLast((each) => each.type === "sync-point" && each.serial === entry.serial)?.offset ?? 0;
    // What was meant in a log that was lost counts if the point is in the next as well.
    const lives = [this.store.life];
    for (let each = lost.length; each > 0 && point <= (lost[each - 1]?.kept ?? 0); each -= 1) lives.push(each);
    const meant = this.devices.some((device) =>
      [...device.members].some(
        ([scope, members]) =>
          members.has(entry.member) && lives.some((life) => device.confirmed.get(scope)?.has(`${life} ${point}`)),
      ),
    );
    if (!meant) this.fail(`sync: #${entry.offset} confirms #${point}, which ${entry.member} did not mean`);
  }

  private userOf(member: MemberId): UserId | undefined {
    const joined = this.store.truth.findLast((entry) => entry.type === "joined" && entry.member === member);
    return joined?.type === "joined" ? joined.user : undefined;
  }

  /** Who set a point sends its state to the server, some do; it takes a while, and its page may die over it. */
  private share(page: Page, offset: number): void {
    const { scheduler } = this;
    const point = page.engine.state.sync.points.find((each) => each.offset === offset);
    const kept = page.engine.stateAt(offset)?.state as AppState | undefined;
    if (!this.synced || kept === undefined || point?.by !== page.member || !scheduler.chance(0.6)) return;
    const { from = (kept.seen[0]?.[0] ?? offset + 1) - 1, seen, unrestored } = kept;
    const state: AppState = { from, shared: offset, unrestored, seen: seen.filter(([, , secret]) => !secret) };
    const blob = { state, gaps: [...(page.device.gaps.get(page.scope) ?? [])] };
    scheduler.later(scheduler.between(0, 300), () => {
      if (!page.alive) return;
      this.note(`${page.scope} shares its state at #${offset}`);
      page.submit({ type: "activity-start", name: "state", kind: "state", point: offset }, this.newId(), (id) => {
        const { life } = page;
        scheduler.later(scheduler.between(10, 1_500), () => this.upload(page, id, life, blob, 20));
      });
    });
  }

  private upload(page: Page, id: number, life: number, blob: Blob, tries: number): void {
    if (!page.live || page.life !== life || life !== this.store.life) return;
    const host = this.nodes.find((node) => node.up && node.host !== undefined)?.host;
    if (host === undefined) {
      if (tries > 0) this.scheduler.later(300, () => this.upload(page, id, life, blob, tries - 1));
      return;
    }
    this.blobs.set(id, blob);
    const data = { bytes: blob.state.seen.length, digest: "" };
    host.submit({ from: null, command: { type: "activity-point", activity: id, run: id, data } });
    host.submit({ from: null, command: { type: "activity-end", activity: id, run: id } });
  }

  private fetch(page: Page, activity: number): AppState | undefined {
    const blob = this.sabotage === "state-of-another-point" ? [...this.blobs.values()][0] : this.blobs.get(activity);
    if (blob === undefined) return undefined;
    const { device, scope } = page;
    device.gaps.set(scope, [...(device.gaps.get(scope) ?? []), ...blob.gaps]);
    return blob.state;
  }

  /** Messages that were refused, by id: with what. */
  private readonly refused = new Map<string, string>();

  private openTab(device: Device, copied: string | undefined): void {
    const asyncHandlers = this.scheduler.chance(0.5);
    const page = this.page(device, copied, asyncHandlers);
    this.tabs.push({ page, device, asyncHandlers, closed: false });
    this.note(`${device.user} opens a tab${copied === undefined ? "" : ` as a copy of ${copied}`}: ${page.scope}`);
  }

  run(): void {
    const { scheduler } = this;
    const steps = scheduler.between(15, 60);
    for (let step = 0; step < steps; step += 1) {
      scheduler.runUntil(
        scheduler.now + (scheduler.chance(0.1) ? scheduler.between(500, 6_000) : scheduler.between(0, 120)),
      );
      this.act();
    }
    this.heal();
    this.check();
  }

  private act(): void {
    const { scheduler } = this;
    const tab = scheduler.pick(this.tabs.filter(({ closed }) => !closed));
    if (this.fragile && scheduler.chance(0.2)) this.copies.push(this.store.copy());
    if (this.fragile && this.store.lost.length < 3 && scheduler.chance(0.05)) return this.lose();
    if (this.fragile && this.store.lost.length < 2 && tab !== undefined && scheduler.chance(0.03))
      return this.loseWhatWasBehind(tab.page);
    const dice = scheduler.random();
    if (tab === undefined || dice < 0.02) {
      const device = scheduler.pick(this.devices);
      if (device !== undefined && this.tabs.filter(({ closed }) => !closed).length < 5) this.openTab(device, undefined);
      return;
    }
    const { page } = tab;
    if (this.documents !== undefined && scheduler.chance(this.documented)) {
      const others = this.tabs.flatMap((each) => (each === tab || each.closed ? [] : [each.page]));
      return this.documents.act(page, others);
    }
    // Where a floor is contended, half of what is done is done with it, and what has to do with time goes wrong more often.
    if (this.contended && scheduler.chance(0.5)) return this.floorPlay.act(page);
    if (this.contended && scheduler.chance(0.15)) return this.strand(page);
    if (this.contended && scheduler.chance(0.1)) return this.duel(page);
    if (this.active && scheduler.chance(0.3)) {
      return this.activityPlay.act(
        page,
        this.tabs.flatMap((each) => (each === tab || each.closed ? [] : [each.page])),
      );
    }
    // Where much is done with sync points, a third of what is done is done with them, sometimes by two at once.
    if (this.synced && scheduler.chance(0.35)) {
      this.syncPlay.act(page);
      if (scheduler.chance(0.15)) this.collide(page);
      return;
    }
    if (dice < 0.5) this.emit(page);
    else if (dice < 0.58) this.floorPlay.act(page);
    else if (dice < 0.61) this.syncPlay.minor(page);
    else if (dice < 0.68) {
      this.note(`${page.scope}: the link is cut`);
      page.link?.cut();
    } else if (dice < 0.74) {
      const up = scheduler.chance(0.7);
      const down = !up || scheduler.chance(0.6);
      this.note(`${page.scope}: the link goes half-open${up ? " up" : ""}${down ? " down" : ""}`);
      if (page.link !== undefined) {
        page.link.deafUp ||= up;
        page.link.deafDown ||= down;
      }
    } else if (dice < 0.82) {
      this.note(`${page.scope}: the page dies and comes back`);
      page.crash();
      tab.page = this.page(tab.device, page.scope, tab.asyncHandlers);
    } else if (dice < 0.84) {
      this.note(`${page.scope}: the tab is closed by a crash`);
      page.crash();
      tab.closed = true;
    } else if (dice < 0.86 && this.tabs.length < 6) this.openTab(tab.device, page.scope);
    else if (dice < 0.91) {
      const node = scheduler.pick(this.nodes);
      if (node?.up === true) {
        this.note(`${node.name} is killed`);
        node.kill();
        scheduler.later(scheduler.between(50, 4_000), () => {
          node.restart();
          this.note(`${node.name} is back`);
        });
        scheduler.later(1_000, () => this.nodes.forEach((each) => each.nodesChanged()));
      }
    } else if (dice < 0.93) {
      this.note("the disk is full for a while");
      this.store.full = true;
      scheduler.later(scheduler.between(100, 3_000), () => (this.store.full = false));
    } else if (dice < 0.95) {
      this.note("the disk is slow for a while");
      this.store.slow = true;
      scheduler.later(scheduler.between(500, 4_000), () => (this.store.slow = false));
    } else if (dice < 0.97) {
      const which = scheduler.pick([() => this.jump(), () => this.goOffline(page), () => this.dawdle(page)]);
      which?.();
    } else if (dice < 0.985) {
      this.note(`${page.scope} releases`);
      if (page.engine.phase.kind === "closed") return;
      try {
        page.release();
        this.gone.push({ page, how: "released", life: this.store.life });
        tab.closed = true;
      } catch {
        // Already on its way out.
      }
    } else {
      this.note(`${page.scope} aborts`);
      page.engine.abort("enough");
      this.gone.push({ page, how: "aborted", life: this.store.life });
      tab.closed = true;
    }
  }

  /** The disk is lost, and all servers with it. What was copied a while ago takes its place, or nothing does. */
  private lose(known?: Copy): void {
    const { scheduler, store } = this;
    const away = scheduler.chance(0.6)
      ? scheduler.pick(this.tabs.filter(({ closed, page }) => !closed && page.alive))
      : undefined;
    // Somebody hears of it only when the log has grown again.
    if (away !== undefined) this.goOffline(away.page);
    for (const node of this.nodes) node.kill();
    const [nothing] = this.copies;
    const copy = known ?? (scheduler.chance(0.15) ? nothing : scheduler.pick(this.copies.slice(-4)));
    if (copy === undefined) return;
    this.note(`the log is lost at #${store.head}; a copy takes its place that has #${copy.head}`);
    store.restore(copy);
    this.documents?.lost();
    this.lostAt = scheduler.now;
    this.confidences.lost(copy.head);
    for (const id of this.blobs.keys()) if (id > copy.head) this.blobs.delete(id);
    while (this.copies.length > 1 && (this.copies.at(-1)?.head ?? 0) > copy.head) this.copies.pop();
    for (const node of this.nodes) {
      scheduler.later(scheduler.between(10, 1_500), () => {
        node.restart();
        this.note(`${node.name} is back`);
      });
    }
    if (away === undefined) return;
    for (let each = scheduler.between(1, 12); each > 0; each -= 1) {
      const other = scheduler.pick(this.tabs.filter((tab) => tab !== away && !tab.closed && tab.page.alive))?.page;
      if (other !== undefined) scheduler.later(scheduler.between(100, 3_000), () => other.alive && this.emit(other));
    }
  }

  /** A resynchronization is lost that an app had been told of and had not come to. */
  private loseWhatWasBehind(page: Page): void {
    const { scheduler } = this;
    const other = this.tabs.find((tab) => !tab.closed && tab.page !== page && tab.page.live)?.page;
    if (other === undefined || !page.live) return;
    page.slowHandlers = true;
    for (let each = 0; each < 6; each += 1) other.emit(["note", this.newId()], undefined, `x${this.ids}`);
    scheduler.runUntil(scheduler.now + scheduler.between(100, 400));
    const copy = this.store.copy();
    if (other.alive) this.syncPlay.resynchronize(other);
    scheduler.runUntil(scheduler.now + scheduler.between(200, 4_000));
    this.lose(copy);
    scheduler.later(scheduler.between(500, 3_000), () => (page.slowHandlers = false));
  }

  /** Several go back at once. */
  private collide(page: Page): void {
    for (const { page: each, closed } of this.tabs) {
      if (!closed && each.alive && (each === page || this.scheduler.chance(0.5))) this.syncPlay.resynchronize(each);
    }
  }

  private jump(): void {
    const node = this.scheduler.pick(this.nodes);
    if (node !== undefined) node.skew = this.scheduler.between(-3_000, 3_000);
    this.note(`${node?.name ?? ""}: the clock jumps to ${node?.skew ?? 0} ms off`);
  }

  /** The app takes its time over what it is given: the server stops telling until it has credit again. */
  private dawdle(page: Page): void {
    this.note(`${page.scope}: the handlers are slow for a while`);
    page.slowHandlers = true;
    this.scheduler.later(this.scheduler.between(1_000, 8_000), () => (page.slowHandlers = false));
  }

  private goOffline(page: Page): void {
    const milliseconds = this.scheduler.between(1_000, 9_000);
    this.note(`${page.scope}: no network for ${milliseconds} ms`);
    page.goOffline(milliseconds);
  }

  /** Things that go badly together for who holds a floor that others want. */
  private strand(page: Page): void {
    const { scheduler } = this;
    const holder = this.tabs.find(({ page: each, closed }) => !closed && each.held.size > 0)?.page ?? page;
    const dice = scheduler.random();
    if (dice < 0.4) {
      this.goOffline(holder);
      if (scheduler.chance(0.6)) scheduler.later(scheduler.between(500, 4_000), () => this.jump());
    } else if (dice < 0.7) {
      // It hears nothing of its revoke, because it owes for so much else.
      this.dawdle(holder);
      for (const { page: other, closed } of this.tabs) {
        if (closed || other === holder) continue;
        for (let each = 0; each < 12; each += 1) other.emit(["note", this.newId()], undefined, `x${this.ids}`);
        if (holder.member !== undefined)
          scheduler.later(200, () => this.floorPlay.revoke(other, "mic", holder.member as MemberId));
      }
    } else if (dice < 0.85) {
      // Some of what is on the disk together is refused, and the page dies before the rest is decided: the window has room
      // for eight, so what comes after the request waits for its answer.
      const other = this.tabs.find((each) => !each.closed && each.page !== page)?.page;
      if (other !== undefined) this.floorPlay.request(other, "cell:1");
      scheduler.runUntil(scheduler.now + scheduler.between(20, 200));
      if (!page.alive) return;
      for (let each = 0; each < 12; each += 1) {
        if (each === 7) this.floorPlay.request(page, "cell:1");
        page.emit(["note", this.newId()], undefined, `x${this.ids}`);
      }
      if (other !== undefined)
        scheduler.later(scheduler.between(20, 100), () => this.floorPlay.cancel(other, "cell:1"));
      const tab = this.tabs.find((each) => each.page === page);
      scheduler.later(scheduler.between(5, 120), () => {
        if (tab === undefined || tab.closed || tab.page !== page || !page.alive) return;
        this.note(`${page.scope}: the page dies and comes back`);
        page.crash();
        tab.page = this.page(tab.device, page.scope, tab.asyncHandlers);
      });
    } else this.jump();
  }

  /** One holds the floor and another waits for it; then the holder is cut off in one of the ways that a lease is for. */
  private duel(waiting: Page): void {
    const { scheduler } = this;
    const holder = this.tabs.find(({ page, closed }) => !closed && page !== waiting && page.live)?.page;
    if (holder === undefined) return;
    this.note(`${holder.scope} and ${waiting.scope} want the same floor`);
    for (const page of [holder, waiting]) {
      this.floorPlay.request(page, "mic");
      scheduler.runUntil(scheduler.now + scheduler.between(50, 300));
    }
    const { member } = holder;
    if (member === undefined || !holder.alive || !waiting.alive) return;
    const away = scheduler.between(4_000, 8_000);
    scheduler.pick([
      // The server's clock steps while it waits for the lease.
      () => {
        this.note(`${holder.scope}: no network for ${away} ms, and the clocks step`);
        holder.goOffline(away);
        for (const node of this.nodes) scheduler.later(scheduler.between(800, 2_500), () => (node.skew += 2_900));
      },
      // It is revoked while it owes for so much else that it is told nothing, though it is answered.
      () => {
        this.note(`${holder.scope}: slow handlers, and a revoke`);
        holder.slowHandlers = true;
        for (let each = 0; each < 40; each += 1) waiting.emit(["note", this.newId()], undefined, `x${this.ids}`);
        scheduler.later(scheduler.between(300, 800), () => {
          const command = { type: "floor-revoke", floor: "mic", member } as const;
          this.nodes.find(({ host }) => host !== undefined)?.host?.submit({ from: null, command });
        });
        scheduler.later(away + 3_000, () => (holder.slowHandlers = false));
      },
      // The server loses it while an answer is long under way.
      () => {
        this.note(`${holder.scope}: the server loses it while it still hears`);
        this.lag = 1_400;
        waiting.emit(["note", this.newId()], undefined, `x${this.ids}`);
        const { link } = holder;
        scheduler.later(100, () => {
          this.lag = undefined;
          if (link !== undefined) link.deafUp = true;
          link?.dropServer();
          holder.offlineUntil = scheduler.now + away;
        });
      },
    ])?.();
    scheduler.runUntil(scheduler.now + away);
  }

  private lag: number | undefined;

  private newId(): string {
    this.ids += 1;
    return `x${this.ids}`;
  }

  private emit(page: Page): void {
    const { scheduler } = this;
    const dice = scheduler.random();
    const guarded = this.contended ? 0.6 : 0.15;
    const event = dice < guarded ? "speak" : dice < guarded + 0.04 ? "stage:word" : dice < 0.25 ? "word" : "note";
    const others = [...page.engine.state.members.keys()];
    const to = scheduler.chance(0.2)
      ? ([scheduler.pick(others)].filter((id) => id !== undefined) as MemberId[])
      : undefined;
    for (let count = scheduler.chance(0.2) ? scheduler.between(2, 12) : 1; count > 0; count -= 1) {
      const id = this.newId();
      this.note(`${page.scope} emits ${event} ${id}${to === undefined ? "" : ` to ${to.join()}`}`);
      page.emit([event, id], to === undefined || to.length === 0 ? undefined : to, id);
    }
  }

  /** At this instant of true time, no more may believe that they hold a floor than it ever had places. */
  private checkBelief(name: string): void {
    // A server that begins anew knows nothing of the leases that were granted in what it has lost.
    if (this.scheduler.now < this.lostAt + 10_000) return;
    const holding = this.tabs.filter(({ page }) => [...page.held.values()].includes(name));
    if (holding.length > this.floorPlay.mostOf(name, config))
      this.fail(
        `one speaker: at ${this.scheduler.now.toFixed(0)} ${holding.map(({ page }) => page.scope).join(" and ")} believe that they hold ${name}`,
      );
  }

  /** The faults end. Everything must come right by itself. */
  private heal(): void {
    const { scheduler } = this;
    this.note("the faults end");
    this.calm = true;
    this.store.full = this.store.slow = false;
    for (const node of this.nodes) node.restart();
    for (const { page } of this.tabs) {
      page.slowHandlers = false;
      page.offlineUntil = 0;
    }
    // Dead tabs are opened again, so that what they left unsent is sent.
    for (const device of this.devices) {
      for (const scope of device.disk.keys()) if (!device.locks.has(scope)) this.openTab(device, scope);
    }
    const settled = (): boolean =>
      this.tabs.every(({ page, closed }) => closed || !page.alive || (page.live && page.engine.outbox.size === 0)) &&
      this.documents?.isSettled !== false;
    scheduler.runUntil(scheduler.now + 60_000);
    this.documents?.heal(this.tabs.flatMap(({ page, closed }) => (closed ? [] : [page])));
    this.nodes.forEach((node) => node.nodesChanged());
    for (let wait = 0; wait < 20 && !settled(); wait += 1) scheduler.runUntil(scheduler.now + 10_000);
    // One more message each, so that everybody has to be told of something after the faults.
    for (const { page, closed } of this.tabs) {
      if (!closed && page.live) page.emit(["note", this.newId()], undefined, `x${this.ids}`);
    }
    scheduler.runUntil(scheduler.now + 40_000);
  }

  private check(): void {
    const { truth } = this.store;
    const state = this.checkLog(truth);
    if (state.ended !== null) {
      // Everybody agreed to a release. What was stored is stored; nobody is expected back.
      for (const { page } of this.tabs) for (const text of page.violations) this.fail(`once: ${text}`);
      return this.checkRestored(state);
    }
    this.checkSent(truth);
    this.checkLost(truth);
    for (const { page, closed } of this.tabs) {
      for (const text of page.violations) this.fail(`once: ${text}`);
      if (closed || !page.alive || page.wasPutOut) continue;
      if (!page.live) this.fail(`resume: ${page.scope} is ${page.engine.phase.kind} long after the faults ended`);
      else this.checkPage(page, truth, state);
    }
    for (const { page, how } of this.gone) {
      const { member } = page;
      if (how === "released" && page.alive && page.engine.phase.kind !== "closed")
        this.fail(`release: ${page.scope} never got away`);
      const known = member === undefined ? undefined : state.members.get(member);
      const { life } = this.gone.find((each) => each.page === page) ?? { life: 0 };
      if (how === "released" && page.alive && known !== undefined && life === this.store.life)
        this.fail(`release: ${page.scope} is still a member after its release`);
    }
    this.checkRestored(state);
    this.documents?.check(state);
  }

  /**
   * What was acknowledged and is not there any more was sent again by who still has it; if not, somebody was told, or it had
   * been taken back.
   */
  private checkLost(truth: readonly Entry[]): void {
    if (this.store.lost.length === 0) return;
    const present = new Set(
      truth.flatMap((entry) => (entry.type === "messages" ? entry.items.map(([, id]) => String(id)) : [])),
    );
    for (const { id, scope, command, queued, stored, storedLife, orphaned } of this.sent) {
      if (command.type !== "messages" || stored === undefined || present.has(id)) continue;
      const tab = this.tabs.find(({ page }) => page.scope === scope && page.alive);
      if (tab === undefined || tab.closed || this.isOver(scope)) continue;
      if (this.gone.some(({ page }) => page.scope === scope)) continue;
      // It died with its page: it was acknowledged before it was on the disk.
      if (orphaned && !queued) continue;
      if (this.refused.has(id) || this.wasTold(tab.device, scope, id)) continue;
      this.fail(
        `stored: ${id} of ${scope} was acknowledged at #${stored} in log ${storedLife}, was lost with it, and nobody was told`,
      );
    }
  }

  /** Where a message was in the logs that were lost, and whether it had been taken back there. */
  private get inLost(): ReadonlyMap<string, readonly { readonly offset: number; readonly isVoid: boolean }[]> {
    if (this.foundLost !== undefined) return this.foundLost;
    const found = new Map<string, { readonly offset: number; readonly isVoid: boolean }[]>();
    for (const { truth } of this.store.lost) {
      const isVoid = takenBack(truth);
      for (const entry of truth) {
        if (entry.type !== "messages") continue;
        entry.items.forEach(([, id], item) => {
          const offset = entry.offset + item;
          found.set(String(id), [...(found.get(String(id)) ?? []), { offset, isVoid: isVoid(offset) }]);
        });
      }
    }
    this.foundLost = found;
    return found;
  }

  private foundLost: World["inLost"] | undefined;

  /** What was lost with a log was handed back, was void, or is among what its page said may be lost. */
  private wasTold(device: Device, scope: string, id: string): boolean {
    // Whether it was refused because of a resynchronization, or as its member had been put out, the log may no longer tell.
    const refusals =
      this.store.lost.length > 0 ||
      this.store.truth.some(
        (entry) => entry.type === "resynchronized" || (entry.type === "left" && entry.how === "removed"),
      );
    if (refusals && device.returned.has(id)) return true;
    return (this.inLost.get(id) ?? []).some(
      ({ offset, isVoid }) =>
        isVoid ||
        (device.resumptions.get(scope) ?? []).some(
          ({ resumption: { unsaved } }) => unsaved !== undefined && unsaved.from <= offset && offset <= unsaved.to,
        ),
    );
  }

  /** Everything that can be said of the log alone. Answers the state that it folds to. */
  private checkLog(truth: readonly Entry[]): SessionState {
    let state = emptyState(session);
    const ids = new Map<string, number>();
    let fence = 0;
    for (const text of checkSerials(truth)) this.fail(`sync: ${text}`);
    const generations = new Generations();
    const [byId, bySeq] = [new Map(this.sent.map((sent) => [sent.id, sent])), new Map<string, Sent>()];
    for (const sent of this.sent) if (sent.member !== undefined) bySeq.set(`${sent.member} ${sent.seq}`, sent);
    const { life } = this.store;
    const fences = new Map(this.sent.flatMap(({ id, fence: under }) => (under === undefined ? [] : [[id, under]])));
    for (const entry of truth) {
      if (entry.offset !== state.head + 1) this.fail(`order: #${entry.offset} follows #${state.head}`);
      if (this.nodes.length === 1 && entry.at < state.at)
        this.fail(`order: the log's time runs back at #${entry.offset}`);
      if (entry.type === "opened" && entry.offset !== 1)
        this.fail(`stored: the log was begun anew at #${entry.offset}`);
      if (entry.type === "messages") {
        const isUpdate = documentIn(entry) !== undefined;
        entry.items.forEach(([event, id], index) => {
          const before = isUpdate ? undefined : ids.get(String(id));
          if (before !== undefined) this.fail(`once: ${String(id)} is at #${before} and at #${entry.offset + index}`);
          ids.set(String(id), entry.offset + index);
          const guard = guardIn(state, event);
          if (guard === undefined) return;
          const held = state.floors
            .get(guard)
            ?.holders.find(({ member, revoked }) => member === entry.by && revoked === undefined);
          if (held === undefined) {
            this.fail(
              `one speaker: #${entry.offset + index} was accepted from ${entry.by ?? "the server"}, who did not hold the floor`,
            );
          } else if ((fences.get(String(id)) ?? held.fence) !== held.fence) {
            this.fail(
              `one speaker: ${String(id)} was sent under fence ${fences.get(String(id)) ?? 0} and accepted under ${held.fence}`,
            );
          }
        });
      }
      for (const text of floorFaults(state, entry)) this.fail(text);
      for (const text of this.documents?.faults(state, entry) ?? []) this.fail(text);
      const faults = generations.faults(
        entry,
        (id) => byId.get(id),
        (by, seq) => bySeq.get(`${by} ${seq}`),
        life,
      );
      for (const text of faults) this.fail(text);
      const said = "seq" in entry && entry.by !== null ? bySeq.get(`${entry.by} ${entry.seq}`)?.command : undefined;
      for (const text of activityFaults(state, entry, said)) this.fail(text);
      if (entry.type === "floor-granted") {
        if (entry.offset <= fence) this.fail(`one speaker: fence ${entry.offset} after ${fence}`);
        fence = entry.offset;
      }
      if (entry.type === "floor-released") {
        const wanted = this.tabs.some(({ page, device }) => {
          const asked = device.releases.get(page.scope);
          return this.membersOf(page).has(entry.member) && (asked?.has(entry.fence) === true || asked?.has(0) === true);
        });
        if (!wanted) this.fail(`one speaker: the grant ${entry.fence} was released by nobody who held it`);
      }
      state = fold(state, entry);
    }
    // Where nobody has the session open, what is due waits for the next who comes.
    const atWork = this.nodes.some(({ host }) => host !== undefined);
    if (atWork) {
      const now = Math.max(...this.nodes.map((node) => node.now));
      const confirming = new Map(
        this.tabs.flatMap(({ page, closed }) =>
          !closed && page.live && page.member !== undefined && page.profile.confirms
            ? [[page.member, page.persisted] as const]
            : [],
        ),
      );
      const stuck = [...stuckFloors(state, now), ...stuckSync(state, now, confirming), ...stuckActivities(state, now)];
      for (const text of stuck) this.fail(text);
    }
    const here = new Set(this.tabs.flatMap(({ page }) => (page.alive ? [page.member] : [])));
    for (const { id, presence } of state.members.values()) {
      // Where all have left and the servers were killed, nobody has opened the log again.
      if (atWork && presence === "connected" && !here.has(id))
        this.fail(`release: ${id} is gone and still counts as connected`);
    }
    return state;
  }

  /** Whom a page's scope has been, as far as its pages were told. */
  private membersOf({ device, scope }: Page): ReadonlySet<MemberId> {
    return device.members.get(scope) ?? new Set();
  }

  private checkSent(truth: readonly Entry[]): void {
    const at = new Map<number, string>();
    const stored = new Set<string>();
    for (const entry of truth) {
      if (entry.type !== "messages") continue;
      entry.items.forEach(([, id], index) => {
        at.set(entry.offset + index, String(id));
        stored.add(String(id));
      });
    }
    // Also what a later life of the page was told of.
    for (const { returned } of this.devices) {
      for (const [id, code] of returned) {
        if (code !== "OUTCOME_UNKNOWN" && code !== "ABORTED" && stored.has(id))
          this.fail(`honest: ${id} was handed back (${code}) and is in the log`);
      }
    }
    // A floor's commands leave entries of their own; each is told by its member and seq.
    const effects = new Set(
      truth.flatMap((entry) => ("seq" in entry && entry.by !== null ? [`${entry.by} ${entry.seq}`] : [])),
    );
    for (const { id, scope, member, seq, command, queued, stored: offset, storedLife, refused, orphaned } of this
      .sent) {
      if (command.type !== "messages") {
        const uncertain =
          refused?.code === "OUTCOME_UNKNOWN" || refused?.code === "ABORTED" || refused?.code === "CLOSED";
        if (refused !== undefined && !uncertain && member !== undefined && effects.has(`${member} ${seq}`))
          this.fail(`honest: ${command.type} ${seq} of ${scope} was refused (${refused.code}) and is in the log`);
        continue;
      }
      // In a log that was lost it counts as far as the next one had it.
      const kept = Math.min(...this.store.lost.slice(storedLife - 1).map((log) => log.kept));
      if (offset !== undefined && offset <= kept && at.get(offset) !== id)
        this.fail(`stored: ${id} of ${scope} was acknowledged at #${offset}, where ${at.get(offset) ?? "nothing"} is`);
      // Who aborts does not wait to hear what became of what was under way.
      const uncertain = refused?.code === "OUTCOME_UNKNOWN" || refused?.code === "ABORTED";
      if (refused !== undefined && !uncertain && stored.has(id))
        this.fail(`honest: ${id} of ${scope} was refused (${refused.code}) and is in the log`);
      if (refused?.code === "OUTCOME_UNKNOWN") this.unknown.push(id);
      const settled = offset !== undefined || refused !== undefined;
      // Who has left has nothing any more, should the log be lost.
      const ended = this.gone.some(
        ({ page, how, life }) => page.scope === scope && (how === "aborted" || life < this.store.life),
      );
      if (settled || ended) continue;
      if (!orphaned) this.fail(`once: ${id} of ${scope} was never settled`);
      else if (
        queued &&
        !stored.has(id) &&
        command.to === undefined &&
        command.items[0]?.[0] === "note" &&
        !this.refused.has(id) &&
        !this.isOver(scope) &&
        !this.devices.some((device) => scope.startsWith(`${device.name}/`) && this.wasTold(device, scope, id))
      ) {
        this.fail(`once: ${id} of ${scope} was on the device's disk and is not in the log`);
      }
    }
  }

  private readonly unknown: string[] = [];

  private isOver(scope: string): boolean {
    if (this.devices.some((device) => device.putOut.has(scope))) return true;
    return this.tabs.some(({ page }) => page.scope === scope && page.wasPutOut);
  }

  private checkPage(page: Page, truth: readonly Entry[], state: SessionState): void {
    const { engine, scope, member } = page;
    if (member === undefined) return this.fail(`resume: ${scope} is live without being anybody`);
    if (engine.outbox.size > 0) this.fail(`stored: ${scope} still has ${engine.outbox.size} unconfirmed`);
    const owed = page.device.owed.get(scope);
    if (owed !== undefined && state.sync.points.some((each) => each.offset === owed && each.state !== undefined))
      this.fail(`resume: ${scope} never asked for the state at #${owed}, where its history begins`);
    if (page.profile.keepsState) this.checkState(page, truth, member);
    else this.checkBook(page, truth, member);
    if (
      engine.received !== this.store.head &&
      truth.some((entry) => lastOffset(entry) > engine.received && isVisible(entry, member) && isSaid(entry))
    ) {
      this.fail(`resume: ${scope} stands at #${engine.received} of #${this.store.head}`);
    }
    const mine = JSON.stringify(comparable(engine.state, member));
    const theirs = JSON.stringify(comparable(fromRecord(toView(state, member)), member));
    if (mine !== theirs) this.fail(`order: ${scope} sees another state than the log:\n  ${mine}\n  ${theirs}`);
  }

  /** The app's state must be what the log holds for it and was not taken back, from where it was let in, in order. */
  private checkState(page: Page, truth: readonly Entry[], member: MemberId): void {
    const { scope, seen, shared, unrestored } = page;
    const { from = seen[0]?.[0] ?? Infinity } = page.kept();
    const given = new Map(seen.map(([offset, id]) => [offset, id]));
    const isVoid = takenBack(truth);
    const selves = page.device.members.get(scope) ?? new Set([member]);
    const allowed = new Map<number, string>();
    for (const entry of truth) {
      if (!isSaid(entry)) continue;
      const mine = isVisible(entry, member);
      if (!mine && ![...selves].some((self) => isVisible(entry, self))) continue;
      entry.items.forEach(([, id], index) => {
        const offset = entry.offset + index;
        allowed.set(offset, String(id));
        const got = given.get(offset);
        if (got !== undefined && got !== id)
          this.fail(`order: ${scope} has ${got} at #${offset}, the log has ${String(id)}`);
        const due = mine && got === undefined && offset > from && !isVoid(offset);
        if (due && !(entry.to !== undefined && offset <= shared) && !this.excused(page, offset))
          this.fail(`once: ${scope} was never given #${offset} (${String(id)})`);
        if (got === undefined || !isVoid(offset)) return;
        if (!unrestored.some(({ after, before }) => after < offset && offset < before))
          this.fail(`void: ${scope} still has #${offset} (${String(id)}), which was taken back`);
      });
    }
    for (const [offset, id] of seen) {
      if (allowed.get(offset) !== id) this.fail(`private: ${scope} was given #${offset} (${id}), which is not for it`);
    }
  }

  /** Without a state, what the app was given since its page was loaded must be all that there was. */
  private checkBook(page: Page, truth: readonly Entry[], member: MemberId): void {
    const { scope, seen } = page;
    const from = seen[0]?.[0] ?? Infinity;
    const given = new Map(seen.map(([offset, id]) => [offset, id]));
    const isVoid = takenBack(truth);
    for (const entry of truth) {
      if (!isSaid(entry) || !isVisible(entry, member)) continue;
      entry.items.forEach(([, id], index) => {
        const offset = entry.offset + index;
        const got = given.get(offset);
        if (got !== undefined && got !== id)
          this.fail(`order: ${scope} has ${got} at #${offset}, the log has ${String(id)}`);
        if (got === undefined && offset > from && !isVoid(offset) && !this.excused(page, offset))
          this.fail(`once: ${scope} was never given #${offset} (${String(id)})`);
      });
    }
  }

  /** A gap that the client was told of, in this or an earlier life of the page. */
  private excused({ device, scope }: Page, offset: number): boolean {
    return (device.gaps.get(scope) ?? []).some(({ from, to }) => offset >= from && offset <= to);
  }

  /** A server that starts now, from the snapshot and what is left of the log, must come to the same state. */
  private checkRestored(state: SessionState): void {
    const { snapshot, first } = this.store;
    const base = snapshot === undefined ? emptyState(session) : fromRecord(snapshot.state);
    const tail = this.store.since(Math.max(base.head, first - 1));
    const restored = foldAll(base, tail);
    const a = JSON.stringify(sorted(restored));
    const b = JSON.stringify(sorted(state));
    if (a !== b) this.fail(`stored: a restart would not come to the same state:\n  ${a}\n  ${b}`);
  }
}

/** Messages of the app's, and not of a document's. */
const isSaid = (entry: Entry): entry is Messages => entry.type === "messages" && documentIn(entry) === undefined;

/** Sabotages that show only where several want the same floor: all their worlds are such. */
const contending: ReadonlySet<Sabotage> = new Set<Sabotage>([
  "skip-control-check",
  "skip-head-check",
  "forget-what-was-refused",
  "lease-from-the-answer",
  "lease-by-the-wall",
  "impatient-leases",
  "renew-for-nothing",
  "ignore-the-fence",
  "wrong-order",
]);

const sabotaged = (honest: SessionConfig, sabotage: Sabotage): SessionConfig => {
  if (sabotage === "no-guard") return { ...honest, guards: {} };
  if (sabotage !== "wrong-order") return honest;
  const { mic = defaultFloor } = honest.floors;
  return { ...honest, floors: { ...honest.floors, mic: { ...mic, order: "priority" } } };
};

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1);

const sorted = (state: SessionState): unknown => {
  const record = toRecord(state);
  return {
    ...record,
    members: [...record.members].sort(byId),
    seqs: [...record.seqs].sort(),
    floors: [...record.floors].sort(),
    activities: [...record.activities].sort((a, b) => a.id - b.id),
  };
};

/** What a member and the server must agree on. Offsets of what is hidden from members are not part of it. */
const comparable = ({ birth, members, floors, sync, activities, ended }: SessionState, member: MemberId): unknown => ({
  birth,
  members: [...members.values()]
    .filter(({ presence }) => presence !== "gone")
    .map(({ id, user, roles, presence }) => ({ id, user, roles, presence }))
    .sort(byId),
  floors: [...floors].filter(([, { holders, queue }]) => holders.length + queue.length > 0).sort(),
  sync: {
    ...sync,
    // Who has confirmed is told to who set the point.
    points: sync.points.map(({ waiting, need, ...point }) =>
      point.by === member ? { ...point, waiting, need } : point,
    ),
  },
  activities: [...activities.values()].sort((a, b) => a.id - b.id),
  ended,
});
