/**
 * Own messages that the server has stored and no confirmed major point secures yet (X.215: behind a major point nobody goes
 * back, so nothing before it has to be kept). Should the server lose them, they are sent again under the seqs they had.
 */

import type { MemberCommand, Offset, Seq } from "@rostrum/protocol";

export interface Unsecured {
  readonly seq: Seq;
  readonly offset: Offset;
  readonly command: MemberCommand;
  readonly bytes: number;
}

export class Secured {
  private readonly open = new Map<Seq, Unsecured>();
  private bytes = 0;

  constructor(
    private readonly most: number,
    private readonly mostBytes: number,
    /** The message need not be kept any more. */
    private readonly release: (seq: Seq) => void,
    /** The highest offset of what is no longer kept. */
    public dropped: Offset = 0,
  ) {}

  get(seq: Seq): Unsecured | undefined {
    return this.open.get(seq);
  }

  keep(message: Unsecured): void {
    this.open.set(message.seq, message);
    this.bytes += message.bytes;
    for (const oldest of this.open.values()) {
      if (this.open.size <= this.most && this.bytes <= this.mostBytes) return;
      this.drop(oldest);
    }
  }

  private drop(message: Unsecured): void {
    this.open.delete(message.seq);
    this.bytes -= message.bytes;
    this.dropped = Math.max(this.dropped, message.offset);
    this.release(message.seq);
  }

  /** A major point is confirmed: what is before it is safe. */
  upTo(offset: Offset): void {
    for (const message of this.open.values()) if (message.offset < offset) this.drop(message);
  }

  /** What was taken back is not to come again. */
  without(isVoid: (offset: Offset) => boolean): void {
    for (const message of this.open.values()) {
      if (!isVoid(message.offset)) continue;
      this.open.delete(message.seq);
      this.bytes -= message.bytes;
      this.release(message.seq);
    }
  }

  /** It is stored, but elsewhere than it was. Answers whether it is kept. */
  moved(seq: Seq, offset: Offset): boolean {
    const message = this.open.get(seq);
    if (message === undefined || message.offset === offset) return false;
    this.open.set(seq, { ...message, offset });
    return true;
  }

  /** The log behind an offset is lost: what was let go there may be lost with it. Answers how far that reaches. */
  forked(after: Offset): Offset | undefined {
    const { dropped } = this;
    this.dropped = Math.min(dropped, after);
    return dropped > after ? dropped : undefined;
  }

  /** Takes out what the server has lost, in the order of the seqs: it is to be sent again. */
  lost(isLost: (message: Unsecured) => boolean): readonly Unsecured[] {
    const lost = [...this.open.values()].filter(isLost).sort((a, b) => a.seq - b.seq);
    for (const { seq, bytes } of lost) {
      this.open.delete(seq);
      this.bytes -= bytes;
    }
    return lost;
  }
}
