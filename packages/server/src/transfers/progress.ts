/** How far an upload is, as numbers: what may come next, how much more, and where its points lie. Pure. */

import { RostrumError } from "@rostrum/protocol";

/** What bounds an upload. */
export interface Bounds {
  /** As declared at the start, if it was. */
  readonly size: number | undefined;
  /** Most bytes of one transfer. */
  readonly bytes: number;
  /** Most bytes of all that the session keeps, and what it keeps besides this one. */
  readonly bytesInAll: number;
  readonly others: number;
}

export class Progress {
  /** Everything before is in the server's memory at least. */
  received: number;
  /** Everything before was handed to the blob, and taken. */
  written: number;
  /** What may be sent ends here. */
  upTo: number;
  /** Where the last point was set; -1: none was. */
  pointed: number;

  constructor(at: number, pointed: number) {
    this.received = this.written = this.upTo = at;
    this.pointed = pointed;
  }

  /** Bytes that were allowed and have not come. */
  get owed(): number {
    return this.upTo - this.received;
  }

  /** What is wrong with a chunk, if anything; then nothing of it counts. */
  fault(at: number, length: number, { size, bytes, bytesInAll, others }: Bounds): RostrumError | undefined {
    const end = at + length;
    if (at !== this.received) {
      return new RostrumError(
        "FRAME_INVALID",
        `A chunk came for byte ${at}, and byte ${this.received} is next; it was not taken. Ask to upload again, and go on where the server says.`,
        { at, expected: this.received },
      );
    }
    if (size !== undefined && end > size) {
      return new RostrumError(
        "TRANSFER_TOO_LARGE",
        `The transfer was to have ${size} bytes, and byte ${end} came; it was given up. Begin it anew with its true size, or without one.`,
        { size: end, limit: size },
      );
    }
    if (end > bytes) {
      return new RostrumError(
        "TRANSFER_TOO_LARGE",
        `The transfer has ${end} bytes or more, the limit is ${bytes}; it was given up. Send less, or raise activities.bytes.`,
        { size: end, limit: bytes },
      );
    }
    if (end > this.upTo) {
      return new RostrumError(
        "FRAME_INVALID",
        `A chunk came up to byte ${end}, and only ${this.upTo} were asked for; it was not taken. Wait for the server to ask for more.`,
        { at: end, upTo: this.upTo },
      );
    }
    // One that said its size has its room since it began.
    if (size === undefined && others + end > bytesInAll) {
      return new RostrumError(
        "TRANSFER_QUOTA",
        `The session keeps ${others} bytes of other transfers, and ${end} of this one would exceed ${bytesInAll}; it was given up. Try again when others have been fetched, or raise activities.bytesInAll.`,
        { bytes: others, size: end, limit: bytesInAll },
      );
    }
    return undefined;
  }

  /**
   * How many more bytes to ask for, and whether it is time to: not for each chunk, and before the sender has to wait. In
   * whole chunks, so that nobody is left with room for a part of one and waits for the rest of it.
   */
  wants(size: number | undefined, window: number, chunk: number): { readonly bytes: number; readonly due: boolean } {
    const left = Math.max(0, (size ?? Infinity) - this.upTo);
    const room = this.written + window - this.upTo;
    const bytes = Math.min(left, window < chunk ? room : room - (room % chunk));
    return { bytes, due: bytes > 0 && this.owed < Math.max(window / 2, chunk) };
  }

  /** The pieces of a chunk that begins at `from`, cut at the points: after those marked, one is due. */
  cut(from: number, length: number, interval: number): readonly { readonly to: number; readonly point: boolean }[] {
    const end = from + length;
    const pieces: { to: number; point: boolean }[] = [];
    let next = Math.max(from + 1, Math.max(0, this.pointed) + Math.max(1, interval));
    for (let at = from; at < end; ) {
      const to = Math.min(next, end);
      pieces.push({ to, point: to === next });
      at = to;
      next = to + Math.max(1, interval);
    }
    return pieces;
  }
}
