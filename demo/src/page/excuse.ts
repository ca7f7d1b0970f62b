/** Errors as a visitor reads them: what happened, and that nothing else did. */

import type { ErrorCode, RostrumError } from "@rostrum/client";

const sentences: Readonly<Partial<Record<ErrorCode, string>>> = {
  SYNC_SECURED: "A later point was secured in the meantime, and nobody goes back before that. Nothing was changed.",
  SYNC_COLLISION: "Somebody else had taken everybody back first, and that stands. Yours was not done.",
  SYNC_PENDING: "The last one to be secured still waits for somebody: one at a time.",
  SYNC_UNKNOWN: "That point is void by now, or so old that it is not listed any more. Nothing was changed.",
  SYNC_LIMIT: "Too many points wait to be confirmed. Secure one, then go on.",
  RESYNCHRONIZED: "Everybody went back before this was stored, so it was not done.",
  TRANSFER_SOURCE: "That is another file than the one that was begun. Nothing was sent; choose the same one.",
  TRANSFER_REFUSED: "Everybody to whom it was addressed has declined it.",
  TRANSFER_ABORTED: "It was given up, and what was stored of it is removed.",
  TRANSFER_DIGEST: "What came is not what was sent, and was thrown away.",
  ACTIVITY_NOT_HELD: "Another page of yours has taken it up and goes on with it.",
  DOCUMENT_UNKNOWN: "This sheet was not there yet at that moment.",
  STATE_MISSING: "This page does not have what was there at that point, and the server does not either.",
};

export const excuse = (error: RostrumError): string => sentences[error.code] ?? error.message;
