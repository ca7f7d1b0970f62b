/**
 * Entries: what happened. The log holds nothing else. An entry is a fact, never a request, so its meaning does not
 * change when a rule does. Everything but `messages` is control: it changes who may do what.
 */

import type { ActivityKind } from "./activities/activity.ts";
import type { DialogMode, SessionConfig } from "./config.ts";
import type { Subject } from "./dialog/dialog.ts";
import type { FloorConfig, Priority } from "./floors/config.ts";
import type { FloorRequest, RevokeReason } from "./floors/floor.ts";
import type { MemberId, Offset, Seq, Serial, SessionId, Time, UserId } from "./ids.ts";
import type { ResyncKind } from "./sync/sync.ts";

interface Stamp {
  /** Position in the log. A `messages` entry takes one offset per item, from this one on. */
  readonly offset: Offset;
  readonly at: Time;
}

/** An entry that answers a member's command carries its seq: seeing it come back is the acknowledgement. */
interface Commanded extends Stamp {
  readonly by: MemberId | null;
  readonly seq?: Seq;
}

/** The name of an event and its arguments. */
export type Item = readonly [event: string, ...args: unknown[]];

export interface Opened extends Stamp {
  readonly type: "opened";
  readonly session: SessionId;
  /** Random id of this log's life. Offsets compare only within one birth. */
  readonly birth: string;
  readonly config: SessionConfig;
}

/** The server's options differ from those in the log: from here on these hold. */
export interface Configured extends Stamp {
  readonly type: "configured";
  readonly config: SessionConfig;
}

export interface Joined extends Stamp {
  readonly type: "joined";
  readonly member: MemberId;
  readonly user: UserId;
  readonly name?: string;
  readonly roles: readonly string[];
  /** The server process that holds the connection. Never sent. */
  readonly node: string;
  /** Secret of the client instance; good for taking the member up until its first token is confirmed. Never sent. */
  readonly instance?: string;
}

/** A connection took the member up (fencing of connections): what older incarnations send no longer counts. */
export interface Resumed extends Stamp {
  readonly type: "resumed";
  readonly member: MemberId;
  /** It was given up and comes back after all: who did not see it then has to learn of it anew. */
  readonly user?: UserId;
  readonly incarnation: number;
  readonly node: string;
  readonly name?: string;
  readonly roles: readonly string[];
  /** The others never saw it away, so they need not hear of it. */
  readonly quiet: boolean;
}

/** The member's connection has been gone for longer than a flicker. `since` is when it was lost. */
export interface Dropped extends Stamp {
  readonly type: "dropped";
  readonly member: MemberId;
  readonly since: Time;
}

/** `released` and `aborted` by itself; `expired` after the member grace; `removed` by the server. */
export type LeftHow = "released" | "aborted" | "expired" | "removed";

export interface Left extends Commanded {
  readonly type: "left";
  readonly member: MemberId;
  readonly how: LeftHow;
  readonly reason?: string;
}

/** The member is no longer remembered: its last seq is gone, so it cannot be taken up again. */
export interface Forgotten extends Stamp {
  readonly type: "forgotten";
  readonly member: MemberId;
}

/** A run of messages that one member sent in one go. */
export interface Messages extends Commanded {
  readonly type: "messages";
  readonly items: readonly Item[];
  /** Private: only these members (and the sender) get it. */
  readonly to?: readonly MemberId[];
}

/**
 * `request` is absent in the first asking, whose offset is the request's id; asking again names the same request, and
 * nothing else of it counts.
 */
export interface FloorRequested extends Commanded {
  readonly type: "floor-requested";
  readonly floor: string;
  /** The beneficiary (RFC 8855): who will hold it. */
  readonly member: MemberId;
  readonly request?: Offset;
  readonly status?: FloorRequest["status"];
  readonly priority?: Priority;
  readonly reason?: string;
  readonly expiresAt?: Time;
  /** A chair takes the floor: before all others. */
  readonly first?: boolean;
  /** The floor is known by a pattern only. */
  readonly transient?: boolean;
}

/** A chair put the request into the queue. */
export interface FloorAccepted extends Commanded {
  readonly type: "floor-accepted";
  readonly floor: string;
  readonly member: MemberId;
  readonly request: Offset;
}

/** The fence of the grant is this entry's offset: it grows, it is unique, and every replica agrees on it. */
export interface FloorGranted extends Commanded {
  readonly type: "floor-granted";
  readonly floor: string;
  readonly member: MemberId;
  /** 0: it was given without having been asked for. */
  readonly request: Offset;
  readonly priority?: Priority;
  /** Milliseconds that its holder may believe in it without hearing of it. */
  readonly lease: number;
  readonly expiresAt?: Time;
  readonly transient?: boolean;
}

export interface FloorDenied extends Commanded {
  readonly type: "floor-denied";
  readonly floor: string;
  readonly member: MemberId;
  readonly request: Offset;
  readonly reason?: string;
}

export interface FloorCancelled extends Commanded {
  readonly type: "floor-cancelled";
  readonly floor: string;
  readonly member: MemberId;
  readonly request: Offset;
  readonly reason: "cancelled" | "timeout" | "left" | "removed" | "configured" | "dialog";
}

/** Requests that a chair has put into this order, before all others. */
export interface FloorReordered extends Commanded {
  readonly type: "floor-reordered";
  readonly floor: string;
  readonly order: readonly Offset[];
}

/** The grant's end is announced: its holder may finish until `endsAt`. */
export interface FloorEnding extends Commanded {
  readonly type: "floor-ending";
  readonly floor: string;
  readonly member: MemberId;
  readonly fence: Offset;
  readonly reason: RevokeReason;
  readonly endsAt: Time;
}

/** By its holder. `confirmed`: it was revoked before, and the holder says that it has stopped. */
export interface FloorReleased extends Commanded {
  readonly type: "floor-released";
  readonly floor: string;
  readonly member: MemberId;
  readonly fence: Offset;
  readonly how: "released" | "passed" | "confirmed";
}

/**
 * From here on nothing more is accepted from the holder. `lingers`: it may not know yet, so its place is not free before
 * it has confirmed (`floor-released`) or its lease is over (`floor-freed`).
 */
export interface FloorRevoked extends Commanded {
  readonly type: "floor-revoked";
  readonly floor: string;
  readonly member: MemberId;
  readonly fence: Offset;
  readonly reason: RevokeReason;
  readonly lingers: boolean;
  /** A chair's own words. */
  readonly note?: string;
}

/** A revoked grant's lease is over: its place is free. */
export interface FloorFreed extends Stamp {
  readonly type: "floor-freed";
  readonly floor: string;
  readonly member: MemberId;
  readonly fence: Offset;
}

/** The floor works differently from here on. */
export interface FloorConfigured extends Commanded {
  readonly type: "floor-configured";
  readonly floor: string;
  readonly config: FloorConfig;
}

/** Somebody proposes; those who were asked answer (X.215: negotiated release, token exchange). */
export interface Proposed extends Commanded {
  readonly type: "proposed";
  readonly subject: Subject;
  readonly until: Time;
  readonly asked: readonly MemberId[];
}

export interface Answered extends Commanded {
  readonly type: "answered";
  readonly proposal: Offset;
  readonly member: MemberId;
  readonly accept: boolean;
  readonly reason?: string;
}

/** What came of a proposal. `missing`: who had not answered when its time was over. */
export interface Settled extends Commanded {
  readonly type: "settled";
  readonly proposal: Offset;
  readonly outcome: "accepted" | "refused" | "expired" | "withdrawn";
  readonly refusedBy?: MemberId;
  readonly reason?: string;
  readonly missing?: readonly MemberId[];
}

/** Members take turns differently from here on. */
export interface DialogSwitched extends Stamp {
  readonly type: "dialog-switched";
  readonly mode: DialogMode;
}

/** A sync point (X.215: S-SYNC-MINOR, S-SYNC-MAJOR): marks this position under the next serial. */
export interface SyncPointSet extends Commanded {
  readonly type: "sync-point";
  readonly serial: Serial;
  readonly kind: "minor" | "major";
  readonly name?: string;
  readonly data?: unknown;
  /** Whose confirmation is asked for; absent: nobody's. */
  readonly asked?: readonly MemberId[];
  /** How many of those have to confirm. */
  readonly need?: number;
  /** Major: when it counts as unconfirmed. */
  readonly until?: Time;
}

/** One member has come as far as this serial: it confirms all points up to there. Private: others need not know yet. */
export interface SyncConfirmed extends Commanded {
  readonly type: "sync-confirmed";
  readonly serial: Serial;
  readonly member: MemberId;
  readonly data?: unknown;
  /** Who set the points that it concerns. */
  readonly to: readonly MemberId[];
}

/** What came of a point that had to be confirmed. Confirmed, all before it in its unit are as well. */
export interface SyncSettled extends Stamp {
  readonly type: "sync-settled";
  readonly serial: Serial;
  readonly outcome: "confirmed" | "unconfirmed";
  readonly missing?: readonly MemberId[];
}

/** The app's state at a point is there for all: the activity says where. */
export interface SyncShared extends Stamp {
  readonly type: "sync-shared";
  readonly point: Offset;
  readonly activity: Offset;
}

/** The session goes back (X.215 S-RESYNCHRONIZE): messages between `to` and this entry are void; `set` voids none. */
export interface Resynchronized extends Commanded {
  readonly type: "resynchronized";
  readonly kind: ResyncKind;
  /** What is sent under an older generation is refused from here on. */
  readonly generation: number;
  /** The next point's serial. */
  readonly serial: Serial;
  /** The offset to whose state all return. */
  readonly to: Offset;
  readonly reason?: string;
}

/** A member cannot go on from here (X.215 S-U-EXCEPTION-REPORT). What follows from it is the server's policy. */
export interface ExceptionReported extends Commanded {
  readonly type: "exception";
  readonly member: MemberId;
  readonly reason: string;
}

/** A document begins anew with the state that `from` had at a sync point. The entry's offset is the new content's lineage. */
export interface DocumentRestored extends Commanded {
  readonly type: "document-restored";
  readonly document: string;
  readonly from: string;
  readonly point: Offset;
}

/** The store's record holds a document as of `upTo`, with so many updates and bytes more than before. Told to nobody. */
export interface DocumentSaved extends Stamp {
  readonly type: "document-saved";
  readonly document: string;
  readonly upTo: Offset;
  readonly updates: number;
  readonly bytes: number;
}

/** The log lacks updates of documents up to `upTo`; their records in the store have them. Told to nobody. */
export interface DocumentsThinned extends Stamp {
  readonly type: "documents-thinned";
  readonly upTo: Offset;
}

/** Another server process writes the log from here on; see sync/epoch.ts. */
export interface EpochBegun extends Stamp {
  readonly type: "epoch-begun";
  readonly epoch: string;
}

/** What all entries of an activity have in common. Its id is the offset of its start. */
interface OfActivity extends Commanded {
  readonly activity: Offset;
  /** Private: only these members, who gave the command, and who is at it get the entry. */
  readonly to?: readonly MemberId[];
}

export interface ActivityStarted extends Omit<OfActivity, "activity"> {
  readonly type: "activity-started";
  readonly name: string;
  readonly kind: ActivityKind;
  /** The other members of its user: they may take it up. */
  readonly also?: readonly MemberId[];
  readonly data?: unknown;
  /** Of `state`: the offset of the sync point. */
  readonly point?: Offset;
}

export interface ActivityPointSet extends OfActivity {
  readonly type: "activity-point";
  readonly serial: Serial;
  readonly data?: unknown;
  /** It needs nobody's confirmation. */
  readonly confirmed?: boolean;
}

export interface ActivityConfirmed extends OfActivity {
  readonly type: "activity-confirmed";
  readonly serial: Serial;
  /** `null`: the server. */
  readonly member: MemberId | null;
}

export interface ActivityInterrupted extends OfActivity {
  readonly type: "activity-interrupted";
  readonly reason: "asked" | "handed" | "dropped" | "left";
  /** Whom it is handed to. */
  readonly for?: MemberId;
  readonly data?: unknown;
  readonly expiresAt: Time;
}

export interface ActivityResumed extends OfActivity {
  readonly type: "activity-resumed";
  readonly member: MemberId | null;
  /** The confirmed point from which it goes on; 0: from the beginning. */
  readonly serial: Serial;
}

/** One of those whom it concerned wants none of it. */
export interface ActivityDeclined extends OfActivity {
  readonly type: "activity-declined";
  readonly member: MemberId;
  readonly reason?: string;
}

/** It is void, and what it took is free. */
export interface ActivityDiscarded extends OfActivity {
  readonly type: "activity-discarded";
  readonly why: "asked" | "declined" | "expired" | "failed";
  readonly reason?: string;
}

/** Done. Without `expiresAt` nothing is left of it; `null`: it is there until it is forgotten. */
export interface ActivityEnded extends OfActivity {
  readonly type: "activity-ended";
  readonly result?: unknown;
  readonly expiresAt?: Time | null;
}

/** What was left of an ended activity is gone: all have it, or nobody came for it in time. */
export interface ActivityForgotten extends OfActivity {
  readonly type: "activity-forgotten";
}

export interface Ended extends Commanded {
  readonly type: "ended";
  readonly reason?: string;
}

/** What happens to one floor. */
export type FloorEntry =
  | FloorRequested
  | FloorAccepted
  | FloorGranted
  | FloorDenied
  | FloorCancelled
  | FloorReordered
  | FloorEnding
  | FloorReleased
  | FloorRevoked
  | FloorFreed
  | FloorConfigured;

/** What happens to the way in which members take turns. */
export type DialogEntry = Proposed | Answered | Settled | DialogSwitched;

/** What happens to the session's sync points. */
export type SyncEntry = SyncPointSet | SyncConfirmed | SyncSettled | SyncShared | Resynchronized | ExceptionReported;

/** What happens to one activity. */
export type ActivityEntry =
  | ActivityStarted
  | ActivityPointSet
  | ActivityConfirmed
  | ActivityInterrupted
  | ActivityResumed
  | ActivityDeclined
  | ActivityDiscarded
  | ActivityEnded
  | ActivityForgotten;

/** What happens to documents, besides their updates. */
export type DocumentEntry = DocumentRestored | DocumentSaved | DocumentsThinned;

export type Entry =
  | Opened
  | EpochBegun
  | Configured
  | Joined
  | Resumed
  | Dropped
  | Left
  | Forgotten
  | Messages
  | FloorEntry
  | DialogEntry
  | SyncEntry
  | ActivityEntry
  | DocumentEntry
  | Ended;

export type EntryType = Entry["type"];

type WithoutStamp<E> = E extends Entry ? Omit<E, "offset" | "at"> : never;
/** What `decide` writes: an entry before it has a place and a time. */
export type Draft = WithoutStamp<Entry>;

/** How many offsets the entry takes. */
export const span = (entry: Entry): number => (entry.type === "messages" ? entry.items.length : 1);

/** The last offset that the entry takes. */
export const lastOffset = (entry: Entry): Offset => entry.offset + span(entry) - 1;

/** Control entries change who may do what; an append is conditional on the offset of the last one. */
export const isControl = (entry: Entry): boolean => entry.type !== "messages";

export const isActivityEntry = (entry: Entry): entry is ActivityEntry => entry.type.startsWith("activity-");

/** Whose business the entry is: everybody's, nobody's (the server's own), or that of these members. */
export const audienceOf = (entry: Entry): "all" | "none" | readonly MemberId[] => {
  // Most entries by far.
  if (entry.type === "messages" && entry.to === undefined) return "all";
  // The server's own business; a quiet take-up changes nothing for others either.
  if (entry.type === "forgotten" || entry.type === "document-saved" || entry.type === "documents-thinned")
    return "none";
  if (entry.type === "resumed" && entry.quiet) return "none";
  if (entry.type !== "messages" && entry.type !== "sync-confirmed" && !isActivityEntry(entry)) return "all";
  if (entry.to === undefined) return "all";
  return [...entry.to, ...(entry.by === null ? [] : [entry.by]), ...("also" in entry ? (entry.also ?? []) : [])];
};

/** Whether a member is to be told of the entry. */
export const isVisible = (entry: Entry, member: MemberId): boolean => {
  const audience = audienceOf(entry);
  return audience === "all" || (audience !== "none" && audience.includes(member));
};

/** Whether every member may get the same copy. */
export const isPublic = (entry: Entry): boolean => audienceOf(entry) === "all";

/** The entry as members see it: without what only the server may know. */
export const redact = (entry: Entry): Entry => {
  if (entry.type !== "joined" && entry.type !== "resumed") return entry;
  const { instance: _, ...visible } = { instance: "", ...entry, node: "" };
  return visible;
};
