/** Blobs in memory: for tests and toys. Nothing outlives the process. */

import { RostrumError, type SessionId } from "@rostrum/protocol";
import type { BlobReader, BlobStore, BlobWriter } from "../blobs.ts";
import { beyond, checkName, checkWhole, closed, removed, replaced, unknown } from "./refusals.ts";

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Blob {
  readonly name: string;
  /** Without holes, none empty. */
  readonly pieces: Piece[];
  size: number;
  /** Ends its present writer. */
  end: ((why: RostrumError) => void) | undefined;
}

/** Index of the piece that holds a position, or would. */
const indexAt = ({ pieces }: Blob, position: number): number => {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const piece = pieces[middle];
    if (piece !== undefined && piece.at + piece.bytes.length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
};

const cut = (blob: Blob, at: number): void => {
  const index = indexAt(blob, at);
  const kept = blob.pieces[index];
  blob.pieces.length = index;
  // A copy, so that the part that is cut off is freed.
  if (kept !== undefined && kept.at < at) blob.pieces.push({ at: kept.at, bytes: kept.bytes.slice(0, at - kept.at) });
  blob.size = at;
};

const copy = (blob: Blob, from: number, length: number): Uint8Array => {
  const end = Math.min(blob.size, from + length);
  const bytes = new Uint8Array(Math.max(0, end - from));
  for (let index = indexAt(blob, from), at = from; at < end; index += 1) {
    const piece = blob.pieces[index];
    if (piece === undefined) break;
    const part = piece.bytes.subarray(at - piece.at, end - piece.at);
    bytes.set(part, at - from);
    at += part.length;
  }
  return bytes;
};

/**
 * @param limit Bytes of all blobs together; more is refused with BLOB_FULL.
 * @example memoryBlobs(1_048_576)
 */
export const memoryBlobs = (limit = 268_435_456): BlobStore => {
  const sessions = new Map<SessionId, Map<string, Blob>>();
  let used = 0;
  let over = false;
  const check = (): void => {
    if (over) throw closed("blob store");
  };
  const find = (session: SessionId, blob: string): Blob | undefined => {
    check();
    checkName(blob);
    return sessions.get(session)?.get(blob);
  };
  const make = (session: SessionId, name: string): Blob => {
    const blob: Blob = { name, pieces: [], size: 0, end: undefined };
    sessions.set(session, (sessions.get(session) ?? new Map<string, Blob>()).set(name, blob));
    return blob;
  };
  const drop = (session: SessionId, blob: Blob): void => {
    blob.end?.(removed(blob.name));
    used -= blob.size;
    const blobs = sessions.get(session);
    blobs?.delete(blob.name);
    if (blobs?.size === 0) sessions.delete(session);
  };

  const writerOf = (blob: Blob): BlobWriter => {
    let ended: RostrumError | undefined;
    let size = blob.size;
    const end = (why: RostrumError): void => {
      ended ??= why;
      if (blob.end === end) blob.end = undefined;
    };
    blob.end = end;
    return {
      get size() {
        return size;
      },
      append: async (bytes) => {
        check();
        if (ended !== undefined) throw ended;
        if (used + bytes.length > limit) {
          ended = new RostrumError(
            "BLOB_FULL",
            `The blob ${blob.name} was to grow by ${bytes.length} bytes at ${size}, and ${limit - used} of ${limit} are left for all blobs. Nothing of that was kept, and this writer takes nothing more. Remove some, or raise the limit of memoryBlobs, and open it anew at ${size}.`,
            { blob: blob.name, bytes: bytes.length, size, limit },
          );
          throw ended;
        }
        if (bytes.length === 0) return;
        blob.pieces.push({ at: size, bytes: Uint8Array.from(bytes) });
        blob.size = size += bytes.length;
        used += bytes.length;
      },
      flush: async () => {
        check();
        if (ended !== undefined) throw ended;
      },
      close: async () => end(closed("blob's writer")),
    };
  };

  const readerOf = (blob: Blob): BlobReader => {
    let ended = false;
    return {
      read: async (from, length) => {
        check();
        checkWhole("from", from);
        checkWhole("length", length);
        if (ended) throw closed("blob's reader");
        return copy(blob, from, length);
      },
      close: async () => {
        ended = true;
      },
    };
  };

  return {
    durable: false,
    size: async (session, blob) => find(session, blob)?.size,
    write: async (session, name, at) => {
      checkWhole("at", at);
      const found = find(session, name);
      if (at > (found?.size ?? 0)) throw beyond(name, at, found?.size ?? 0);
      const blob = found ?? make(session, name);
      blob.end?.(replaced(name));
      used -= blob.size - at;
      cut(blob, at);
      return writerOf(blob);
    },
    read: async (session, name) => {
      const blob = find(session, name);
      if (blob === undefined) throw unknown(name);
      return readerOf(blob);
    },
    list: async (session) => {
      check();
      return [...(sessions.get(session)?.keys() ?? [])].sort();
    },
    remove: async (session, name) => {
      const blob = find(session, name);
      if (blob !== undefined) drop(session, blob);
    },
    removeAll: async (session) => {
      check();
      for (const blob of [...(sessions.get(session)?.values() ?? [])]) drop(session, blob);
    },
    close: async () => {
      over = true;
      sessions.clear();
    },
  };
};
