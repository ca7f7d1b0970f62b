/** A server process: the real host, with a rim of virtual time around it. It can be killed at any moment. */

import {
  type ClientFrame,
  defaultLimits,
  type Entry,
  features,
  type Limits,
  memberId,
  parseFrame,
  type ReadFrame,
  type ServerFrame,
  seqSpan,
  sessionId,
  toWire,
  userId,
} from "@rostrum/protocol";
import { Host, type HostEffects, type HostOptions, makeToken, readToken } from "@rostrum/server/internal";
import type { Scheduler } from "@rostrum/testing";
import { documentEffects } from "./document-node.ts";
import type { DocumentPlay } from "./documents.ts";
import type { SimConnection } from "./network.ts";
import type { Sabotage } from "./sabotage.ts";
import type { SimStore } from "./store.ts";

export const session = sessionId("s");
const secret: Uint8Array = new Uint8Array(32).fill(7);
const limits: Limits = { ...defaultLimits, windowCommands: 8, creditEntries: 20 };

export interface Seat {
  readonly connection: SimConnection;
  readonly user: string;
  gone: boolean;
}

export type SimHost = Host<Seat>;

export class SimNode {
  up = true;
  /** Milliseconds by which this process's clock is off. */
  skew = 0;
  /** How fast its monotonic clock runs: no two run at quite the same rate. */
  private readonly rate: number;
  host: Host<Seat> | undefined;
  private life = "";
  private lifeCount = 0;
  private seats = new Map<SimConnection, Seat>();
  private stop: () => void = () => {};
  /** Opens about which the app is being asked. */
  private opening = new Map<SimConnection, ReadFrame>();

  constructor(
    readonly name: string,
    private readonly scheduler: Scheduler,
    private readonly store: SimStore,
    private readonly options: Omit<HostOptions, "node" | "session">,
    private readonly alive: (life: string) => boolean,
    private readonly sabotage: Sabotage,
    private readonly lives: Set<string>,
    /** Messages that were refused, by id: with what. */
    private readonly refused: Map<string, string>,
    /** Absent: the session has no documents. */
    private readonly documents: DocumentPlay | undefined,
  ) {
    this.rate = 1 + scheduler.between(-100, 100) / 1_000_000;
    this.start();
  }

  /** Which message a member sent under which number. */
  private readonly numbered = new Map<string, string>();

  private noteNumbers(seat: Seat, { seq, commands }: Extract<ReadFrame, { type: "commands" }>): void {
    const member = this.host?.audience.memberOf(seat);
    let next = seq;
    for (const command of commands) {
      if (command.type === "messages")
        command.items.forEach(([, id], index) => this.numbered.set(`${member} ${next + index}`, String(id)));
      next += seqSpan(command);
    }
  }

  private noteRefusals(seats: readonly Seat[], { seq, count, error }: Extract<ServerFrame, { type: "refused" }>): void {
    for (const seat of seats) {
      const member = this.host?.audience.memberOf(seat);
      for (let each = seq; each < seq + count; each += 1) {
        const id = this.numbered.get(`${member} ${each}`);
        if (id !== undefined) this.refused.set(id, error.code);
      }
    }
  }

  get now(): number {
    return this.scheduler.now + this.skew + 1_000_000;
  }

  private start(): void {
    this.up = true;
    this.life = `${this.name}/${(this.lifeCount += 1)}`;
    this.lives.add(this.life);
    this.host = undefined;
  }

  private ensureHost(): Host<Seat> {
    if (this.host !== undefined) return this.host;
    const { scheduler, store, life, sabotage, documents } = this;
    let running = true;
    const alive = (): boolean => running && this.up && this.life === life;
    let cancelAlarm = (): void => {};
    let flush: { at: number; cancel: () => void } | undefined;
    const live = new Set<Seat>();
    const send = (seats: readonly Seat[], frame: ServerFrame): void => {
      if (frame.type === "refused") this.noteRefusals(seats, frame);
      const whole =
        sabotage === "view-of-everything" && frame.type === "view"
          ? { ...frame, view: { ...frame.view, activities: [...host.current.activities.values()] } }
          : mangle(frame, sabotage);
      for (const { connection } of seats) connection.down([whole]);
    };
    const effects: HostEffects<Seat> = {
      now: () => this.now,
      elapsed: () => {
        if (sabotage === "lease-by-the-wall") return this.now;
        return scheduler.now * (sabotage === "impatient-leases" ? 20 : this.rate);
      },
      load: (done) => store.load(alive, done),
      append: (condition, entries, done) =>
        store.append(
          alive,
          condition,
          entries.map((entry) => tampered(entry, sabotage)),
          done,
        ),
      read: (after, limit, done) => store.read(alive, after, limit, done),
      snapshot: (snapshot, done) => store.save(alive, snapshot, done),
      trim: (below) => store.trim(below),
      thin: (upTo, done) => store.thin(alive, upTo, done),
      defer: (then) => void scheduler.later(0, () => alive() && then()),
      alarm: (at) => {
        cancelAlarm();
        if (at === Infinity || sabotage === "no-alarm") return;
        cancelAlarm = scheduler.later(Math.max(0, at - this.now), () => alive() && host.wake());
      },
      alive: (node) => this.alive(node),
      newBirth: () => `birth-${scheduler.between(0, 1e9)}`,
      newMember: () => memberId(`m${scheduler.between(0, 1e9)}`),
      loaded: () => {},
      stored: () => {},
      failed: () => {
        running = false;
        cancelAlarm();
        unfollow();
        if (this.host === host) this.host = undefined;
        for (const seat of live) seat.gone = true;
        // What was under way may have been stored: a member that nobody here knows of, and that only we can miss.
        scheduler.later(2_000, () => this.up && this.life === life && void this.ensureHost());
      },
      send,
      broadcast: (frame, except) => {
        const leaked =
          sabotage === "leak-private" && frame.type === "entries"
            ? { ...frame, entries: store.since(frame.after).filter((entry) => entry.offset <= frame.upTo) }
            : frame;
        send(
          [...live].filter((seat) => !except.includes(seat)),
          leaked,
        );
      },
      live: (seat, on) => void (on ? live.add(seat) : live.delete(seat)),
      closed: (seat, frame) => {
        seat.gone = true;
        seat.connection.down([frame]);
      },
      flushIn: (milliseconds) => {
        const at = scheduler.now + milliseconds;
        if (flush !== undefined && flush.at <= at) return;
        flush?.cancel();
        const cancel = scheduler.later(milliseconds, () => {
          flush = undefined;
          if (alive()) host.audience.flush(host.current);
        });
        flush = { at, cancel };
      },
      token: (member, incarnation) => {
        const { birth, members } = host.current;
        const user = members.get(member)?.user ?? userId("");
        return makeToken(secret, { session, birth, member, user }, incarnation);
      },
      terms: () => ({ version: 1, features, limits }),
      ...(documents === undefined
        ? {}
        : {
            documents: documentEffects<Seat>({
              scheduler,
              documents: store.documents,
              alive,
              initial: documents.initial,
              warn: documents.world.note,
            }),
          }),
    };
    const host: Host<Seat> = new Host({ ...this.options, session, node: life }, effects);
    const unfollow = store.follow((entries) => {
      if (alive()) host.followed(entries);
    });
    this.stop = () => {
      running = false;
      cancelAlarm();
      unfollow();
    };
    this.host = host;
    documents?.started(host);
    return host;
  }

  accept(connection: SimConnection): void {
    if (!this.up) connection.dropServer();
  }

  receive(connection: SimConnection, frames: readonly ClientFrame[]): void {
    for (const frame of frames) this.take(connection, parseFrame(frame, limits));
  }

  private take(connection: SimConnection, frame: ReadFrame): void {
    const seat = this.seats.get(connection);
    const { host } = this;
    switch (frame.type) {
      case "ping":
        return connection.down([{ type: "pong", n: frame.n, at: this.now }]);
      case "open": {
        // The app is asked who it is; meanwhile the connection may go.
        const { life } = this;
        this.opening.set(connection, frame);
        this.scheduler.later(this.scheduler.between(0, 20), () => {
          if (this.up && this.life === life && this.opening.get(connection) === frame) this.open(connection, frame);
        });
        return;
      }
      case "commands":
        if (seat === undefined || seat.gone || host === undefined) return;
        this.noteNumbers(seat, frame);
        return host.commands(seat, this.seqOf(seat, frame.seq), this.sabotaged(frame).commands, () => {});
      case "volatile": {
        const member = seat === undefined || seat.gone ? undefined : host?.audience.memberOf(seat);
        if (member !== undefined) host?.relay(member, frame.event, frame.args, frame.to, seat);
        return;
      }
      case "processed":
        if (seat !== undefined && !seat.gone) host?.audience.processed(seat, frame.offset);
        return;
      case "renew":
        if (seat !== undefined && !seat.gone) host?.renew(seat, frame.n);
        return;
      case "document-open":
        if (seat !== undefined && !seat.gone) host?.openDocument(seat, frame);
        return;
      case "document-close":
        if (seat !== undefined && !seat.gone) host?.closeDocument(seat, frame.document);
        return;
      case "detach":
        this.opening.delete(connection);
        if (seat !== undefined) this.leave(seat);
        return;
      default:
    }
  }

  private seqOf(seat: Seat, seq: number): number {
    if (this.sabotage !== "number-again") return seq;
    const member = this.host?.audience.memberOf(seat);
    return member === undefined ? seq : (this.host?.current.seqs.get(member) ?? 0) + 1;
  }

  private sabotaged(frame: Extract<ReadFrame, { type: "commands" }>): Extract<ReadFrame, { type: "commands" }> {
    const { current: state } = this.host ?? {};
    if (state !== undefined && tampering.has(this.sabotage)) {
      const commands = frame.commands.map((command) => {
        const generation =
          this.sabotage === "no-generation-check"
            ? "generation" in command || command.type === "messages"
            : this.sabotage === "collision-by-arrival" && command.type === "resynchronize";
        if (generation) return { ...command, generation: state.sync.generation };
        if (this.sabotage === "two-runs" && "run" in command)
          return { ...command, run: state.activities.get(command.activity)?.run ?? command.run };
        return command;
      });
      return { ...frame, commands };
    }
    if (this.sabotage === "ignore-the-fence") {
      const commands = frame.commands.map((command) =>
        command.type === "messages" ? { ...command, fence: undefined as never } : command,
      );
      return { ...frame, commands };
    }
    if (this.sabotage !== "release-without-fence") return frame;
    const current = this.host?.current;
    return {
      ...frame,
      commands: frame.commands.map((command) => {
        if (command.type !== "floor-release") return command;
        const member = this.host?.audience.memberOf([...this.seats.values()].find((seat) => !seat.gone) as Seat);
        const held =
          current?.floors.get(command.floor)?.holders.find((grant) => grant.member === member) ??
          current?.floors.get(command.floor)?.holders[0];
        return { ...command, fence: held?.fence ?? command.fence };
      }),
    };
  }

  private open(connection: SimConnection, frame: Extract<ClientFrame, { type: "open" }>): void {
    const before = this.seats.get(connection);
    if (before !== undefined) this.leave(before);
    const user = String(frame.auth);
    connection.life = this.store.life;
    const seat: Seat = { connection, user, gone: false };
    this.seats.set(connection, seat);
    const host = this.ensureHost();
    const token = frame.resume;
    const genuine =
      token === undefined
        ? undefined
        : readToken(
            secret,
            { session, birth: frame.cursor?.birth ?? "", member: token.member, user: userId(user) },
            token.token,
          );
    host.attach({
      connection: seat,
      join: {
        type: "join",
        member: memberId(`m${this.scheduler.between(0, 1e9)}`),
        user: userId(user),
        roles: this.documents?.rolesOf(user) ?? rolesOf(user),
        node: this.life,
        instance: frame.instance,
      },
      resume: token === undefined || genuine === undefined ? undefined : { member: token.member, incarnation: genuine },
      cursor: frame.cursor,
      ...(frame.documents === undefined ? {} : { documents: frame.documents }),
      history: frame.history,
      accepted: () => !seat.gone && this.seats.get(connection) === seat,
      refused: (error) => {
        seat.gone = true;
        connection.down([{ type: "closed", session: frame.session, error: toWire(error), retryAfter: 200 }]);
      },
    });
  }

  private leave(seat: Seat): void {
    if (!seat.gone) {
      seat.gone = true;
      this.host?.detach(seat);
    }
    if (this.seats.get(seat.connection) === seat) this.seats.delete(seat.connection);
  }

  disconnected(connection: SimConnection): void {
    this.opening.delete(connection);
    const seat = this.seats.get(connection);
    if (seat !== undefined) this.leave(seat);
  }

  nodesChanged(): void {
    if (this.up) this.host?.nodesChanged();
  }

  /** SIGKILL. Everything in memory is gone; what the store was about to write may or may not be. */
  kill(): void {
    if (!this.up) return;
    this.up = false;
    this.lives.delete(this.life);
    this.stop();
    this.host = undefined;
    const connections = [...this.seats.keys()];
    this.seats = new Map();
    for (const connection of connections) {
      connection.serverGone = true;
      this.scheduler.later(this.scheduler.between(0, 30), () => connection.dropClient());
    }
  }

  restart(): void {
    if (!this.up) this.start();
  }
}

/** Of each second user, that it may moderate. */
export const rolesOf = (user: string): readonly string[] => (user.endsWith("1") ? ["boss"] : ["member"]);

const tampering: ReadonlySet<Sabotage> = new Set<Sabotage>(["no-generation-check", "collision-by-arrival", "two-runs"]);

const tampered = (entry: Entry, sabotage: Sabotage): Entry => {
  if (sabotage === "restart-behind-major" && entry.type === "resynchronized" && entry.kind === "restart")
    return { ...entry, to: 0 };
  if (sabotage === "settle-without-confirmations" && entry.type === "sync-point" && entry.kind === "major")
    return { ...entry, need: 0 };
  return entry;
};

const mangle = (frame: ServerFrame, sabotage: Sabotage): ServerFrame => {
  if (sabotage === "cover-too-much" && frame.type === "entries" && frame.entries.length > 2)
    return { ...frame, upTo: frame.upTo + 1 };
  if (sabotage === "renew-for-nothing" && frame.type === "renewed") return { ...frame, head: 0 };
  if (sabotage === "hide-the-gap" && frame.type === "opened" && frame.outcome.kind === "snapshot") {
    return { ...frame, outcome: { kind: "reset", why: "member-unknown" } };
  }
  return frame;
};
