/** What the file blobs ask of the disk, and how its failures are told. */

import { open, stat } from "node:fs/promises";
import { type ErrorDetails, RostrumError } from "@rostrum/protocol";

const noRoom: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** "ENOSPC" and the like. */
export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown";

/** What the disk refused, as ours: `what` happened, `then` is how things are now and what to do. */
export const refusalOf = (cause: unknown, what: string, then: string, details: ErrorDetails = {}): RostrumError => {
  if (cause instanceof RostrumError) return cause;
  const code = codeOf(cause);
  return noRoom.includes(code)
    ? new RostrumError(
        "BLOB_FULL",
        `${what}: there is no room (${code}). ${then} Make room on the disk, or raise its quota.`,
        { ...details, cause: code },
        { cause },
      )
    : new RostrumError("BLOB_FAILED", `${what}: ${code}. ${then}`, { ...details, cause: code }, { cause });
};

/** What is not there is `undefined`, here and in the folders above it. */
export const orAbsent = async <T>(asked: Promise<T>): Promise<T | undefined> => {
  try {
    return await asked;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
};

export const sizeOf = async (path: string): Promise<number | undefined> => (await orAbsent(stat(path)))?.size;

/** A file that was made or removed is so durably only when its folder is flushed. Windows has no such call. */
export const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Does what is asked of the disk, and tells its refusal as ours. */
export const told = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (cause) {
    throw refusalOf(cause, what, "Look after the disk and the rights of the folder, then try again.");
  }
};
