/** What blob stores refuse, and in which words. No path in them: they may travel to clients. */

import { RostrumError } from "@rostrum/protocol";

/** No name that passes means anything to a file system. */
export const checkName = (blob: string): void => {
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(blob))
    throw new RostrumError(
      "USAGE",
      `A blob's name has 1 to 100 of A-Z a-z 0-9 _ -, and this one of ${blob.length} characters is not that: ${JSON.stringify(blob.slice(0, 100))}. Nothing was done.`,
    );
};

export const checkWhole = (what: string, value: number): void => {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RostrumError("USAGE", `${what} is ${value}, and must be a whole number of bytes from 0.`);
};

export const unknown = (blob: string): RostrumError =>
  new RostrumError("BLOB_UNKNOWN", `There is no blob ${blob} in the session: it was removed, or never written.`, {
    blob,
  });

export const closed = (what: string): RostrumError =>
  new RostrumError("BLOB_FAILED", `The ${what} was closed and does nothing more. Open it anew.`);

export const beyond = (blob: string, at: number, size: number): RostrumError =>
  new RostrumError(
    "BLOB_FAILED",
    `The blob ${blob} was to be written from ${at} and has ${size} bytes. Nothing was changed. Go on at ${size} or before.`,
    { blob, at, size },
  );

export const replaced = (blob: string): RostrumError =>
  new RostrumError(
    "BLOB_FAILED",
    `Somebody else opened the blob ${blob} for writing. Of what this writer had under way nothing was kept, and it takes nothing more.`,
    { blob },
  );

export const removed = (blob: string): RostrumError =>
  new RostrumError("BLOB_FAILED", `The blob ${blob} was removed while it was written. Open it anew, from 0.`, { blob });
