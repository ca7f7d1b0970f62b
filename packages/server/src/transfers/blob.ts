/** Where an activity's bytes lie, and whether they are still those of its points. */

import { createHash, type Hash } from "node:crypto";
import { type Offset, RostrumError, type SessionId, type TransferPoint } from "@rostrum/protocol";
import type { BlobStore } from "../blobs.ts";
import type { Turns } from "./turns.ts";

/** Of this life of the log: another one numbers its activities anew. */
export const blobOf = (birth: string, activity: Offset): string =>
  `${birth.replace(/[^A-Za-z0-9]/g, "").slice(0, 12)}-${activity}`;

const pieceBytes = 262_144;

/**
 * The running hash of the bytes up to the point, computed anew from what is stored, a piece at a time.
 * @throws RostrumError TRANSFER_DIGEST if they are not what the point says, BLOB_FAILED, BLOB_UNKNOWN
 */
export const hashUpTo = async (
  blobs: BlobStore,
  session: SessionId,
  blob: string,
  { bytes, digest }: TransferPoint,
  turns: Turns,
): Promise<Hash> => {
  const hash = createHash("sha256");
  if (bytes === 0) return hash;
  const stored = (await blobs.size(session, blob)) ?? 0;
  if (stored < bytes) {
    throw new RostrumError(
      "TRANSFER_DIGEST",
      `The last point was at byte ${bytes}, and only ${stored} are stored: the disk has lost some. The transfer was given up; begin it anew.`,
      { bytes, stored },
    );
  }
  const reader = await blobs.read(session, blob);
  try {
    for (let at = 0; at < bytes; ) {
      const piece = await reader.read(at, Math.min(pieceBytes, bytes - at));
      if (piece.length === 0) throw new RostrumError("BLOB_FAILED", `Nothing could be read from byte ${at}.`, { at });
      hash.update(piece);
      at += piece.length;
      await turns.next();
    }
  } finally {
    await reader.close();
  }
  const present = hash.copy().digest("hex");
  if (present !== digest) {
    throw new RostrumError(
      "TRANSFER_DIGEST",
      `The ${bytes} bytes that are stored are not those of the last point: the disk has changed some. The transfer was given up; begin it anew.`,
      { bytes, received: present, sent: digest },
    );
  }
  return hash;
};
