/** Names and numbers by which a session's parts refer to one another. Branded, so that two strings cannot be swapped. */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Chosen by the app: 1 to 128 characters. */
export type SessionId = Branded<"SessionId">;
/** One client instance (a tab or a device) in one session. Made by the server. */
export type MemberId = Branded<"MemberId">;
/** Who a member is. Comes from the app's `authenticate`. One user may have several members. */
export type UserId = Branded<"UserId">;

/** Position in the log, from 1. 0 means "before the first entry". Compares only within one birth. */
export type Offset = number;
/** A member's own numbering of its commands, from 1. Only grows; holes are allowed. */
export type Seq = number;
/** Number of a sync point, from 1 (X.215: serial number). */
export type Serial = number;
/** Milliseconds since 1970 by the server's clock. Never runs backwards within a log. */
export type Time = number;

export const sessionId = (value: string): SessionId => value as SessionId;
export const memberId = (value: string): MemberId => value as MemberId;
export const userId = (value: string): UserId => value as UserId;
