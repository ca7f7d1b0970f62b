/** What members do with sync points in the simulated world, and what must then be true of the log. */

import type {
  Entry,
  MemberCommand,
  MemberId,
  Offset,
  Resynchronized,
  ResyncKind,
  Serial,
  SessionState,
} from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import type { Page, Sent } from "./device.ts";
import type { SimNode } from "./node.ts";

export class SyncPlay {
  private names = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly nodes: readonly SimNode[],
    private readonly note: (text: string) => void,
    private readonly newId: () => string,
  ) {}

  /** One page, or the server, does something with sync points. */
  act(page: Page): void {
    const { scheduler } = this;
    const dice = scheduler.random();
    if (dice < 0.08) return this.byServer();
    if (dice < 0.14) return this.overtake(page);
    if (dice < 0.42) return this.minor(page);
    if (dice < 0.62) return this.major(page);
    if (dice < 0.72) return this.confirm(page);
    if (dice < 0.77) return this.goBackAlone(page);
    if (dice < 0.8) return this.say(page, { type: "exception", reason: "so it is", ...this.under(page) });
    this.resynchronize(page);
  }

  minor(page: Page, confirm: boolean = this.scheduler.chance(0.5)): void {
    const name = this.scheduler.chance(0.3) ? { name: `p${(this.names += 1)}` } : {};
    this.say(page, { type: "sync-minor", ...name, ...(confirm ? { confirm } : {}), ...this.under(page) });
  }

  /** It goes back to a point that the others are just confirming. */
  private overtake(page: Page): void {
    const { scheduler } = this;
    this.minor(page, true);
    scheduler.later(scheduler.between(10, 90), () => {
      const point = page.engine.state.sync.points.findLast(({ by, status }) => by === page.member && status === "open");
      if (page.alive && point !== undefined)
        this.say(page, { type: "resynchronize", kind: "restart", serial: point.serial, ...this.under(page) });
    });
  }

  major(page: Page): void {
    const { scheduler } = this;
    const rule = scheduler.pick(["all", "all", "quorum", "server", undefined] as const);
    const within = scheduler.pick([undefined, undefined, 200, 1_500]);
    this.say(page, {
      type: "sync-major",
      ...(rule === undefined ? {} : { rule }),
      ...(within === undefined ? {} : { within }),
      ...this.under(page),
    });
  }

  /** By the app: what it has done with, or what nobody asks for. */
  private confirm(page: Page): void {
    const { points, next } = page.engine.state.sync;
    const { member } = page;
    const asked = points.filter(
      ({ waiting, offset }) => member !== undefined && waiting?.includes(member) && offset <= page.persisted,
    );
    const serial = asked.at(-1)?.serial ?? (this.scheduler.chance(0.5) ? next + 50 : 0);
    this.say(page, { type: "sync-confirm", serial, generation: page.engine.state.sync.generation });
  }

  /** Back to a listed point mostly; else to one that is void, lies before the last major one, or is none yet. */
  resynchronize(page: Page): void {
    const { scheduler } = this;
    const kind =
      scheduler.pick<ResyncKind>(["restart", "restart", "restart", "restart", "abandon", "set"]) ?? "restart";
    const { points, base, next } = page.engine.state.sync;
    const some = scheduler.chance(0.9) ? points.filter(({ status }) => status !== "void") : points;
    const serial: Serial =
      kind === "set"
        ? scheduler.between(0, next + 3)
        : (scheduler.pick([
            scheduler.pick(some)?.serial,
            scheduler.pick(some)?.serial,
            some.at(-1)?.serial,
            base.serial,
            0,
            next + 1,
          ]) ?? base.serial);
    this.say(page, {
      type: "resynchronize",
      kind,
      ...(kind === "abandon" ? {} : { serial }),
      ...this.under(page),
    });
  }

  /** This page alone, to one of its states. */
  private goBackAlone(page: Page): void {
    const { engine } = page;
    const kept = this.scheduler.pick(
      engine.state.sync.points.flatMap(({ offset, status }) =>
        status === "void" ? [] : (engine.stateAt(offset) ?? []),
      ),
    );
    if (kept === undefined || !page.live) return;
    this.note(`${page.scope} goes back to #${kept.offset}, alone`);
    engine.goBackTo(kept);
  }

  private byServer(): void {
    const { scheduler } = this;
    const host = scheduler.pick(this.nodes.filter(({ up }) => up))?.host;
    const command = scheduler.pick<MemberCommand>([
      { type: "sync-minor" },
      { type: "sync-minor", confirm: true },
      { type: "sync-major" },
      { type: "sync-major", rule: "server" },
      { type: "resynchronize", kind: "restart", serial: host?.current.sync.base.serial ?? 0 },
    ]);
    if (host === undefined || command === undefined) return;
    this.note(`the server: ${JSON.stringify(command)}`);
    host.submit({ from: null, command });
  }

  /** As the face does it. */
  private under({ engine }: Page): { readonly generation?: number } {
    return engine.under();
  }

  private say(page: Page, command: MemberCommand): void {
    this.note(`${page.scope}: ${JSON.stringify(command)}`);
    page.submit(command, this.newId());
  }
}

const rank: readonly ResyncKind[] = ["restart", "set", "abandon"];

/** Whether a resynchronization goes before another that was first in the log, by X.225's rule. */
const goesBefore = (late: Resynchronized, first: Resynchronized): boolean => {
  const order = rank.indexOf(late.kind) - rank.indexOf(first.kind);
  return order === 0 ? late.kind !== "abandon" && late.serial < first.serial : order > 0;
};

/**
 * What members did before a resynchronization does not count after it. `made` answers how far the handlers were of who asked,
 * if that is known and was in this log.
 */
export class Generations {
  private readonly resyncs: Resynchronized[] = [];

  faults(
    entry: Entry,
    madeById: (id: string) => Sent | undefined,
    madeBySeq: (by: MemberId, seq: number) => Sent | undefined,
    life: number,
  ): readonly string[] {
    const since = (sent: Sent | undefined): readonly Resynchronized[] => {
      const made = sent?.made;
      return made?.life === life ? this.resyncs.filter(({ offset }) => offset > made.processed) : [];
    };
    if (entry.type === "messages") {
      return entry.items.flatMap(([, id], index) => {
        const [resync] = since(madeById(String(id)));
        return resync === undefined
          ? []
          : [`generation: ${String(id)} was made before #${resync.offset} and is at #${entry.offset + index}`];
      });
    }
    if (entry.type === "sync-point" || entry.type === "exception" || entry.type === "resynchronized") {
      const sent = entry.by === null || entry.seq === undefined ? undefined : madeBySeq(entry.by, entry.seq);
      const rivals = since(sent).filter((rival) => entry.type !== "resynchronized" || !goesBefore(entry, rival));
      if (entry.type === "resynchronized") this.resyncs.push(entry);
      return rivals.map(({ offset }) => `generation: #${entry.offset} (${entry.type}) was made before #${offset}`);
    }
    return [];
  }
}

/** Whether the log, as a whole, takes back what lies at an offset. */
export const takenBack = (truth: readonly Entry[]): ((offset: Offset) => boolean) => {
  const ranges = truth.flatMap((entry) =>
    entry.type === "resynchronized" && entry.kind !== "set" ? [{ after: entry.to, before: entry.offset }] : [],
  );
  return (offset) => ranges.some(({ after, before }) => after < offset && offset < before);
};

/** What should have come right by itself long ago. `here`: pages that confirm by themselves, and up to where they could. */
export const stuckSync = (state: SessionState, now: number, here: ReadonlyMap<MemberId, Offset>): readonly string[] => {
  const faults: string[] = [];
  for (const { serial, kind, status, until = Infinity, waiting = [], need, offset } of state.sync.points) {
    if (status !== "open") continue;
    if (until + 10_000 < now) faults.push(`sync: ${kind} point ${serial} is open beyond its time`);
    if ((need ?? 0) <= 0) faults.push(`sync: point ${serial} has all it needs and is open`);
    for (const member of waiting) {
      if ((here.get(member) ?? -1) >= offset)
        faults.push(`sync: point ${serial} waits for ${member}, who has it and is here`);
    }
  }
  return faults;
};
