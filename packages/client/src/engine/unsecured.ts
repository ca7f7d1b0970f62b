/**
 * Own messages that the server has stored and no confirmed major point secures yet (X.215: behind a major point nobody goes
 * back, so nothing before it has to be kept). Should the server lose them, they are sent again under the seqs they had.
 */

import { documentIn, type MemberCommand, type Offset, type Seq } from "@rostrum/protocol";

export interface Unsecured {
  readonly seq: Seq;
  readonly offset: Offset;
  readonly command: MemberCommand;
  readonly bytes: number;
}

/** Somebody's typing must not displace what was said: updates of documents are counted apart. */
const isUpdate = ({ command }: Unsecured): boolean => documentIn(command) !== undefined;

export class Secured {
  private readonly open = new Map<Seq, Unsecured>();
  private readonly messages = { count: 0, bytes: 0 };
  private readonly updates = { count: 0, bytes: 0 };

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
    const kind = isUpdate(message);
    const weight = kind ? this.updates : this.messages;
    weight.count += 1;
    weight.bytes += message.bytes;
    for (const oldest of this.open.values()) {
      if (weight.count <= this.most && weight.bytes <= this.mostBytes) return;
      if (isUpdate(oldest) === kind) this.drop(oldest);
    }
  }

  private drop(message: Unsecured): void {
    this.take(message);
    // What is missing of a document is told where it is missed.
    if (!isUpdate(message)) this.dropped = Math.max(this.dropped, message.offset);
    this.release(message.seq);
  }

  private take(message: Unsecured): void {
    this.open.delete(message.seq);
    const weight = isUpdate(message) ? this.updates : this.messages;
    weight.count -= 1;
    weight.bytes -= message.bytes;
  }

  /** A major point is confirmed: what is before it is safe. */
  upTo(offset: Offset): void {
    for (const message of this.open.values()) if (message.offset < offset) this.drop(message);
  }

  /** What was taken back is not to come again. */
  without(isVoid: (offset: Offset) => boolean): void {
    for (const message of this.open.values()) {
      if (!isVoid(message.offset)) continue;
      this.take(message);
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
    for (const message of lost) this.take(message);
    return lost;
  }
}
