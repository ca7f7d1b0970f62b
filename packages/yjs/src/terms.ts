/** What a document's copy on this client is made of, and what it does to the world. */

import type { MemberId, Offset, RostrumError } from "@rostrum/protocol";
import type { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";

/** A content: compares only within one birth of the log. */
export interface Content {
  readonly birth: string;
  readonly lineage: Offset;
}

/** One update of a replica: `n` counts them from 0. */
export interface Update {
  readonly replica: number;
  readonly n: number;
  readonly bytes: Uint8Array;
  /** It was sent once, as made on that content. */
  readonly madeOn?: Content;
}

/** A part of what is confirmed, as Yjs encoded it. */
export interface Piece {
  readonly format: 1 | 2;
  readonly bytes: Uint8Array;
}

/** Names an update for ever: no replica is used again. */
export const keyOf = ({ replica, n }: Pick<Update, "replica" | "n">): string => `${replica}/${n}`;

export interface Transaction {
  readonly set: readonly (readonly [string, unknown])[];
  readonly remove: readonly string[];
}

/** Where a document is kept on the device. Transactions are begun in the order in which they are given. */
export interface Place {
  readonly load: (done: (values: ReadonlyMap<string, unknown> | undefined, error?: unknown) => void) => void;
  readonly commit: (transaction: Transaction, done: (error?: unknown) => void) => void;
}

/** Everything that is not at once, and everything that is not ours. */
export interface Effects {
  /** Runs when this turn is over. */
  readonly defer: (run: () => void) => void;
  /** Runs after so many milliseconds. Returns its undo. */
  readonly after: (milliseconds: number, run: () => void) => () => void;
  /** Wall-clock time, to be shown. */
  readonly now: () => number;
  readonly keep: (name: string, done: (place: Place | undefined, error?: unknown) => void) => void;
  readonly awareness: (doc: Y.Doc) => Awareness;
  /** The page is about to be hidden or left. Returns its undo. */
  readonly away: (listener: () => void) => () => void;
  /** The page is left, and perhaps come back to. Returns its undo. */
  readonly left: (gone: () => void, back: () => void) => () => void;
  /** Listens to a volatile event. Returns its undo. */
  readonly hear: (event: string, listener: (from: MemberId | null, args: readonly unknown[]) => void) => () => void;
  readonly warn: (error: RostrumError) => void;
}
