/** Commands: what somebody asks for. `decide` turns them into entries or refuses them. */

import type { ActivityKind } from "./activities/activity.ts";
import type { MajorRule, SessionConfig } from "./config.ts";
import type { Subject } from "./dialog/dialog.ts";
import type { Item, LeftHow } from "./entry.ts";
import type { RostrumError } from "./errors.ts";
import type { FloorChange, Priority } from "./floors/config.ts";
import type { MemberId, Offset, Seq, Serial, SessionId, Time, UserId } from "./ids.ts";
import type { ResyncKind } from "./sync/sync.ts";

/** What a chair does with a floor. The server may do the same, but for taking it. */
export type ChairCommand =
  | { readonly type: "floor-accept" | "floor-grant" | "floor-give"; readonly floor: string; readonly member: MemberId }
  | {
      readonly type: "floor-deny" | "floor-revoke";
      readonly floor: string;
      readonly member: MemberId;
      readonly reason?: string;
    }
  | { readonly type: "floor-take"; readonly floor: string }
  /** `position` is in the order of granting, from 1. */
  | {
      readonly type: "floor-reorder";
      readonly floor: string;
      readonly member: MemberId;
      readonly position: number;
    }
  | { readonly type: "floor-configure"; readonly floor: string; readonly change: FloorChange };

/** What is done with sync points. `generation` as in `messages`. */
export type SyncCommand =
  | {
      readonly type: "sync-minor";
      readonly name?: string;
      readonly data?: unknown;
      /** All others who are here and may are asked to confirm. */
      readonly confirm?: boolean;
      readonly generation?: number;
    }
  | {
      readonly type: "sync-major";
      readonly name?: string;
      readonly data?: unknown;
      readonly rule?: MajorRule;
      /** Milliseconds for confirming it. */
      readonly within?: number;
      readonly generation?: number;
    }
  /** Confirms this point and all before it. */
  | { readonly type: "sync-confirm"; readonly serial: Serial; readonly data?: unknown; readonly generation?: number }
  /**
   * `restart`: back to the point `serial`. `abandon`: back to the last confirmed major point, and on with a serial never used.
   * `set`: nothing goes back; the next point gets `serial`.
   */
  | {
      readonly type: "resynchronize";
      readonly kind: ResyncKind;
      readonly serial?: Serial;
      readonly reason?: string;
      readonly generation?: number;
    }
  | { readonly type: "exception"; readonly reason: string; readonly generation?: number };

/** What is done with activities. `run` names the run under which it is done: another one has begun, and it is refused. */
export type ActivityCommand =
  | {
      readonly type: "activity-start";
      readonly name: string;
      readonly kind: ActivityKind;
      readonly to?: readonly MemberId[];
      readonly data?: unknown;
      /** Of `state`: the offset of the sync point. */
      readonly point?: Offset;
    }
  | {
      readonly type: "activity-point";
      readonly activity: Offset;
      readonly run: Offset;
      readonly data?: unknown;
      /** Somebody else, or the server, has to confirm it; else it is confirmed by being stored. */
      readonly confirm?: boolean;
    }
  /** This point and all before it; behind the last one of a transfer that has ended: it was received as a whole. */
  | { readonly type: "activity-confirm"; readonly activity: Offset; readonly serial: Serial }
  | {
      readonly type: "activity-interrupt";
      readonly activity: Offset;
      readonly run: Offset;
      /** Hands it to this member. */
      readonly for?: MemberId;
      readonly data?: unknown;
    }
  | { readonly type: "activity-resume"; readonly activity: Offset }
  | { readonly type: "activity-decline"; readonly activity: Offset; readonly reason?: string }
  | { readonly type: "activity-discard"; readonly activity: Offset; readonly reason?: string }
  | { readonly type: "activity-end"; readonly activity: Offset; readonly run: Offset; readonly result?: unknown };

/** What is done with documents besides editing them, which is done by messages. */
export type DocumentCommand = {
  readonly type: "document-restore";
  readonly document: string;
  /** The offset of the sync point. */
  readonly point: Offset;
  /** The document whose state it gets; absent: its own. */
  readonly from?: string;
};

/** What a member may ask for over the wire. A `messages` command takes one seq per item, every other one seq. */
export type MemberCommand =
  | {
      readonly type: "messages";
      readonly items: readonly Item[];
      readonly to?: readonly MemberId[];
      /** The grant under which guarded items were sent: under another one, or none, they are refused. */
      readonly fence?: Offset;
      /** The generation under which the app made it; absent: 0. */
      readonly generation?: number;
    }
  | {
      readonly type: "floor-request";
      readonly floor: string;
      /** The beneficiary; absent: who asks. */
      readonly for?: MemberId;
      readonly priority?: Priority;
      readonly reason?: string;
      /** Milliseconds after which the request is taken back. */
      readonly within?: number;
      /** Not to wait: granted now, or refused. */
      readonly ifAvailable?: boolean;
    }
  | { readonly type: "floor-cancel"; readonly floor: string; readonly for?: MemberId }
  | { readonly type: "floor-release"; readonly floor: string; readonly fence: Offset }
  | { readonly type: "floor-pass"; readonly floor: string; readonly fence: Offset; readonly member: MemberId }
  | ChairCommand
  | { readonly type: "propose"; readonly subject: Subject; readonly within?: number }
  | { readonly type: "answer"; readonly proposal: Offset; readonly accept: boolean; readonly reason?: string }
  | { readonly type: "withdraw"; readonly proposal: Offset }
  | SyncCommand
  | ActivityCommand
  | DocumentCommand
  | { readonly type: "release" }
  | { readonly type: "abort"; readonly reason?: string }
  | { readonly type: "end"; readonly reason?: string };

/** What only the server asks for. */
export type ServerCommand =
  | { readonly type: "open"; readonly session: SessionId; readonly birth: string; readonly config: SessionConfig }
  | { readonly type: "configure"; readonly config: SessionConfig }
  | {
      readonly type: "join";
      readonly member: MemberId;
      readonly user: UserId;
      readonly name?: string;
      readonly roles: readonly string[];
      readonly node: string;
      readonly instance?: string;
    }
  | {
      readonly type: "resume";
      readonly member: MemberId;
      readonly user: UserId;
      /** The incarnation to which the presented token is bound. */
      readonly incarnation: number;
      /** The highest incarnation that is known to have got its token, whether or not it has stored anything. */
      readonly confirmed: number;
      readonly node: string;
      readonly name?: string;
      readonly roles: readonly string[];
    }
  | { readonly type: "drop"; readonly member: MemberId; readonly incarnation: number; readonly since: Time }
  | { readonly type: "remove"; readonly member: MemberId; readonly how: LeftHow; readonly reason?: string }
  | { readonly type: "tick" }
  /** This process writes the log from here on. */
  | { readonly type: "begin-epoch"; readonly epoch: string }
  /** A transfer's bytes cannot be kept, or are not what they were said to be. */
  | { readonly type: "activity-fail"; readonly activity: Offset; readonly reason: string }
  /** The store's record holds the document as of `upTo`. */
  | {
      readonly type: "document-saved";
      readonly document: string;
      readonly upTo: Offset;
      readonly updates: number;
      readonly bytes: number;
    }
  /** The log may be rid of documents' updates up to `upTo`: the records have them. */
  | { readonly type: "documents-thin"; readonly upTo: Offset }
  /** A host has seen this lease run out by its own clock; `from` is where it began. */
  | { readonly type: "lapse"; readonly floor: string; readonly fence: Offset; readonly from: Offset };

/** Who asks: a member through one of its incarnations, or the server. */
export interface FromMember {
  readonly member: MemberId;
  readonly incarnation: number;
  readonly seq: Seq;
}

export type Envelope =
  | { readonly from: FromMember; readonly command: MemberCommand }
  | { readonly from: null; readonly command: MemberCommand | ServerCommand };

/** A command that came and is none: it is refused under its own seq, and those beside it go on. */
export interface Unreadable {
  readonly type: "unreadable";
  readonly span: number;
  readonly error: RostrumError;
}

/** How many seqs the command takes. */
export const seqSpan = (command: MemberCommand | Unreadable): number =>
  command.type === "messages" ? command.items.length : command.type === "unreadable" ? command.span : 1;
