/**
 * A world for the documents' tests: the real protocol and the real engine around a server that keeps everything in memory. Time,
 * disks and the network do what a test says, and nothing else.
 */

import { Engine, readRecord, seamOf } from "@rostrum/client/internal";
import { type ClientFrame, documentEvent, type MemberId, RostrumError, type UpdateItem } from "@rostrum/protocol";
import { Awareness } from "y-protocols/awareness";
import type { DocBinding, DocOptions, Replaced } from "./binding.ts";
import { Documents } from "./documents.ts";
import { type Guest, type Hall, Link, session } from "./hall.fixture.ts";
import type { Effects, Transaction } from "./terms.ts";

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
export class Page implements Guest {
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
  private readonly turns = new Set<{ readonly gone: () => void; readonly back: () => void }>();
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
        ...seamOf(engine),
        command: () => {
          throw new Error("not in this world");
        },
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
      left: (gone, back) => {
        const turn = { gone, back };
        this.turns.add(turn);
        return () => void this.turns.delete(turn);
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
    run(this, ...[...this.hall.links].flatMap(({ page }) => (page instanceof Page ? [page] : [])));
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

  /** It is left, and perhaps kept to be come back to. */
  leave(): this {
    for (const { gone } of this.turns) gone();
    return this.settle();
  }

  comeBack(): this {
    for (const { back } of this.turns) back();
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
  let steps = 0;
  for (let more = true; more; ) {
    more = false;
    for (const page of pages) {
      while (page.step()) {
        more = true;
        if ((steps += 1) > 20_000) throw new Error(`It goes on and on: ${JSON.stringify(page.sent.slice(-4))}`);
      }
    }
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
