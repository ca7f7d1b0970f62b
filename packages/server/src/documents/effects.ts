/** What a session's documents do to the world. Every `done` is called once, later or at once. */

import type { Offset } from "@rostrum/protocol";
import type { DocumentRecord, DocumentVersion } from "../store.ts";
import type { Compacted, UpdateFacts } from "./codec.ts";
import type { Done } from "./task.ts";

export interface DocumentEffects<C> {
  load(document: string, done: Done<DocumentRecord | undefined>): void;
  /** The state of the record at this offset; `undefined`: another record has taken its place. */
  state(document: string, offset: Offset, done: Done<Uint8Array | undefined>): void;
  save(document: string, record: DocumentRecord, state: Uint8Array, done: Done<void>): void;
  versions(document: string, done: Done<readonly Offset[]>): void;
  version(document: string, point: Offset, done: Done<DocumentVersion | undefined>): void;
  saveVersion(document: string, point: Offset, version: DocumentVersion, done: Done<void>): void;
  removeVersion(document: string, point: Offset, done: Done<void>): void;

  /** @throws RostrumError DOCUMENT_INVALID */
  read(update: Uint8Array): UpdateFacts;
  merge(updates: readonly Uint8Array[]): Uint8Array;
  diff(state: Uint8Array, vector: Uint8Array, done: Done<Uint8Array>): void;
  compact(state: Uint8Array | undefined, updates: readonly Uint8Array[], done: Done<Compacted>): void;

  /** What the app has of a document that the session does not know. */
  initial(document: string, done: Done<Uint8Array | undefined>): void;
  /** A record was saved: the app may keep its own copy. */
  saved(document: string, state: Uint8Array, offset: Offset): void;
  /** A compaction's turn, of few over all sessions. It calls `leave` when it is over. */
  enter(then: (leave: () => void) => void): void;
  /** Runs `then` when the connection has nothing that waits to be sent, or is gone. */
  clear(connection: C, then: () => void): void;
  /** A number for a replica of the server's own. */
  newReplica(): number;
  warn(message: string, cause: unknown): void;
}
