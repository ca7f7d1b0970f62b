/** What members do with activities in the simulated world, and what must then be true of the log and of what each is told. */

import {
  type Activity,
  type ActivityCommand,
  type Entry,
  lastOffset,
  type MemberCommand,
  type MemberId,
  type Offset,
  type ServerFrame,
  type SessionState,
  type UserId,
} from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import type { Page } from "./device.ts";
import type { SimNode } from "./node.ts";

export class ActivityPlay {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly nodes: readonly SimNode[],
    private readonly note: (text: string) => void,
    private readonly newId: () => string,
  ) {}

  /** One page, or the server, does something with some activity. */
  act(page: Page, others: readonly Page[]): void {
    const { scheduler } = this;
    const known = [...page.engine.state.activities.values()].filter(({ kind }) => kind === "app");
    const activity = scheduler.pick(known);
    const dice = scheduler.random();
    if (dice < 0.06) return this.byServer();
    if (activity === undefined || dice < 0.25) return this.start(page);
    if (activity.status === "interrupted" && dice < 0.5) {
      // Here and on another device at once: one of them takes it up.
      for (const each of [page, ...others])
        if (each === page || scheduler.chance(0.4)) this.say(each, { type: "activity-resume", activity: activity.id });
      return;
    }
    const command = this.about(activity, page);
    if (command !== undefined) this.say(page, command);
  }

  private start(page: Page): void {
    const { scheduler } = this;
    const others = [...page.engine.state.members.keys()].filter((id) => id !== page.member || scheduler.chance(0.1));
    const to = scheduler.chance(0.45) ? [scheduler.pick(others), scheduler.pick(others)] : [];
    const known = [...new Set(to.flatMap((id) => (id === undefined ? [] : [id])))];
    this.say(page, {
      type: "activity-start",
      name: `a${scheduler.between(1, 9)}`,
      kind: "app",
      ...(known.length === 0 ? {} : { to: known }),
    });
  }

  /** Mostly what may be done with it under the present run; now and then what is long over. */
  private about({ id, run, next, points }: Activity, page: Page): ActivityCommand | undefined {
    const { scheduler } = this;
    const under = scheduler.chance(0.8) ? run : (scheduler.pick([id, run - 1, run + 1]) ?? run);
    const heir = scheduler.pick([...page.engine.state.members.keys()]);
    const serial = scheduler.pick([points[0]?.serial, points.at(-1)?.serial, next - 1, next]) ?? 1;
    return scheduler.pick<ActivityCommand>([
      { type: "activity-point", activity: id, run: under },
      { type: "activity-point", activity: id, run: under, confirm: true },
      { type: "activity-point", activity: id, run: under, confirm: true },
      { type: "activity-confirm", activity: id, serial: Math.max(0, serial) },
      { type: "activity-confirm", activity: id, serial: Math.max(0, serial) },
      { type: "activity-interrupt", activity: id, run: under },
      { type: "activity-interrupt", activity: id, run: under, ...(heir === undefined ? {} : { for: heir }) },
      { type: "activity-resume", activity: id },
      { type: "activity-decline", activity: id },
      { type: "activity-discard", activity: id },
      { type: "activity-end", activity: id, run: under, result: 1 },
    ]);
  }

  private byServer(): void {
    const { scheduler } = this;
    const host = scheduler.pick(this.nodes.filter(({ up }) => up))?.host;
    const id = scheduler.pick([...(host?.current.activities.values() ?? [])].filter(({ kind }) => kind === "app"))?.id;
    const command: MemberCommand =
      id === undefined || scheduler.chance(0.4)
        ? { type: "activity-start", name: "server", kind: "app" }
        : { type: "activity-discard", activity: id };
    if (host === undefined) return;
    this.note(`the server: ${JSON.stringify(command)}`);
    host.submit({ from: null, command });
  }

  private say(page: Page, command: MemberCommand): void {
    if (!page.alive) return;
    this.note(`${page.scope}: ${JSON.stringify(command)}`);
    page.submit(command, this.newId());
  }
}

/** What is wrong about an entry, given the state before it and the command that it came of. */
export const activityFaults = (
  state: SessionState,
  entry: Entry,
  command: MemberCommand | undefined,
): readonly string[] => {
  if (!("activity" in entry) || entry.type === "sync-shared") return [];
  const activity = state.activities.get(entry.activity);
  const at = `activity: #${entry.offset} (${entry.type})`;
  if (activity === undefined) return [`${at} is about ${entry.activity}, of which nothing is left`];
  const { status, holder, run, next, user, heir } = activity;
  const faults: string[] = [];
  const byHolder =
    entry.type === "activity-point" ||
    entry.type === "activity-ended" ||
    (entry.type === "activity-interrupted" && (entry.reason === "asked" || entry.reason === "handed"));
  if (byHolder) {
    if (status !== "running") faults.push(`${at} while it is ${status}`);
    if (entry.by !== null && entry.by !== holder) faults.push(`${at} by ${entry.by}, while ${holder} is at it`);
    if (command !== undefined && "run" in command && command.run !== run)
      faults.push(`${at} under run ${command.run}, which is ${run}`);
  }
  if (entry.type === "activity-point" && entry.serial !== next) faults.push(`${at} gets ${entry.serial} after ${next}`);
  if (entry.type === "activity-resumed") {
    if (status !== "interrupted") faults.push(`${at} while it is ${status}, by ${holder}`);
    const member = entry.member === null ? undefined : state.members.get(entry.member);
    if (member !== undefined && member.user !== user && member.id !== heir)
      faults.push(`${at} by ${member.id}, whose it is not`);
  }
  return faults;
};

/** What should have come right by itself long ago. */
export const stuckActivities = (state: SessionState, now: number): readonly string[] => {
  const faults: string[] = [];
  for (const { id, kind, status, holder, expiresAt = Infinity, point } of state.activities.values()) {
    if (expiresAt + 10_000 < now) faults.push(`activity: ${id} is ${status} beyond its time`);
    if (status === "running" && holder !== null && state.members.get(holder)?.presence !== "connected")
      faults.push(`activity: ${id} is run by ${holder}, who is not here`);
    if (kind === "state" && state.sync.points.every(({ offset, status: is }) => offset !== point || is === "void"))
      faults.push(`activity: ${id} is the state of #${point}, which is void or forgotten`);
  }
  return faults;
};

/** Whom the private activities concern, told from the log as it is written. */
export class Confidences {
  private readonly concerned = new Map<
    Offset,
    { readonly members: ReadonlySet<MemberId>; readonly user: UserId | undefined }
  >();

  /** An entry is stored. */
  placed(entry: Entry, userOf: (member: MemberId) => UserId | undefined): void {
    if (entry.type !== "activity-started" || entry.to === undefined) return;
    const members = new Set([...entry.to, ...(entry.by === null ? [] : [entry.by])]);
    this.concerned.set(entry.offset, { members, user: entry.by === null ? undefined : userOf(entry.by) });
  }

  /** The log behind an offset is lost. */
  lost(after: Offset): void {
    for (const id of this.concerned.keys()) if (id > after) this.concerned.delete(id);
  }

  /** What a member is told and should not be. */
  faults(frame: ServerFrame, member: MemberId, user: string): readonly string[] {
    const ids =
      frame.type === "view"
        ? frame.view.activities.map(({ id }) => id)
        : frame.type === "entries"
          ? frame.entries.flatMap((entry) =>
              entry.type === "activity-started"
                ? [lastOffset(entry)]
                : "activity" in entry && entry.type !== "sync-shared"
                  ? [entry.activity]
                  : [],
            )
          : [];
    return ids.flatMap((id) => {
      const whom = this.concerned.get(id);
      return whom === undefined || whom.members.has(member) || whom.user === user
        ? []
        : [`private: ${member} is told of the activity ${id}, which does not concern it`];
    });
  }
}
