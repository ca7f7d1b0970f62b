/**
 * Resume tokens: signed, not stored. Bound to session, birth, member, user and incarnation; each take-up makes the older
 * ones useless (`decide` compares incarnations). Their life ends with the member's in the log.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import type { MemberId, SessionId, UserId } from "@rostrum/protocol";

export interface Bearer {
  readonly session: SessionId;
  readonly birth: string;
  readonly member: MemberId;
  readonly user: UserId;
}

const sign = (secret: Uint8Array, { session, birth, member, user }: Bearer, incarnation: number): string =>
  createHmac("sha256", secret)
    .update(JSON.stringify([session, birth, member, user, incarnation]))
    .digest("base64url");

export const makeToken = (secret: Uint8Array, bearer: Bearer, incarnation: number): string =>
  `${incarnation}.${sign(secret, bearer, incarnation)}`;

/** The incarnation that a genuine token is bound to; `undefined` for any other. */
export const readToken = (secret: Uint8Array, bearer: Bearer, token: string): number | undefined => {
  const [head = "", signature = ""] = token.split(".");
  const incarnation = Number(head);
  if (!Number.isSafeInteger(incarnation) || incarnation < 1) return undefined;
  const expected = Buffer.from(sign(secret, bearer, incarnation));
  const presented = Buffer.from(signature);
  return presented.length === expected.length && timingSafeEqual(presented, expected) ? incarnation : undefined;
};
