/**
 * Frames: what travels on a connection, as arrays on one Socket.IO event each way. PROTOCOL.md is the prose of this file.
 */

import type { MemberCommand, Unreadable } from "./command.ts";
import type { History } from "./config.ts";
import type { Entry } from "./entry.ts";
import type { WireError } from "./errors.ts";
import type { MemberId, Offset, Seq, SessionId, Time } from "./ids.ts";
import type { Limits } from "./limits.ts";
import type { StateRecord } from "./state.ts";
import type { Epoch } from "./sync/epoch.ts";

/** The Socket.IO event that carries frames, both ways. */
export const wireEvent = "rostrum";

/** Protocol versions that this code speaks. */
export const versions: readonly number[] = [1];

/** Optional parts that this code offers; a session's set is the intersection (X.215: functional units). */
export const features: readonly string[] = [
  "volatile",
  "floors",
  "sync",
  "dialog",
  "activities",
  "transfers",
  "documents",
];

/** A position in one life of a log. */
export interface Cursor {
  readonly birth: string;
  readonly offset: Offset;
  /** Up to here the log was known once, if that is further: the client has gone back since. */
  readonly seen?: Offset;
  /** The last epochs of the log as it is known here, oldest first: they tell a log that was restored from a lost one. */
  readonly epochs?: readonly Epoch[];
}

/** Asks to be taken up: as a new member, or as the member that the token names. */
export interface OpenFrame {
  readonly type: "open";
  readonly session: SessionId;
  readonly versions: readonly number[];
  readonly features: readonly string[];
  /** Features without which the client cannot go on. */
  readonly required: readonly string[];
  /** For the app's `authenticate`. */
  readonly auth?: unknown;
  /** Secret of this client instance. Makes a join whose answer was lost the same join. */
  readonly instance: string;
  readonly resume?: { readonly member: MemberId; readonly token: string };
  /** How far the client has received. */
  readonly cursor?: Cursor;
  /** Documents that are followed: what was missed of them comes as well. */
  readonly documents?: readonly string[];
  /** What a newcomer wants besides the state, within what the session offers. */
  readonly history?: History;
}

export interface CommandsFrame {
  readonly type: "commands";
  readonly session: SessionId;
  /** Seq of the first command; the others follow without holes. */
  readonly seq: Seq;
  readonly commands: readonly MemberCommand[];
}

/** The same as a server reads it. */
export interface ReadCommandsFrame extends Omit<CommandsFrame, "commands"> {
  readonly commands: readonly (MemberCommand | Unreadable)[];
}

/** Not logged, dropped when late. */
export interface VolatileFrame {
  readonly type: "volatile";
  readonly session: SessionId;
  readonly event: string;
  readonly args: readonly unknown[];
  readonly to?: readonly MemberId[];
}

/** Credit: everything up to here has been processed. */
export interface ProcessedFrame {
  readonly type: "processed";
  readonly session: SessionId;
  readonly offset: Offset;
}

/** A fresh token for the app's `authenticate`, in answer to `reauth`. */
export interface AuthFrame {
  readonly type: "auth";
  readonly session: SessionId;
  readonly auth: unknown;
}

export interface PingFrame {
  readonly type: "ping";
  readonly n: number;
}

/** Asks how far the log is: what the member holds there, it held when it asked. See `RenewedFrame`. */
export interface RenewFrame {
  readonly type: "renew";
  readonly session: SessionId;
  readonly n: number;
}

/** Leaves the connection, not the session. */
export interface DetachFrame {
  readonly type: "detach";
  readonly session: SessionId;
}

/**
 * Makes this connection a lane: a second one, over which a member's bytes run, so that they hold up nothing else. The token
 * is the member's present one; it is only looked at.
 */
export interface LaneFrame {
  readonly type: "lane";
  readonly session: SessionId;
  readonly birth: string;
  readonly member: MemberId;
  readonly token: string;
}

/** On a lane: the member wants to send the bytes of an activity that it runs. Answered by `continue`. */
export interface UploadFrame {
  readonly type: "upload";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly run: Offset;
}

/** On a lane: bytes of the upload, from `at` on, in order and without holes. */
export interface ChunkFrame {
  readonly type: "chunk";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** On a lane: that was all. `digest` is the SHA-256 of everything, in hex. */
export interface FinishFrame {
  readonly type: "finish";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly bytes: number;
  readonly digest: string;
}

/**
 * On a lane: the member wants bytes `[at, upTo)` of an activity; more than there are yet come when they are confirmed. None
 * (`upTo` is `at`): it wants no more of it.
 */
export interface FetchFrame {
  readonly type: "fetch";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly at: number;
  readonly upTo: number;
}

/**
 * Follows a document from here on, and asks for what there is of it: what came after `after` if the log or the store can tell,
 * else, with a `vector` (its state vector), what that lacks, else all. With `point`: for the state at that sync point, once,
 * and nothing is followed.
 */
export interface DocumentOpenFrame {
  readonly type: "document-open";
  readonly session: SessionId;
  readonly document: string;
  /** The content that `after` and `vector` belong to. */
  readonly lineage?: Offset;
  readonly after?: Offset;
  readonly vector?: Uint8Array;
  readonly point?: Offset;
}

/** Follows a document no longer. */
export interface DocumentCloseFrame {
  readonly type: "document-close";
  readonly session: SessionId;
  readonly document: string;
}

/** A client's frame as a server reads it. */
export type ReadFrame = Exclude<ClientFrame, CommandsFrame> | ReadCommandsFrame;

export type ClientFrame =
  | OpenFrame
  | CommandsFrame
  | VolatileFrame
  | ProcessedFrame
  | AuthFrame
  | PingFrame
  | RenewFrame
  | DetachFrame
  | LaneFrame
  | UploadFrame
  | ChunkFrame
  | FinishFrame
  | FetchFrame
  | DocumentOpenFrame
  | DocumentCloseFrame;

/**
 * `joined`: a new member. `resumed`: what was missed follows, nothing else. `snapshot`: the log no longer reaches back to
 * the cursor; the state and what is left follow, `gap` is what is missing. `reset`: another life of the log, or of the
 * member; the client starts from the state as a new member.
 */
export type Outcome =
  | { readonly kind: "joined" }
  | { readonly kind: "resumed"; readonly from: Offset }
  | { readonly kind: "snapshot"; readonly from: Offset; readonly gap: { readonly from: Offset; readonly to: Offset } }
  | {
      readonly kind: "reset";
      readonly why: ResetReason;
      readonly gap?: { readonly from: Offset; readonly to: Offset };
      /** `fork`: the last offset that both logs have in common. */
      readonly fork?: Offset;
    };

/**
 * `birth`: another log. `member-unknown`: another member, in the same log. `fork`: the log was restored from an older copy;
 * what the client has seen of it beyond `fork` is not in it.
 */
export type ResetReason = "birth" | "member-unknown" | "fork";

export interface OpenedFrame {
  readonly type: "opened";
  readonly session: SessionId;
  readonly version: number;
  readonly features: readonly string[];
  readonly limits: Limits;
  readonly member: MemberId;
  readonly incarnation: number;
  readonly token: string;
  readonly birth: string;
  readonly outcome: Outcome;
  /** Entries follow from here on. */
  readonly start: Offset;
  /** The head at the moment of being taken up: what follows up to here was missed, what follows after is live. */
  readonly head: Offset;
  /**
   * The log lacks updates of documents up to here, which is above the cursor: what was missed of a document that stands
   * below does not come by itself. Absent: it lacks none.
   */
  readonly thinned?: Offset;
  /** The member's last stored seq: what is above was not stored, send it again. */
  readonly seq: Seq;
  readonly at: Time;
}

/**
 * The state at its own head. Follows `opened` unless the outcome is `resumed`, whose entries lead there from the cursor.
 * Entries up to that head are history: delivered, not folded.
 */
export interface ViewFrame {
  readonly type: "view";
  readonly session: SessionId;
  readonly view: StateRecord;
}

/** The log in `(after, upTo]`, as far as this member may see it. What is missing in between is private to others. */
export interface EntriesFrame {
  readonly type: "entries";
  readonly session: SessionId;
  readonly after: Offset;
  readonly upTo: Offset;
  readonly entries: readonly Entry[];
}

/** Where the receiver's own messages were stored: the acknowledgement, without the payload it already has. */
export interface Stored {
  readonly seq: Seq;
  readonly count: number;
  readonly offset: Offset;
  readonly at: Time;
}

/** Like an `entries` frame whose entries are all the receiver's own messages. */
export interface StoredFrame {
  readonly type: "stored";
  readonly session: SessionId;
  readonly after: Offset;
  readonly upTo: Offset;
  readonly stored: readonly Stored[];
}

/** Commands that were refused, with the reason. The seqs are used up. `count` 0: a warning that concerns no command. */
export interface RefusedFrame {
  readonly type: "refused";
  readonly session: SessionId;
  readonly seq: Seq;
  readonly count: number;
  readonly error: WireError;
}

export interface VolatileEventFrame {
  readonly type: "volatile-event";
  readonly session: SessionId;
  readonly from: MemberId | null;
  readonly event: string;
  readonly args: readonly unknown[];
}

/** The session is no longer attached to this connection, or never was. `retryAfter`: milliseconds to wait. */
export interface ClosedFrame {
  readonly type: "closed";
  readonly session: SessionId;
  readonly error: WireError;
  readonly retryAfter?: number;
}

/** The authentication runs out at `by`; answer with `auth`. */
export interface ReauthFrame {
  readonly type: "reauth";
  readonly session: SessionId;
  readonly by: Time;
}

/** The server goes away. Leave after `wait` milliseconds and come back. */
export interface DrainFrame {
  readonly type: "drain";
  readonly wait: number;
}

export interface PongFrame {
  readonly type: "pong";
  readonly n: number;
  readonly at: Time;
}

/**
 * When `renew` number `n` had arrived, the log ended at `head`. Who has been told up to there knows that its grants stood
 * at the moment in which it sent that renew, and may count their leases from it.
 */
export interface RenewedFrame {
  readonly type: "renewed";
  readonly session: SessionId;
  readonly n: number;
  readonly head: Offset;
  readonly at: Time;
}

/** This connection is a lane of the session. */
export interface LaneOpenedFrame {
  readonly type: "lane-opened";
  readonly session: SessionId;
  readonly limits: Limits;
}

/** Bytes are taken up to `at`; `[at, upTo)` may be sent (AppleTalk's WriteContinue: the server asks for the bulk). */
export interface ContinueFrame {
  readonly type: "continue";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly at: number;
  readonly upTo: number;
  /** Largest piece that is welcome at present. */
  readonly piece?: number;
}

/** Bytes that were asked for by `fetch`. `end`: there are no more. */
export interface BytesFrame {
  readonly type: "bytes";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly end?: boolean;
}

/** An upload or a fetch goes no further on this lane. `activity` 0: the lane itself is none. */
export interface LaneRefusedFrame {
  readonly type: "lane-refused";
  readonly session: SessionId;
  readonly activity: Offset;
  readonly error: WireError;
}

/**
 * What there is of a document: parts, each one update of `size` bytes in Yjs' format 1 or 2, in pieces from byte `at` on. With
 * the last frame (`end`) everything up to `upTo` is there. An answer without a part has one frame, of size 0.
 */
export interface DocumentStateFrame {
  readonly type: "document-state";
  readonly session: SessionId;
  readonly document: string;
  readonly lineage: Offset;
  readonly upTo: Offset;
  readonly part: number;
  readonly format: 1 | 2;
  readonly at: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly end: boolean;
  /** Whether it holds all of the document's content, or what was lacking. */
  readonly whole: boolean;
  /** In answer to one that named it. */
  readonly point?: Offset;
}

/** A document cannot be opened. */
export interface DocumentRefusedFrame {
  readonly type: "document-refused";
  readonly session: SessionId;
  readonly document: string;
  readonly error: WireError;
  readonly point?: Offset;
}

export type ServerFrame =
  | OpenedFrame
  | ViewFrame
  | EntriesFrame
  | StoredFrame
  | RefusedFrame
  | VolatileEventFrame
  | ClosedFrame
  | ReauthFrame
  | DrainFrame
  | PongFrame
  | RenewedFrame
  | LaneOpenedFrame
  | ContinueFrame
  | BytesFrame
  | LaneRefusedFrame
  | DocumentStateFrame
  | DocumentRefusedFrame;
