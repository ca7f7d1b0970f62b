/**
 * The lane: a second connection of the session, over which bytes run, so that they hold up nothing else. Made when somebody
 * has bytes to move, made anew when it is lost, and let go when nobody has had any for a while.
 */

import {
  type ClientFrame,
  fromPayload,
  fromWire,
  type Limits,
  type MemberId,
  type Offset,
  type RostrumError,
  type ServerFrame,
  type SessionId,
} from "@rostrum/protocol";
import { backoff } from "../engine/pulse.ts";
import type { Link, LinkEvents } from "../link.ts";

/** Who one is at a lane. */
export interface Pass {
  readonly birth: string;
  readonly member: MemberId;
  readonly token: string;
}

export interface LaneHost {
  readonly session: SessionId;
  /** Makes a connection; it dials when told to. */
  readonly link: (events: LinkEvents) => Link;
  /** The member's present pass, while the session is live. */
  readonly pass: () => Pass | undefined;
  /** Milliseconds without a sign of life after which the lane is given up. */
  readonly silence: number;
}

/** Somebody whose bytes run over the lane. */
export interface LaneUser {
  readonly activity: Offset;
  /** There is a lane (again): say what is wanted. */
  opened(limits: Limits): void;
  /** `continue`: taken up to `at`, more may come up to `upTo`, in pieces no larger than that. */
  proceed?(at: number, upTo: number, piece: number | undefined): void;
  bytes?(at: number, bytes: Uint8Array, end: boolean): void;
  /** It goes no further on this lane. */
  refused(error: RostrumError): void;
  /** The lane is gone; another will be made. */
  lost(): void;
  /** There will be none. */
  failed(error: RostrumError): void;
}

/** Milliseconds without anybody after which the lane is let go. */
const idleAfter = 5_000;
/** Refusals that time does not mend, one after the other, before the lane is given up. */
const patience = 6;

const unref = (timer: ReturnType<typeof setTimeout>): void => (timer as { unref?: () => void }).unref?.();

export class Lane {
  private readonly users = new Set<LaneUser>();
  private link: Link | undefined;
  /** There is a lane, with these limits. */
  private limits: Limits | undefined;
  /** The token that was presented on the present connection, and not answered yet. */
  private asked: string | undefined;
  private attempts = 0;
  private heard = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;
  private again: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly host: LaneHost) {}

  /** From now on the user hears of the lane, and there is one. Returns its undo. */
  attach(user: LaneUser): () => void {
    clearTimeout(this.idle);
    this.users.add(user);
    if (this.limits !== undefined) user.opened(this.limits);
    else this.connect();
    return () => {
      if (!this.users.delete(user) || this.users.size > 0) return;
      clearTimeout(this.idle);
      this.idle = setTimeout(() => this.close(), idleAfter);
      unref(this.idle);
    };
  }

  send(frame: ClientFrame): void {
    this.link?.send([frame]);
  }

  /** The session is live again, perhaps under another token. */
  refresh(): void {
    if (this.link === undefined) return;
    // What silenced the session's own connection has probably silenced this one.
    if (!this.link.connected) this.link.probe();
    else if (performance.now() - this.heard > this.host.silence / 4) this.link.reconnect();
    else this.open();
  }

  close(): void {
    clearTimeout(this.idle);
    clearTimeout(this.again);
    clearInterval(this.watch);
    const { link } = this;
    this.link = undefined;
    this.limits = this.asked = undefined;
    link?.close();
  }

  private connect(): void {
    if (this.link !== undefined) return;
    const link: Link = this.host.link({
      connected: () => {
        this.heard = performance.now();
        this.open();
      },
      disconnected: () => this.gone(),
      frames: (frames) => {
        if (link === this.link) for (const frame of frames) this.take(frame);
      },
      changed: () => {},
    });
    this.link = link;
    this.watch = setInterval(() => this.listen(), this.host.silence / 4);
    unref(this.watch);
    link.connect();
  }

  /** Asks to be a lane, once there is a connection and the session is live. */
  private open(): void {
    const pass = this.host.pass();
    if (pass === undefined || this.link?.connected !== true || this.limits !== undefined) return;
    if (this.asked === pass.token) return;
    clearTimeout(this.again);
    this.asked = pass.token;
    this.send({ type: "lane", session: this.host.session, ...pass });
  }

  private take(frame: ServerFrame): void {
    this.heard = performance.now();
    if (!("session" in frame) || frame.session !== this.host.session) return;
    switch (frame.type) {
      case "lane-opened":
        this.limits = frame.limits;
        for (const user of [...this.users]) user.opened(frame.limits);
        break;
      case "continue":
        this.attempts = 0;
        for (const user of this.of(frame.activity)) user.proceed?.(frame.at, frame.upTo, frame.piece);
        break;
      case "bytes":
        this.attempts = 0;
        for (const user of this.of(frame.activity))
          user.bytes?.(frame.at, fromPayload(frame.bytes) as Uint8Array, frame.end === true);
        break;
      // A server that knows no lanes.
      case "refused":
        this.refused(fromWire(frame.error));
        break;
      case "lane-refused":
        if (frame.activity === 0) this.refused(fromWire(frame.error));
        else for (const user of this.of(frame.activity)) user.refused(fromWire(frame.error));
        break;
      default:
    }
  }

  private of(activity: Offset): readonly LaneUser[] {
    return [...this.users].filter((user) => user.activity === activity);
  }

  /** This connection is no lane, or none any more: another token may help, or another try. */
  private refused(error: RostrumError): void {
    const presented = this.asked;
    this.gone();
    const pass = this.host.pass();
    if (pass !== undefined && pass.token !== presented) return this.open();
    // While the session is away its token changes: that is waited for.
    if (pass !== undefined && !error.retryable) this.attempts += 1;
    if (this.attempts > patience) {
      for (const user of [...this.users]) user.failed(error);
      this.attempts = 0;
      return;
    }
    clearTimeout(this.again);
    this.again = setTimeout(() => this.open(), backoff(this.attempts + 1, Math.random()));
    unref(this.again);
  }

  private gone(): void {
    const { limits } = this;
    this.limits = this.asked = undefined;
    if (limits !== undefined) for (const user of [...this.users]) user.lost();
  }

  /** Pings are answered behind what is under way; anything that comes is a sign of life. */
  private listen(): void {
    if (this.link?.connected === true && performance.now() - this.heard > this.host.silence) this.link.reconnect();
  }
}
