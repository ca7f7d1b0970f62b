/**
 * What X.215 and X.225 say of serial numbers, as a model of its own that knows nothing of our rules and forgets nothing. It reads
 * the facts of a log and says where they contradict the standard.
 *
 * From table A-4 of X.225: a point gets V(M), which grows by one. A minor confirmation n: V(A) = n + 1. A major confirmation:
 * V(R) = V(A) = V(M). Restart n, V(R) <= n <= V(M): V(M) = n. Abandon: a number never used; V(A) = V(M) = n. Set: any number;
 * V(A) = V(M) = n.
 *
 * What is ours: members set points while a major one waits, so its confirmation takes V(R) to the serial after its own only. A
 * restart does not confirm what lies before it: V(A) stays if it is lower. Abandon and set leave V(R) at the new number, where
 * the standard has 0, since no serial before it names a place in the log.
 */

import type { SyncCommand } from "../command.ts";
import type { Entry, Resynchronized, SyncConfirmed, SyncPointSet, SyncSettled } from "../entry.ts";
import type { ErrorCode } from "../errors.ts";
import type { MemberId, Offset, Serial } from "../ids.ts";
import type { PointStatus, ResyncKind } from "./sync.ts";

export interface OraclePoint {
  readonly serial: Serial;
  readonly kind: "minor" | "major";
  readonly offset: Offset;
  readonly by: MemberId | null;
  readonly until: number;
  /** How many of those asked have to confirm; `undefined`: nobody was asked. */
  readonly need: number | undefined;
  readonly asked: ReadonlySet<MemberId>;
  readonly confirmedBy: Set<MemberId>;
  readonly left: Set<MemberId>;
  status: PointStatus;
}

const precedence: readonly ResyncKind[] = ["abandon", "set", "restart"];

export class SerialOracle {
  /** V(M), V(A), V(R). */
  vm = 1;
  va = 1;
  vr = 1;
  generation = 0;
  /** The highest number ever used. */
  highest = 0;
  /** Where nothing goes back behind. */
  floor = { serial: 0, offset: 0 };
  readonly points: OraclePoint[] = [];
  readonly resyncs: Resynchronized[] = [];
  private readonly present = new Set<MemberId>();
  private faults: string[] = [];

  /** The next entry of the log; answers what is wrong with it. */
  take(entry: Entry): readonly string[] {
    this.faults = [];
    switch (entry.type) {
      case "joined":
      case "resumed":
        this.present.add(entry.member);
        break;
      case "dropped":
        this.present.delete(entry.member);
        break;
      case "left":
        this.present.delete(entry.member);
        for (const point of this.points) if (point.asked.has(entry.member)) point.left.add(entry.member);
        break;
      case "messages":
        this.expectSettled(entry.offset);
        break;
      case "sync-point":
        this.setPoint(entry);
        break;
      case "sync-confirmed":
        this.confirm(entry);
        break;
      case "sync-settled":
        this.settle(entry);
        break;
      case "sync-shared":
        this.check(
          this.points.some(({ offset, status }) => offset === entry.point && status !== "void"),
          `${entry.offset}: the state of a point that is none`,
        );
        break;
      case "resynchronized":
        this.resynchronize(entry);
        break;
      default:
    }
    return this.faults;
  }

  /** Whether what lies at the offset was taken back. */
  isVoid(offset: Offset): boolean {
    return this.resyncs.some((each) => each.kind !== "set" && each.to < offset && offset < each.offset);
  }

  waiting(point: OraclePoint): readonly MemberId[] {
    return [...point.asked].filter((member) => !point.confirmedBy.has(member) && !point.left.has(member));
  }

  /** Points that have all the confirmations they need and are not settled. */
  due(): readonly OraclePoint[] {
    return this.points.filter(
      (point) =>
        point.status === "open" &&
        (point.confirmedBy.size >= (point.need ?? Infinity) || this.waiting(point).length === 0),
    );
  }

  /** How a command should be refused; `undefined`: it is accepted. Tokens, roles and the limits of lists are not its business. */
  expects(command: SyncCommand, member: MemberId): ErrorCode | undefined {
    const { generation = 0 } = command;
    if (command.type === "resynchronize") return this.expectsResync(command, generation);
    if (generation !== this.generation) return "RESYNCHRONIZED";
    switch (command.type) {
      case "sync-minor":
      case "exception":
        return undefined;
      case "sync-major":
        return this.points.some(({ kind, status }) => kind === "major" && status === "open")
          ? "SYNC_PENDING"
          : undefined;
      case "sync-confirm": {
        const { serial } = command;
        if (serial >= this.vm || !this.points.some((point) => point.serial === serial && point.status !== "void"))
          return "SYNC_UNKNOWN";
        return this.points.some(
          (point) => point.status === "open" && point.serial <= serial && this.waiting(point).includes(member),
        )
          ? undefined
          : "SYNC_NOT_ASKED";
      }
      default:
        return command satisfies never;
    }
  }

  private expectsResync(
    { kind, serial = 0 }: Extract<SyncCommand, { type: "resynchronize" }>,
    made: number,
  ): ErrorCode | undefined {
    if (made > this.generation) return "RESYNCHRONIZED";
    const next = kind === "restart" ? (serial === this.floor.serial ? this.vr : serial + 1) : Math.max(1, serial);
    for (const rival of this.resyncs) {
      if (rival.generation <= made) continue;
      const order = precedence.indexOf(kind) - precedence.indexOf(rival.kind);
      // Two that abandon want the same; else the lower number goes before, then the earlier one.
      if (order > 0 || (order === 0 && (kind === "abandon" || next >= rival.serial))) return "SYNC_COLLISION";
    }
    if (kind !== "restart" || serial === this.floor.serial) return undefined;
    if (serial < this.floor.serial) return "SYNC_SECURED";
    return this.points.some(
      (point) => point.serial === serial && point.status !== "void" && point.offset > this.floor.offset,
    )
      ? undefined
      : "SYNC_UNKNOWN";
  }

  private check(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }

  /** Settling follows at once; nobody may come in between. */
  private expectSettled(offset: Offset): void {
    for (const { serial } of this.due()) this.check(false, `${offset}: point ${serial} is confirmed and not settled`);
  }

  private setPoint(entry: SyncPointSet): void {
    const { serial, kind, offset, by, asked, need = 0, until = Infinity } = entry;
    this.expectSettled(offset);
    this.check(serial === this.vm, `${offset}: a point got ${serial}, V(M) is ${this.vm}`);
    for (const member of asked ?? []) {
      this.check(this.present.has(member) && member !== by, `${offset}: ${member} is asked, and is away or sets it`);
    }
    this.check(new Set(asked).size === (asked ?? []).length, `${offset}: somebody is asked twice`);
    this.check(need <= (asked?.length ?? 0), `${offset}: ${need} are to confirm, fewer are asked`);
    if (kind === "major") {
      this.check(
        asked !== undefined && until >= entry.at && until < Infinity,
        `${offset}: a major point asks and ends`,
      );
      for (const point of this.points) {
        const pending = point.kind === "major" && point.status === "open";
        this.check(!pending, `${offset}: major point ${point.serial} is not confirmed before the next`);
      }
    }
    this.points.push({
      serial,
      kind,
      offset,
      by,
      until,
      need: asked === undefined ? undefined : need,
      asked: new Set(asked),
      confirmedBy: new Set(),
      left: new Set(),
      status: asked === undefined ? "set" : "open",
    });
    this.vm = serial + 1;
    this.highest = Math.max(this.highest, serial);
  }

  private confirm({ offset, serial, member, to }: SyncConfirmed): void {
    this.expectSettled(offset);
    this.check(serial < this.vm, `${offset}: ${serial} is confirmed, V(M) is ${this.vm}`);
    const setters = new Set<MemberId>();
    let asked = false;
    for (const point of this.points) {
      if (point.status !== "open" || point.serial > serial || !this.waiting(point).includes(member)) continue;
      asked = true;
      point.confirmedBy.add(member);
      if (point.by !== null) setters.add(point.by);
    }
    this.check(asked, `${offset}: ${member} confirms ${serial} and was not asked`);
    this.check(
      to.length === setters.size && to.every((id) => setters.has(id)),
      `${offset}: not told to who set the points`,
    );
  }

  private settle({ offset, at, serial, outcome, missing = [] }: SyncSettled): void {
    const point = this.points.find((each) => each.status === "open" && each.serial === serial);
    if (point === undefined) {
      this.check(false, `${offset}: point ${serial} does not wait to be settled`);
      return;
    }
    if (outcome === "unconfirmed") {
      this.check(point.kind === "major" && at >= point.until, `${offset}: the time of ${serial} is not over`);
      this.check(
        missing.join() === this.waiting(point).join() && missing.length > 0,
        `${offset}: other members are missing`,
      );
      point.status = "unconfirmed";
      return;
    }
    this.check(this.due().includes(point), `${offset}: point ${serial} is settled and not confirmed by all it needs`);
    for (const each of this.points) {
      const before =
        each.serial < serial && each.offset > this.floor.offset && (each.status === "set" || each.status === "open");
      // Only a major confirmation confirms a major point.
      if (before && (each.kind === "minor" || point.kind === "major")) each.status = "confirmed";
    }
    point.status = "confirmed";
    this.va = Math.max(this.va, serial + 1);
    if (point.kind === "major") {
      this.vr = serial + 1;
      this.floor = { serial, offset: point.offset };
    }
  }

  private resynchronize(entry: Resynchronized): void {
    const { kind, serial, to, offset, generation } = entry;
    this.expectSettled(offset);
    this.check(generation === this.generation + 1, `${offset}: generation ${generation} follows ${this.generation}`);
    this.generation = generation;
    this.resyncs.push(entry);
    if (kind === "set") {
      this.check(serial >= 1 && to === offset, `${offset}: a set takes nothing back`);
      for (const point of this.points) if (point.status === "open") point.status = "unconfirmed";
      this.vm = this.va = this.vr = serial;
      this.highest = Math.max(this.highest, serial - 1);
      this.floor = { serial: serial - 1, offset };
      return;
    }
    if (kind === "abandon") {
      this.check(serial > this.highest, `${offset}: an abandon goes on with ${serial}, which was used`);
      this.check(to === this.floor.offset, `${offset}: an abandon goes back to the last confirmed major point`);
      this.vm = this.va = this.vr = serial;
    } else {
      const point = this.points.find((each) => each.offset === to && each.status !== "void");
      this.check(
        this.vr <= serial && serial <= this.vm,
        `${offset}: ${serial} is not in V(R) ${this.vr} to V(M) ${this.vm}`,
      );
      this.check(
        to === this.floor.offset
          ? serial === this.vr
          : point !== undefined && to > this.floor.offset && serial === point.serial + 1,
        `${offset}: a restart with ${serial} goes back to ${to}, which is no point for it`,
      );
      this.vm = serial;
      this.va = Math.min(this.va, serial);
    }
    for (const point of this.points) if (point.offset > to) point.status = "void";
  }
}

/** Where a log contradicts the standard's rules of serials; empty: nowhere. */
export const checkSerials = (entries: readonly Entry[]): string[] => {
  const oracle = new SerialOracle();
  const faults = entries.flatMap((entry) => oracle.take(entry));
  for (const { serial } of oracle.due()) faults.push(`the end: point ${serial} is confirmed and not settled`);
  return faults;
};
