/** What a session tells, and what goes through it, as apps see it. */

import type { MemberId, Offset, Presence, ResyncKind, RostrumError, Time, UserId } from "@rostrum/protocol";
import type { ActivityChange } from "./activity.ts";
import type { AskedProposal } from "./dialog.ts";
import type { RestoredFrom } from "./engine/delivery.ts";
import type { Stored } from "./engine/outbox.ts";
import type { Resumption } from "./engine/terms.ts";
import type { IncomingTransfer } from "./transfer-view.ts";

/** What comes with a message. */
export interface Meta {
  readonly offset: Offset;
  /** The server's time. */
  readonly at: Time;
  /** The member that sent it; `null`: the server. */
  readonly from: MemberId | null;
  /** Whether this member sent it, in this or an earlier life of the page. */
  readonly own: boolean;
  /** The member was given it before; it comes again because the page has a new life and rebuilds its state. */
  readonly replayed: boolean;
  readonly private: boolean;
}

/** Event names to functions of their payload; without types of its own, an app may emit anything. */
export type AnyEvents = Record<string, (...args: unknown[]) => unknown>;

/** A method's parameters may be narrower than declared: so an app without typed events may write what it expects. */
type Loose = { call(...args: unknown[]): unknown }["call"];

/** What a handler of the event looks like: the payload, then the meta. */
export type EventHandler<E, K extends keyof E> = string extends keyof E
  ? Loose
  : (...args: [...Args<E, K>, Meta]) => unknown;

/** The payload of an event. */
export type Args<E, K extends keyof E> = E[K] extends (...args: infer A) => unknown ? A : never;

/** What the session itself tells. These names are not free for an app's own events. */
export interface SessionEvents {
  /** The session is live (again): how, and what it took. */
  readonly resume: (resumption: Resumption) => void;
  /**
   * A command was refused, whether or not somebody awaits its promise. If it was a message it is handed back, also when it
   * was emitted in an earlier life of the page.
   */
  readonly refused: (error: RostrumError, returned?: Returned) => void;
  /** Somebody proposes something, and this member is asked. Not answering in time is a refusal. */
  readonly proposal: (proposal: AskedProposal) => void;
  /** The session went back, and this member's app with it. */
  readonly resynchronize: (resynchronization: Resynchronization) => void;
  /** A member reports that it cannot go on (X.215: exception). What follows is the server's policy. */
  readonly exception: (exception: { readonly from: MemberId; readonly reason: string }) => void;
  /** Something happened to an activity that concerns this member, whoever did it: begun, interrupted, ended, discarded … */
  readonly activity: (change: ActivityChange) => void;
  /**
   * Somebody sends something to this member or to all: told once in each life of the page, as long as it is there and this
   * member does not have all of it. (Of what is for all, it is not known who has it.)
   */
  readonly transfer: (incoming: IncomingTransfer) => void;
  /** Something is wrong that stops nothing: a handler threw, storage is in memory only, a token was used elsewhere. */
  readonly warning: (error: RostrumError) => void;
  /** The session is over here. */
  readonly closed: (error: RostrumError) => void;
}

/** How the session went back, and the app with it. */
export interface Resynchronization {
  readonly kind: ResyncKind;
  /** Who asked for it; `null`: the server. */
  readonly by: MemberId | null;
  /** The offset to whose state all return; messages between it and `offset` are void. */
  readonly to: Offset;
  readonly offset: Offset;
  readonly reason?: string;
  /** Where `restore` got the app's state from; `none`: there was none to be had, and the app keeps what it has. */
  readonly restored: RestoredFrom;
}

/** A message that was not stored. */
export interface Returned {
  readonly event: string;
  readonly args: readonly unknown[];
  readonly to?: readonly MemberId[];
}

/** Resolves when the entry is durable on the server. */
export interface Sending extends Promise<Stored> {
  /** Resolves when it is kept on this device: from then on it is sent even if the page dies. */
  readonly queued: Promise<void>;
}

export interface MemberView {
  readonly id: MemberId;
  readonly user: UserId;
  readonly name?: string;
  readonly roles: readonly string[];
  readonly presence: Exclude<Presence, "gone">;
  readonly since: Time;
}
