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

  /** Records of documents. Absent: sessions have no documents. */
  readonly documents?: DocumentStore;

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

/** Who wrote how much of a document: a replica, its user, and what its next update has to begin with. */
export interface DocumentWriter {
  readonly replica: number;
  /** `""`: the server. `null`: it came with what was restored, and nobody goes on with it. */
  readonly user: string | null;
  readonly clock: number;
  readonly n: number;
}

/** What is kept of a document besides its bytes. */
export interface DocumentRecord {
  /** The log's life that the offsets belong to. */
  readonly birth: string;
  /** The state holds everything up to here. */
  readonly offset: Offset;
  readonly lineage: Offset;
  /** Where it changed last. */
  readonly changed: Offset;
  readonly writers: readonly DocumentWriter[];
  /** Bytes of the state. */
  readonly bytes: number;
}

/** A document as it was at a sync point. */
export interface DocumentVersion {
  readonly lineage: Offset;
  readonly state: Uint8Array;
}

/**
 * Documents of sessions: of each a record with its state, and states at sync points. States may have tens of megabytes. All of
 * it is deleted with the session.
 */
export interface DocumentStore {
  /** Without the state. `undefined`: none was saved. */
  load(session: SessionId, document: string): Promise<DocumentRecord | undefined>;

  /** The state of the record at this offset; `undefined` if another record has taken its place. */
  state(session: SessionId, document: string, offset: Offset): Promise<Uint8Array | undefined>;

  /**
   * Replaces record and state as one, durably. One of a lower offset, or of the same, which holds the same, is left out, unless the
   * birth is another.
   */
  save(session: SessionId, document: string, record: DocumentRecord, state: Uint8Array): Promise<void>;

  /** Where there are versions, ascending. */
  versions(session: SessionId, document: string): Promise<readonly Offset[]>;

  version(session: SessionId, document: string, point: Offset): Promise<DocumentVersion | undefined>;

  /** Durable when it resolves. */
  saveVersion(session: SessionId, document: string, point: Offset, version: DocumentVersion): Promise<void>;

  /** One that is absent is none the worse for it. */
  removeVersion(session: SessionId, document: string, point: Offset): Promise<void>;

  /** Removes all of a document. */
  remove(session: SessionId, document: string): Promise<void>;
}
