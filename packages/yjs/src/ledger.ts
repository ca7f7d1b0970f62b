/**
 * What of a document is confirmed, and what is open: the bookkeeping without Yjs. Confirmed is what the server has stored, as of
 * an offset; open are own updates that it has not decided, sent (they wait in the session's outbox) or held (they wait here).
 */

import type { Offset } from "@rostrum/protocol";
import { type Content, keyOf, type Piece, type Update } from "./terms.ts";

export interface Open extends Update {
  madeOn?: Content;
  /** Undefined: it is held, and gets one when it is sent. */
  lineage: Offset | undefined;
  /** Whether the document that the app has contains it. */
  included: boolean;
  /** Whether it lies on the disk as one that is held: until it is decided, as the session's outbox writes in its own time. */
  isKept: boolean;
}

/** What has changed of the pieces since it was asked for last. */
export interface PieceChange {
  /** The numbers of those that are gone. */
  readonly gone: readonly number[];
  readonly added: readonly (readonly [number: number, piece: Piece])[];
}

export class Ledger {
  /** `undefined`: nothing was ever confirmed. */
  content: Content | undefined;
  /** Everything of the document up to here is among the pieces; some that came later may be as well. */
  offset: Offset = 0;
  private readonly parts = new Map<number, Piece>();
  private next = 1;
  private readonly updates = new Map<string, Open>();
  private gone: number[] = [];
  private added = new Map<number, Piece>();
  /** Bytes that were added since the last compaction, and those that it left. */
  tailBytes = 0;
  baseBytes = 0;

  get pieces(): readonly Piece[] {
    return [...this.parts.values()];
  }

  get size(): number {
    return this.parts.size;
  }

  get open(): readonly Open[] {
    return [...this.updates.values()];
  }

  has(update: Pick<Update, "replica" | "n">): boolean {
    return this.updates.has(keyOf(update));
  }

  get(update: Pick<Update, "replica" | "n">): Open | undefined {
    return this.updates.get(keyOf(update));
  }

  /** As it was kept. */
  restore(content: Content, offset: Offset, kept: readonly (readonly [number, Piece])[]): void {
    this.content = content;
    this.offset = offset;
    for (const [number, piece] of kept) {
      this.parts.set(number, piece);
      this.next = Math.max(this.next, number + 1);
      if (piece.format === 2) this.baseBytes += piece.bytes.byteLength;
      else this.tailBytes += piece.bytes.byteLength;
    }
  }

  /** An own update that is not decided. */
  take(update: Update, lineage: Offset | undefined, included: boolean): Open {
    const open: Open = { ...update, lineage, included, isKept: false };
    this.updates.set(keyOf(update), open);
    return open;
  }

  /** It is decided, or given up. */
  settle(update: Pick<Update, "replica" | "n">): Open | undefined {
    const open = this.updates.get(keyOf(update));
    this.updates.delete(keyOf(update));
    return open;
  }

  /** Those of its replica that come behind it: they build on it. */
  behind({ replica, n }: Pick<Update, "replica" | "n">): readonly Open[] {
    return this.open.filter((each) => each.replica === replica && each.n > n);
  }

  /** Whether one of its replica that comes before it waits to be sent. */
  isHeldBack({ replica, n }: Pick<Update, "replica" | "n">): boolean {
    for (const each of this.updates.values())
      if (each.replica === replica && each.n < n && each.lineage === undefined) return true;
    return false;
  }

  /** Stored by the server. */
  add(piece: Piece): void {
    this.parts.set(this.next, piece);
    this.added.set(this.next, piece);
    this.next += 1;
    this.tailBytes += piece.bytes.byteLength;
  }

  /** What is confirmed is this, and nothing else. */
  begin(content: Content, pieces: readonly Piece[]): void {
    this.content = content;
    for (const number of this.parts.keys()) if (!this.added.delete(number)) this.gone.push(number);
    this.parts.clear();
    this.tailBytes = 0;
    for (const piece of pieces) this.add(piece);
    this.baseBytes = this.tailBytes;
    this.tailBytes = 0;
  }

  /** The same content in one piece. */
  compact(state: Uint8Array): void {
    if (this.content !== undefined) this.begin(this.content, [{ format: 2, bytes: state }]);
  }

  /** Worth it: the log of changes has outgrown what it changes. */
  get isLong(): boolean {
    return (
      this.parts.size > mostPieces ||
      (this.tailBytes > leastTail && this.tailBytes > this.baseBytes && this.parts.size > 1)
    );
  }

  /** What has to be written. It counts as written. */
  changes(): PieceChange {
    const change = { gone: this.gone, added: [...this.added] };
    this.gone = [];
    this.added = new Map();
    return change;
  }

  get isChanged(): boolean {
    return this.gone.length > 0 || this.added.size > 0;
  }
}

const mostPieces = 256;
const leastTail = 262_144;
