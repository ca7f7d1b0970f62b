/**
 * The log's home. Five verbs on a session's log, and what the caller may rely on. Every store passes the suite in
 * `@rostrum/testing/contract`.
 */

import type { Entry, Offset, SessionId, StateRecord, Time } from "@rostrum/protocol";
import type { BlobStore } from "./blobs.ts";

/** A place where the log may be cut, with what it weighed up to there. Retention is counted from these. */
export interface Mark {
  readonly offset: Offset;
  readonly at: Time;
  /** Bytes appended to this log since its birth, up to the offset. */
  readonly bytes: number;
}

/** The folded state at an offset, and the marks that are still in the log. */
export interface Snapshot {
  readonly state: StateRecord;
  readonly marks: readonly Mark[];
}

export interface Loaded {
  readonly snapshot: Snapshot | undefined;
  /** Lowest offset still in the log; `head + 1` if the log holds nothing. */
  readonly first: Offset;
  /** Last offset ever appended; 0 in a log that is not there yet. */
  readonly head: Offset;
}

/** The log must be as the writer believes, or nothing is appended. */
export interface Condition {
  /** Offset of the last control entry. Checked at every append. */
  readonly control: Offset;
  /** Offset of the last entry. Checked if given: the batch holds control entries, whose meaning depends on their place. */
  readonly head?: Offset;
}

export type Appended =
  /** Durable by the store's own promise. `first` is where the batch begins: without `head` it may have been moved up. */
  | { readonly ok: true; readonly first: Offset; readonly bytes: number }
  /** Somebody else appended first; read on and decide again. */
  | { readonly ok: false };

export interface Store {
  /** `false`: nothing outlives the process. */
  readonly durable: boolean;

  /** What lies beside the logs. Closed with the store. Absent: sessions have no blobs. */
  readonly blobs?: BlobStore;

  /** Kept for the store's life, at least 32 random bytes: what resume tokens are signed with. */
  secret(): Promise<Uint8Array>;

  /** What is there to start from. A session that was never appended to has head 0. */
  load(session: SessionId): Promise<Loaded>;

  /**
   * Appends the entries as one: all or none. Resolves when they are durable, never before. If the head is not where
   * `entries[0].offset` expects it and `condition.head` is absent, the batch is moved up to the head.
   * A rejection means that the outcome is unknown: the caller must load anew before it appends again.
   */
  append(session: SessionId, condition: Condition, entries: readonly Entry[]): Promise<Appended>;

  /** Entries that end after `after`, in order, at least one if there is one, about `limit` offsets in all. */
  read(session: SessionId, after: Offset, limit: number): Promise<readonly Entry[]>;

  /** Replaces the snapshot, durably. Never with one of a lower head. */
  snapshot(session: SessionId, snapshot: Snapshot): Promise<void>;

  /** Drops entries that end below `below`. The caller has a durable snapshot at or above it. */
  trim(session: SessionId, below: Offset): Promise<void>;

  /** Calls back with entries that anybody appended, in order, perhaps late, perhaps in part again. Returns its undo. */
  follow(session: SessionId, on: (entries: readonly Entry[]) => void): () => void;

  /** Removes the session: its blobs, log, snapshot and all. Rejected, some of it may be there still: ask again. */
  delete(session: SessionId): Promise<void>;

  /** Whether a server process (by its node id) is alive. A store for one process knows only its own. */
  alive?(node: string): boolean;

  /** Flushes and lets go. Everything after is rejected with STORE_FAILED. */
  close(): Promise<void>;
}
