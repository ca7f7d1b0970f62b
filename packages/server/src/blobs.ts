/**
 * Bytes that lie beside a session's log: transferred files, shared states. The log says what they mean; here they are
 * only kept. Every blob store passes the suite in `@rostrum/testing/blob-contract`.
 *
 * A blob is named by its session and 1 to 100 of `A-Z a-z 0-9 _ -`; any other name is refused with USAGE, as are
 * positions and lengths that are not whole numbers from 0. All sizes, positions and lengths are in bytes.
 * After `close()` everything is refused with BLOB_FAILED.
 */

import type { SessionId } from "@rostrum/protocol";

export interface BlobStore {
  /** `false`: nothing outlives the process. */
  readonly durable: boolean;

  /** Bytes that are there; `undefined`: no such blob. */
  size(session: SessionId, blob: string): Promise<number | undefined>;

  /**
   * Opens a blob for writing at its end: made if it is not there, cut to `at` bytes if it has more. A blob has one
   * writer at a time: from here on an earlier one is refused with BLOB_FAILED, also what it had under way, and nothing of
   * that lands.
   * @throws BLOB_FAILED if there are fewer bytes than `at`: nothing has changed then, an earlier writer goes on
   */
  write(session: SessionId, blob: string, at: number): Promise<BlobWriter>;

  /** @throws BLOB_UNKNOWN */
  read(session: SessionId, blob: string): Promise<BlobReader>;

  /** Names of the session's blobs, sorted. */
  list(session: SessionId): Promise<readonly string[]>;

  /**
   * Removes a blob, durably; one that is absent is none the worse for it. Its writer is refused with BLOB_FAILED from here
   * on. Its readers go on with what was there, or are refused with BLOB_UNKNOWN.
   */
  remove(session: SessionId, blob: string): Promise<void>;

  /** Removes all blobs of the session. */
  removeAll(session: SessionId): Promise<void>;

  /** Lets go of everything, writers and readers included. What was appended by then has landed; flush what must last. */
  close(): Promise<void>;
}

export interface BlobWriter {
  /** Where the next append goes: `at`, and what was appended whole. */
  readonly size: number;

  /**
   * Adds bytes at the end, all or none. Calls need not wait for one another: they land in their order. The bytes must not
   * be changed until it resolves.
   * @throws BLOB_FULL, BLOB_FAILED: then this writer takes nothing more. Open the blob anew, at its size
   */
  append(bytes: Uint8Array): Promise<void>;

  /**
   * What was appended before is durable when it resolves.
   * @throws BLOB_FULL, BLOB_FAILED: then this writer takes nothing more, and `size` is back at what is surely durable
   */
  flush(): Promise<void>;

  /** Lets go, after what is under way. Flushes nothing. */
  close(): Promise<void>;
}

export interface BlobReader {
  /**
   * Up to `length` bytes; fewer only at the end; none: at or behind the end. Sees what is appended after it was opened.
   * @throws BLOB_FAILED
   */
  read(from: number, length: number): Promise<Uint8Array>;

  close(): Promise<void>;
}
