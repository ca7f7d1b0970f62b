/** What a document's bytes mean. The server runs documents without knowing; whoever knows gives it this. */

import type { DocumentConfig, SessionId } from "@rostrum/protocol";

/** Clients of a document, each with the clock up to which (excluded) something reaches. */
export type Clocks = ReadonlyMap<number, number>;

/** What an update says of itself. */
export interface UpdateFacts {
  /** Runs that it adds, at most one of each client. */
  readonly adds: readonly { readonly client: number; readonly from: number; readonly to: number }[];
  /** What has to be there before, its own additions left out. */
  readonly needs: Clocks;
  readonly deletes: boolean;
}

export interface Compacted {
  /** In format 2, without what was deleted. */
  readonly state: Uint8Array;
  readonly clocks: Clocks;
}

export interface DocumentCodec extends Partial<DocumentConfig> {
  /** Reads an update in format 1. @throws RostrumError DOCUMENT_INVALID */
  read(update: Uint8Array): UpdateFacts;
  /** Few and small updates of format 1 as one. */
  merge(updates: readonly Uint8Array[]): Uint8Array;
  /** What a state of format 2 has and the state vector has not, in format 2. */
  diff(state: Uint8Array, vector: Uint8Array): Promise<Uint8Array>;
  /**
   * State and updates (format 1, in order) as one state. Not in this thread, if that can be.
   * @throws RostrumError DOCUMENT_INVALID if anything in them waits for what is not there
   */
  compact(content: { readonly state?: Uint8Array; readonly updates: readonly Uint8Array[] }): Promise<Compacted>;
  /** What the app has of a document that the session does not know, in format 1. */
  load?(about: { readonly session: SessionId; readonly document: string }): Promise<Uint8Array | undefined>;
  /** The app's own copy of a state (format 2) as of an offset. */
  store?(about: {
    readonly session: SessionId;
    readonly document: string;
    readonly state: Uint8Array;
    readonly offset: number;
  }): Promise<void>;
  /** Stops its threads. What is under way is rejected. */
  close(): Promise<void>;
}
