/** Commands that the server has not confirmed: in order, numbered, bounded, sent in as few frames as the window allows. */

import type {
  CommandsFrame,
  Item,
  Limits,
  MemberCommand,
  Offset,
  RostrumError,
  Seq,
  SessionId,
  Time,
} from "@rostrum/protocol";

/** Where a command was stored. */
export interface Stored {
  readonly offset: Offset;
  readonly at: Time;
}

export interface Settle {
  /** It is on this device's disk. */
  readonly queued: () => void;
  readonly stored: (stored: Stored) => void;
  readonly refused: (error: RostrumError) => void;
}

export interface Outgoing {
  readonly seq: Seq;
  /** One command; a `messages` command here has one item. */
  readonly command: MemberCommand;
  readonly bytes: number;
  /** When it was first handed to a connection; `-Infinity`: perhaps, in an earlier life of the page. */
  sentAt: number | undefined;
  readonly settle: Settle | undefined;
}

const frameBytes = 262_144;

export class Outbox {
  private readonly open = new Map<Seq, Outgoing>();
  /** What still has to be handed to the present connection. */
  private unsent: Outgoing[] = [];
  private underWay = 0;
  private underWayBytes = 0;
  bytes = 0;

  get size(): number {
    return this.open.size;
  }

  /** What was taken last, if it is still open. */
  get newest(): Outgoing | undefined {
    return this.open.get(this.last);
  }

  private last: Seq = 0;

  add(outgoing: Outgoing): void {
    this.last = outgoing.seq;
    this.open.set(outgoing.seq, outgoing);
    this.unsent.push(outgoing);
    this.bytes += outgoing.bytes;
  }

  /** What was decided once and is not any more: it comes before what waits, in the order of the seqs. */
  takeBack(again: readonly Outgoing[]): void {
    const rest = [...this.open.values()];
    this.open.clear();
    for (const outgoing of [...again, ...rest].sort((a, b) => a.seq - b.seq)) this.open.set(outgoing.seq, outgoing);
    for (const { bytes } of again) this.bytes += bytes;
    this.unsent = [...this.open.values()];
  }

  /** It is to be sent otherwise than it was taken. */
  change(seq: Seq, command: MemberCommand): void {
    const outgoing = this.open.get(seq);
    if (outgoing === undefined || outgoing.command === command) return;
    const changed = { ...outgoing, command };
    this.open.set(seq, changed);
    this.unsent = this.unsent.map((each) => (each.seq === seq ? changed : each));
  }

  get(seq: Seq): Outgoing | undefined {
    return this.open.get(seq);
  }

  all(): readonly Outgoing[] {
    return [...this.open.values()];
  }

  /** The command is decided: it is stored, or it was refused. */
  settle(seq: Seq): Outgoing | undefined {
    const outgoing = this.open.get(seq);
    if (outgoing === undefined) return undefined;
    this.open.delete(seq);
    this.bytes -= outgoing.bytes;
    if (this.sent.delete(seq)) {
      this.underWay -= 1;
      this.underWayBytes -= outgoing.bytes;
    }
    return outgoing;
  }

  private readonly sent = new Set<Seq>();

  /** A new connection: everything above the seq that the server has is to be sent again. Answers how much of it was before. */
  rewind(stored: Seq): number {
    this.sent.clear();
    this.underWay = this.underWayBytes = 0;
    this.unsent = [...this.open.values()].filter(({ seq }) => seq > stored);
    return this.unsent.filter(({ sentAt }) => sentAt !== undefined).length;
  }

  /** What may be sent now: frames of consecutive seqs below `below`, as much as the window has room for. */
  take(session: SessionId, limits: Limits, below: Seq, now: number): readonly CommandsFrame[] {
    const frames: CommandsFrame[] = [];
    let taken = 0;
    while (taken < this.unsent.length) {
      const commands: MemberCommand[] = [];
      let first: Seq | undefined;
      let next = 0;
      let bytes = 0;
      let run: { readonly items: Item[]; readonly like: Messages } | undefined;
      for (; taken < this.unsent.length; taken += 1) {
        const outgoing = this.unsent[taken] as Outgoing;
        if (!this.open.has(outgoing.seq)) continue;
        const full =
          this.underWay >= limits.windowCommands ||
          (this.underWay > 0 && this.underWayBytes + outgoing.bytes > limits.windowBytes);
        if (full || outgoing.seq >= below) break;
        if (first !== undefined && (outgoing.seq !== next || bytes > frameBytes)) break;
        first ??= outgoing.seq;
        next = outgoing.seq + 1;
        bytes += outgoing.bytes;
        const { command } = outgoing;
        if (command.type !== "messages") {
          run = undefined;
          commands.push(command);
        } else if (run !== undefined && alike(run.like, command)) {
          run.items.push(...command.items);
        } else {
          run = { items: [...command.items], like: command };
          commands.push({ ...command, items: run.items });
        }
        outgoing.sentAt ??= now;
        this.sent.add(outgoing.seq);
        this.underWay += 1;
        this.underWayBytes += outgoing.bytes;
      }
      if (first === undefined) break;
      frames.push({ type: "commands", session, seq: first, commands });
    }
    this.unsent = taken === this.unsent.length ? [] : this.unsent.slice(taken);
    return frames;
  }
}

type Messages = Extract<MemberCommand, { type: "messages" }>;

/** Whether they can travel as one command: to the same members, under the same grant. */
const alike = (a: Messages, b: Messages): boolean =>
  a.fence === b.fence &&
  a.generation === b.generation &&
  (a.to === b.to ||
    (a.to !== undefined && a.to.length === b.to?.length && a.to.every((id, index) => id === b.to?.[index])));
