/**
 * A document on the device. Keys: `head`; `p/…` (pieces of what is confirmed); `h/replica/n` (own updates that wait here);
 * `d/…` (drafts, see drafts.ts); `b/…` (contents that only drafts build on any more).
 */

import { type Epoch, RostrumError } from "@rostrum/protocol";
import type { Ledger } from "./ledger.ts";
import type { Content, Effects, Piece, Place, Transaction, Update } from "./terms.ts";

/** Of the stored form. A newer one is left alone. */
export const format = 1;

interface Head extends Content {
  readonly format: number;
  readonly offset: number;
  /** Who wrote the log up to there: tells it from another of the same birth. */
  readonly epochs?: readonly Epoch[];
}

export interface Recorded {
  readonly head: Head | undefined;
  readonly pieces: readonly (readonly [number: number, piece: Piece])[];
  readonly held: readonly Update[];
}

const pieceKey = (number: number): string => `p/${String(number).padStart(12, "0")}`;
const heldKey = ({ replica, n }: Pick<Update, "replica" | "n">): string => `h/${replica}/${n}`;

/** What was kept, in order. */
export const readRecord = (values: ReadonlyMap<string, unknown>): Recorded => {
  const head = values.get("head") as Head | undefined;
  const pieces: (readonly [number, Piece])[] = [];
  const held: Update[] = [];
  for (const [key, value] of values) {
    if (key.startsWith("p/")) pieces.push([Number(key.slice(2)), value as Piece]);
    else if (key.startsWith("h/")) held.push(value as Update);
  }
  pieces.sort(([a], [b]) => a - b);
  held.sort((a, b) => a.replica - b.replica || a.n - b.n);
  return { head, pieces, held };
};

/** Holds an update on the disk until it can be sent. */
export const holding = ({ replica, n, bytes, madeOn }: Update): Transaction => {
  const kept: Update = { replica, n, bytes, ...(madeOn === undefined ? {} : { madeOn }) };
  return { set: [[heldKey(kept), kept]], remove: [] };
};

const soon = 100;
/** That nothing was missed needs no record: it is asked for. So a page with many documents does not write all the time. */
const later = 15_000;

export class Disk {
  private place: Place | undefined;
  private failed = false;
  private undo: (() => void) | undefined;
  private dueSoon = false;
  private isWriting = false;
  private writtenOffset = -1;

  constructor(
    private readonly effects: Pick<Effects, "after" | "keep" | "warn">,
    private readonly document: string,
    private readonly ledger: Ledger,
    /** Makes what is confirmed ready to be written. Answers whether it is to be. */
    private readonly prepare: () => boolean,
    private readonly epochs: () => readonly Epoch[],
  ) {}

  /** Reads what is kept. From then on it can be written. */
  open(done: (record: ReadonlyMap<string, unknown>) => void): void {
    const nothing = new Map<string, unknown>();
    this.effects.keep(this.document, (place, error) => {
      if (place === undefined) {
        // A session that could not be opened says so itself.
        this.failed = true;
        if (error !== undefined && !(error instanceof RostrumError)) this.fail(error);
        return done(nothing);
      }
      place.load((values, cause) => {
        if (values === undefined) {
          this.fail(cause);
          return done(nothing);
        }
        const head = values.get("head") as Head | undefined;
        if (head !== undefined && head.format > format) {
          this.failed = true;
          this.effects.warn(
            new RostrumError(
              "STORAGE_NEWER",
              `This device's record of the document "${this.document}" has format ${head.format}, this page reads ${format}: a newer version of the app wrote it. It is left alone; reload the page to use it.`,
              { document: this.document, found: head.format, known: format },
            ),
          );
          return done(nothing);
        }
        this.place = place;
        done(values);
      });
    });
  }

  /** At once, ahead of what is put off. */
  commit(transaction: Transaction, done: () => void = () => {}): void {
    const { place } = this;
    if (place === undefined || this.failed) return done();
    place.commit(transaction, (error) => {
      if (error !== undefined) this.fail(error);
      done();
    });
  }

  hold(update: Update): void {
    this.commit(holding(update));
  }

  letGo(update: Pick<Update, "replica" | "n">): void {
    this.commit({ set: [], remove: [heldKey(update)] });
  }

  /** What is confirmed has changed: it is written soon. That only the offset has moved can wait. */
  touch(): void {
    const urgent = this.ledger.isChanged;
    if (this.place === undefined || this.failed || this.isWriting) return;
    if (!urgent && this.ledger.offset === this.writtenOffset) return;
    if (this.undo !== undefined && (this.dueSoon || !urgent)) return;
    this.undo?.();
    this.dueSoon = urgent;
    this.undo = this.effects.after(urgent ? soon : later, () => this.write());
  }

  /** Writes what is confirmed now. */
  write(): void {
    this.undo?.();
    this.undo = undefined;
    if (this.place === undefined || this.failed || this.isWriting) return;
    const { ledger } = this;
    if (!ledger.isChanged && ledger.offset === this.writtenOffset) return;
    if (!this.prepare()) return;
    const { content, offset } = ledger;
    if (content === undefined) return;
    const { gone, added } = ledger.changes();
    const head: Head = { format, ...content, offset, epochs: this.epochs() };
    this.writtenOffset = offset;
    this.isWriting = true;
    this.commit(
      {
        set: [["head", head], ...added.map(([number, piece]) => [pieceKey(number), piece] as const)],
        remove: gone.map(pieceKey),
      },
      () => {
        this.isWriting = false;
        this.touch();
      },
    );
  }

  /** Writes nothing more. */
  stop(): void {
    this.undo?.();
    this.undo = undefined;
    this.place = undefined;
  }

  private fail(cause: unknown): void {
    if (this.failed && cause === undefined) return;
    const isFirst = !this.failed || this.place === undefined;
    this.failed = true;
    if (!isFirst) return;
    this.effects.warn(
      new RostrumError(
        "STORAGE_FAILED",
        `This device could not keep the document "${this.document}": ${String(cause)}. It goes on from memory; after a reload it comes from the server.`,
        { document: this.document },
        { cause },
      ),
    );
  }
}
