/** Everything in memory: for tests and toys. Nothing outlives the process. */

import { randomBytes } from "node:crypto";
import { type Entry, isControl, lastOffset, type Offset, RostrumError, type SessionId, span } from "@rostrum/protocol";
import { memoryBlobs } from "../blobs/memory.ts";
import type { Snapshot, Store } from "../store.ts";
import { Followers, movedTo } from "./log.ts";
import { memoryDocuments } from "./memory-documents.ts";

interface Log {
  entries: Entry[];
  first: Offset;
  head: Offset;
  control: Offset;
  snapshot: Snapshot | undefined;
}

/** @example attachSessions(io, { store: memoryStore() }) */
export const memoryStore = (): Store => {
  const secret = randomBytes(32);
  const logs = new Map<SessionId, Log>();
  const followers = new Followers();
  const blobs = memoryBlobs();
  let closed = false;
  const check = (): void => {
    if (closed) throw new RostrumError("STORE_FAILED", "The store was closed.");
  };
  const { removeAll: removeDocuments, ...documents } = memoryDocuments(check);
  /** Index of the first entry that ends after an offset. */
  const indexAfter = ({ entries }: Log, after: Offset): number => {
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lastOffset(entries[middle] as Entry) > after) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return {
    durable: false,
    blobs,
    documents,
    secret: async () => secret,
    load: async (session) => {
      check();
      const { snapshot, first, head } = logs.get(session) ?? { snapshot: undefined, first: 1, head: 0 };
      return { snapshot, first, head };
    },
    append: async (session, condition, entries) => {
      check();
      const log: Log = logs.get(session) ?? { entries: [], first: 1, head: 0, control: 0, snapshot: undefined };
      if (condition.control !== log.control || (condition.head !== undefined && condition.head !== log.head))
        return { ok: false };
      const first = log.head + 1;
      const placed = movedTo(entries, first);
      let bytes = 0;
      for (const entry of placed) {
        log.entries.push(entry);
        log.head = lastOffset(entry);
        if (isControl(entry)) log.control = entry.offset;
        bytes += 100 * span(entry);
      }
      logs.set(session, log);
      followers.tell(session, placed);
      return { ok: true, first, bytes };
    },
    read: async (session, after, limit) => {
      check();
      const log = logs.get(session);
      if (log === undefined) return [];
      const start = indexAfter(log, after);
      let end = start;
      for (let offsets = 0; end < log.entries.length && offsets < limit; end += 1)
        offsets += span(log.entries[end] as Entry);
      return log.entries.slice(start, end);
    },
    snapshot: async (session, snapshot) => {
      check();
      const log = logs.get(session);
      if (log !== undefined && snapshot.state.head >= (log.snapshot?.state.head ?? 0)) log.snapshot = snapshot;
    },
    trim: async (session, below) => {
      check();
      const log = logs.get(session);
      if (log === undefined) return;
      log.entries = log.entries.slice(indexAfter(log, below - 1));
      log.first = log.entries[0]?.offset ?? log.head + 1;
    },
    follow: (session, on) => followers.add(session, on),
    delete: async (session) => {
      check();
      await blobs.removeAll(session);
      removeDocuments(session);
      logs.delete(session);
    },
    close: async () => {
      closed = true;
      logs.clear();
      await blobs.close();
    },
  };
};
