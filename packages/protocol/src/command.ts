/** Commands: what somebody asks for. `decide` turns them into entries or refuses them. */

import type { SessionConfig } from "./config.ts";
import type { Item, LeftHow } from "./entry.ts";
import type { MemberId, Offset, Seq, SessionId, Time, UserId } from "./ids.ts";

/** What a member may ask for over the wire. A `messages` command takes one seq per item, every other one seq. */
export type MemberCommand =
  | { readonly type: "messages"; readonly items: readonly Item[]; readonly to?: readonly MemberId[] }
  | { readonly type: "floor-request"; readonly floor: string }
  | { readonly type: "floor-cancel"; readonly floor: string }
  | { readonly type: "floor-release"; readonly floor: string; readonly fence: Offset }
  | { readonly type: "floor-grant"; readonly floor: string; readonly member: MemberId }
  | { readonly type: "floor-deny"; readonly floor: string; readonly member: MemberId }
  | { readonly type: "floor-revoke"; readonly floor: string; readonly member: MemberId }
  | { readonly type: "sync-minor"; readonly data?: unknown }
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
  | { readonly type: "tick" };

/** Who asks: a member through one of its incarnations, or the server. */
export interface FromMember {
  readonly member: MemberId;
  readonly incarnation: number;
  readonly seq: Seq;
}

export type Envelope =
  | { readonly from: FromMember; readonly command: MemberCommand }
  | { readonly from: null; readonly command: MemberCommand | ServerCommand };

/** How many seqs the command takes. */
export const seqSpan = (command: MemberCommand): number => (command.type === "messages" ? command.items.length : 1);
