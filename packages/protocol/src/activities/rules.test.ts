import { afterEach, describe, expect, it } from "vitest";
import type { ActivityCommand } from "../command.ts";
import { type ActivityConfig, defaultActivities, defaultDialog, defaultSync, tokens } from "../config.ts";
import { deadlines } from "../decide.ts";
import { audienceOf, isVisible } from "../entry.ts";
import { foldAll } from "../fold.ts";
import { memberId, type Offset } from "../ids.ts";
import { Play } from "../play.fixture.ts";
import { emptyState, fromRecord, hasPrivateParts, toView } from "../state.ts";
import { type Activity, storedBytes } from "./activity.ts";
import { audienceIn, concerns } from "./sight.ts";

let play: Play;
const begin = (names: readonly string[], activities: Partial<ActivityConfig> = {}): void => {
  play = new Play({}, { dialog: defaultDialog, activities: { ...defaultActivities, ...activities } });
  play.join(...names);
};
afterEach(() => {
  expect(play.isReproducible()).toBe(true);
  expect(replicasAgree()).toEqual([]);
});

type Of<T extends ActivityCommand["type"]> = Extract<ActivityCommand, { type: T }>;

/** The activity that was begun last, or has this id. */
const activity = (id?: Offset): Activity => {
  const found = id === undefined ? [...play.state.activities.values()].at(-1) : play.state.activities.get(id);
  if (found === undefined) throw new Error("there is no activity");
  return found;
};
const at = (id?: Offset): { activity: Offset; run: Offset } => {
  const { id: found, run } = activity(id);
  return { activity: found, run };
};
const to = (...names: readonly string[]): { to: ReturnType<typeof memberId>[] } => ({ to: names.map(memberId) });
const start = (name: string, more: Partial<Of<"activity-start">> = {}): string =>
  play.says(name, { type: "activity-start", kind: "app", name: "work", ...more });
const point = (name: string, more: Partial<Of<"activity-point">> = {}): string =>
  play.says(name, { type: "activity-point", ...at(), ...more });
const confirm = (name: string, serial: number): string =>
  play.says(name, { type: "activity-confirm", activity: activity().id, serial });
const interrupt = (name: string, more: Partial<Of<"activity-interrupt">> = {}): string =>
  play.says(name, { type: "activity-interrupt", ...at(), ...more });
const resume = (name: string): string => play.says(name, { type: "activity-resume", activity: activity().id });
const decline = (name: string, reason?: string): string =>
  play.says(name, { type: "activity-decline", activity: activity().id, ...(reason === undefined ? {} : { reason }) });
const discard = (name: string): string => play.says(name, { type: "activity-discard", activity: activity().id });
const end = (name: string, more: Partial<Of<"activity-end">> = {}): string =>
  play.says(name, { type: "activity-end", ...at(), ...more });
/** The server has stored so many bytes. */
const stored = (bytes: number, id?: Offset): string =>
  play.server({ type: "activity-point", ...at(id), data: { bytes, digest: "0" } });
const serverEnds = (id?: Offset): string => play.server({ type: "activity-end", ...at(id) });

/** Members whose replica, made of what they were told, shows other activities than a view taken now. */
const replicasAgree = (): readonly string[] => {
  const shown = (name: string, activities: Iterable<Activity>): string =>
    JSON.stringify([...activities].filter((each) => concerns(play.state, each, memberId(name))));
  return [...play.state.members.keys()].filter((member) => {
    const joined = play.log.findIndex((entry) => entry.type === "joined" && entry.member === member);
    const before = foldAll(emptyState(play.state.session), play.log.slice(0, joined + 1));
    const tail = play.log.slice(joined + 1).filter((entry) => isVisible(entry, member));
    const replica = foldAll(fromRecord(toView(before, member)), tail);
    return shown(member, replica.activities.values()) !== JSON.stringify(toView(play.state, member).activities);
  });
};

describe("an activity", () => {
  it("is begun, has points of its own, and ends", () => {
    begin(["a", "b"]);
    expect(start("a", { data: { pages: 3 } })).toBe("activity-started");
    const { id } = activity();
    expect(activity()).toEqual({
      id,
      name: "work",
      kind: "app",
      status: "running",
      by: "a",
      starter: "a",
      user: "a",
      holder: "a",
      run: id,
      next: 1,
      open: 1,
      confirmed: null,
      points: [],
      since: play.now,
      data: { pages: 3 },
    });
    expect(point("a", { data: "page 1" })).toBe("activity-point");
    expect(activity()).toMatchObject({ next: 2, open: 2, confirmed: { serial: 1, data: "page 1" }, points: [] });
    expect(play.state.sync.next).toBe(1);
    expect(end("a", { result: "done" })).toBe("activity-ended");
    expect(play.last("activity-ended")).toMatchObject({ result: "done" });
    expect(play.state.activities.size).toBe(0);
    expect(play.says("a", { type: "activity-end", activity: id, run: id })).toBe("ACTIVITY_UNKNOWN");
  });

  it("has points that somebody else confirms, each with all before it", () => {
    begin(["a", "b"]);
    start("a");
    point("a", { confirm: true, data: 1 });
    point("a", { data: 2 });
    point("a", { confirm: true, data: 3 });
    expect(activity()).toMatchObject({ next: 4, open: 1, confirmed: null });
    expect(activity().points.map(({ serial }) => serial)).toEqual([1, 2, 3]);
    expect(confirm("a", 1)).toBe("SYNC_NOT_ASKED");
    expect(confirm("b", 0)).toBe("SYNC_NOT_ASKED");
    expect(confirm("b", 4)).toBe("SYNC_UNKNOWN");
    expect(confirm("b", 2)).toBe("activity-confirmed");
    expect(activity()).toMatchObject({ next: 4, open: 3, confirmed: { serial: 2, data: 2 }, points: [{ serial: 3 }] });
    expect(confirm("b", 2)).toBe("SYNC_NOT_ASKED");
    expect(play.server({ type: "activity-confirm", activity: activity().id, serial: 3 })).toBe("activity-confirmed");
    expect(activity()).toMatchObject({ open: 4, confirmed: { serial: 3 }, points: [] });
    expect(confirm("b", 3)).toBe("SYNC_NOT_ASKED");
  });

  it("has at most 16 points that wait, those included that need nobody and stand behind one that does", () => {
    begin(["a", "b"]);
    start("a");
    point("a", { confirm: true });
    for (let n = 2; n <= 16; n += 1) expect(point("a", { confirm: n % 2 === 0 })).toBe("activity-point");
    expect(point("a", { confirm: true })).toBe("SYNC_LIMIT");
    expect(point("a")).toBe("SYNC_LIMIT");
    confirm("b", 16);
    for (let n = 0; n < 20; n += 1) expect(point("a")).toBe("activity-point");
    expect(activity().points).toEqual([]);
  });

  it("is run by who began it; others can neither go on with it nor end it", () => {
    begin(["a", "b"]);
    start("a");
    for (const each of [point, interrupt, end]) expect(each("b")).toBe("ACTIVITY_NOT_HELD");
    expect(resume("b")).toBe("ACTIVITY_RUNNING");
    expect(resume("a")).toBe("ACTIVITY_RUNNING");
    expect(decline("b")).toBe("FORBIDDEN");
    expect(play.says("b", { type: "activity-resume", activity: 999 })).toBe("ACTIVITY_UNKNOWN");
    // The server may do all of it.
    expect(play.server({ type: "activity-point", ...at() })).toBe("activity-point");
    expect(play.server({ type: "activity-interrupt", ...at() })).toBe("activity-interrupted");
    expect(play.server({ type: "activity-resume", activity: activity().id })).toBe("activity-resumed");
    expect(play.server({ type: "activity-decline", activity: activity().id })).toBe("USAGE");
    expect(play.server({ type: "activity-end", ...at() })).toBe("activity-ended");
  });

  it("of the server's own is run by no member", () => {
    begin(["a"]);
    expect(play.server({ type: "activity-start", kind: "app", name: "backup" })).toBe("activity-started");
    expect(activity()).toMatchObject({ by: null, user: null, holder: null });
    expect(point("a")).toBe("ACTIVITY_NOT_HELD");
    play.server({ type: "activity-point", ...at(), confirm: true });
    expect(confirm("a", 1)).toBe("activity-confirmed");
    expect(discard("a")).toBe("FORBIDDEN");
    play.server({ type: "activity-interrupt", ...at() });
    expect(resume("a")).toBe("FORBIDDEN");
    expect(play.server({ type: "activity-discard", activity: activity().id })).toBe("activity-discarded");
  });

  it("needs the permission, by name", () => {
    play = new Play({}, { roles: { member: ["activity:work"], chair: ["*"] } });
    play.join("a", "chair");
    expect(start("a")).toBe("activity-started");
    expect(start("a", { name: "other" })).toBe("FORBIDDEN");
    expect(start("a", { kind: "transfer", ...to("chair") })).toBe("FORBIDDEN");
    expect(start("chair", { kind: "transfer", ...to("a") })).toBe("activity-started");
  });

  it("needs the major/activity token to begin, while somebody holds it", () => {
    begin(["a", "b"]);
    play.asks("a", tokens.majorActivity);
    expect(start("b")).toBe("FLOOR_NOT_HELD");
    expect(start("b", { kind: "transfer" })).toBe("FLOOR_NOT_HELD");
    expect(start("a")).toBe("activity-started");
    play.syncs("b", { type: "sync-minor" });
    // The state of one's own point is no piece of work.
    expect(start("b", { kind: "state", point: play.state.head })).toBe("activity-started");
  });

  it("is refused when there are as many as may be", () => {
    begin(["a"], { most: 2 });
    start("a");
    start("a");
    expect(start("a")).toBe("ACTIVITY_LIMIT");
    discard("a");
    expect(start("a")).toBe("activity-started");
  });
});

describe("an interrupted activity", () => {
  it("goes on from its last confirmed point, by any member of its user", () => {
    begin(["a", "a.phone", "b"]);
    start("a");
    point("a", { data: 1 });
    point("a", { data: 2, confirm: true });
    const late = at();
    expect(interrupt("a", { data: "lunch" })).toBe("activity-interrupted");
    expect(play.last("activity-interrupted")).toMatchObject({ reason: "asked", data: "lunch" });
    expect(point("a")).toBe("ACTIVITY_INTERRUPTED");
    expect(end("a")).toBe("ACTIVITY_INTERRUPTED");
    expect(interrupt("a")).toBe("ACTIVITY_INTERRUPTED");
    expect(confirm("b", 2)).toBe("SYNC_NOT_ASKED");
    expect(resume("b")).toBe("FORBIDDEN");
    expect(resume("a.phone")).toBe("activity-resumed");
    expect(play.last("activity-resumed")).toMatchObject({ member: "a.phone", serial: 1 });
    expect(activity()).toMatchObject({ status: "running", holder: "a.phone", next: 2, open: 2, points: [] });
    expect(activity().run).toBe(play.state.head);
    expect(activity()).not.toHaveProperty("expiresAt");
    // What was sent under the older run comes too late, also after it was taken back.
    expect(play.says("a", { type: "activity-point", ...late })).toBe("ACTIVITY_NOT_HELD");
    play.says("a.phone", { type: "activity-interrupt", ...at() });
    expect(resume("a")).toBe("activity-resumed");
    expect(play.says("a", { type: "activity-point", ...late })).toBe("ACTIVITY_NOT_HELD");
    expect(point("a", { data: 2 })).toBe("activity-point");
    expect(activity().confirmed).toMatchObject({ serial: 2, data: 2 });
  });

  it("is taken up once: of two at once the log's first has it", () => {
    begin(["a", "a.phone", "a.pad"]);
    start("a");
    interrupt("a");
    expect(resume("a.phone")).toBe("activity-resumed");
    expect(resume("a.pad")).toBe("ACTIVITY_RUNNING");
    expect(play.last("activity-resumed")).toMatchObject({ member: "a.phone", serial: 0 });
  });

  it("is so when its member drops or leaves, and only what that one runs", () => {
    begin(["a", "b", "b.phone"]);
    start("a");
    const { id } = activity();
    start("b");
    expect(play.drops("b")).toBe("dropped activity-interrupted");
    expect(play.last("activity-interrupted")).toMatchObject({ reason: "dropped", activity: activity().id });
    expect(activity(id).status).toBe("running");
    play.resumes("b");
    expect(resume("b")).toBe("activity-resumed");
    expect(play.says("b", { type: "release" })).toBe("left activity-interrupted");
    expect(play.last("activity-interrupted")).toMatchObject({ reason: "left" });
    expect(resume("b.phone")).toBe("activity-resumed");
  });

  it("is given up when nobody takes it up in time", () => {
    begin(["a", "a.phone"], { resumeWithin: 5_000 });
    start("a");
    interrupt("a");
    const due = play.now + 5_000;
    expect(deadlines(play.state).next).toBe(due);
    resume("a.phone");
    expect(deadlines(play.state).next).toBe(Infinity);
    play.says("a.phone", { type: "activity-interrupt", ...at() });
    expect(play.waits(4_999)).toBe("");
    expect(play.waits(1)).toBe("activity-discarded");
    expect(play.last("activity-discarded")).toMatchObject({ why: "expired", by: null });
    expect(play.state.activities.size).toBe(0);
  });
});

describe("a hand-over", () => {
  it("lets the heir alone take it up, and it is the heir's from then on", () => {
    begin(["a", "a.phone", "b", "b.phone", "c"]);
    start("a");
    point("a");
    expect(interrupt("a", { for: memberId("nobody") })).toBe("RECIPIENT_UNKNOWN");
    expect(interrupt("a", { for: memberId("b") })).toBe("activity-interrupted");
    expect(play.last("activity-interrupted")).toMatchObject({ reason: "handed", for: "b" });
    for (const name of ["a", "a.phone", "b.phone", "c"]) expect(resume(name)).toBe("FORBIDDEN");
    expect(resume("b")).toBe("activity-resumed");
    expect(activity()).toMatchObject({ user: "b", starter: "a", holder: "b", next: 2 });
    expect(activity()).not.toHaveProperty("heir");
    expect(discard("a")).toBe("FORBIDDEN");
    interrupt("b");
    expect(resume("a")).toBe("FORBIDDEN");
    expect(resume("b.phone")).toBe("activity-resumed");
  });

  it("permits its heir nothing that its roles do not", () => {
    play = new Play({}, { roles: { member: ["emit"], chair: ["*"] } });
    play.join("chair", "m");
    for (const kind of ["app", "transfer"] as const) {
      start("chair", { kind });
      interrupt("chair", { for: memberId("m") });
      expect(resume("m")).toBe("FORBIDDEN");
      expect(play.says("m", { type: "activity-decline", activity: activity().id })).toBe("FORBIDDEN");
    }
  });

  it("falls back to its user when the heir has left, was away for too long, or never was there", () => {
    begin(["a", "b", "c"]);
    start("a");
    interrupt("a", { for: memberId("b") });
    play.drops("b");
    expect(resume("a")).toBe("FORBIDDEN");
    play.waits(play.state.config.memberGrace);
    expect(play.state.members.get(memberId("b"))?.presence).toBe("gone");
    expect(resume("a")).toBe("activity-resumed");
    // Who is gone is remembered, and is no heir.
    expect(interrupt("a", { for: memberId("b") })).toBe("RECIPIENT_UNKNOWN");
    interrupt("a", { for: memberId("c") });
    play.says("c", { type: "release" });
    expect(resume("a")).toBe("activity-resumed");
  });

  it("may be declined by giving it up", () => {
    begin(["a", "b", "c"]);
    start("a");
    interrupt("a", { for: memberId("b") });
    expect(discard("c")).toBe("FORBIDDEN");
    expect(discard("b")).toBe("activity-discarded");
  });
});

describe("a private activity", () => {
  it("concerns whom it is addressed to and its user's other members, and nobody else knows of it", () => {
    begin(["a", "a.phone", "b", "b.phone", "chair"]);
    expect(hasPrivateParts(play.state)).toBe(false);
    expect(start("a", to("b", "a", "b"))).toBe("activity-started");
    expect(hasPrivateParts(play.state)).toBe(true);
    expect(activity().to).toEqual(["b"]);
    point("a", { confirm: true });
    expect(confirm("b", 1)).toBe("activity-confirmed");
    const names = ["a", "a.phone", "b", "b.phone", "chair"];
    const knowing = names.filter((name) => play.activitiesOf(name).length > 0);
    expect(knowing).toEqual(["a", "a.phone", "b"]);
    for (const entry of play.log.filter(({ type }) => type.startsWith("activity-"))) {
      expect(names.filter((name) => isVisible(entry, memberId(name)))).toEqual(knowing);
      expect(audienceOf(entry)).not.toBe("all");
    }
    expect(toView(play.state).activities).toEqual([]);
    for (const name of ["b.phone", "chair"]) {
      for (const each of [point, interrupt, resume, decline, discard, end]) expect(each(name)).toBe("ACTIVITY_UNKNOWN");
      expect(confirm(name, 1)).toBe("ACTIVITY_UNKNOWN");
    }
    // A new device of its user learns of it as it comes.
    play.join("a.pad");
    expect(play.activitiesOf("a.pad")).toEqual(["work"]);
    interrupt("a");
    expect(resume("a.pad")).toBe("activity-resumed");
    expect(audienceIn(play.state, activity())).toEqual(["b", "a", "a.phone", "a.pad"]);
  });

  it("is not addressed to nobody, to oneself only, or to who is no member", () => {
    begin(["a", "b"]);
    expect(start("a", to())).toBe("RECIPIENT_UNKNOWN");
    expect(start("a", to("a"))).toBe("RECIPIENT_UNKNOWN");
    expect(start("a", to("b", "x"))).toBe("RECIPIENT_UNKNOWN");
    expect(play.server({ type: "activity-start", kind: "app", name: "n", ...to() })).toBe("RECIPIENT_UNKNOWN");
    expect(play.server({ type: "activity-start", kind: "app", name: "n", ...to("b") })).toBe("activity-started");
    expect(play.activitiesOf("a")).toEqual([]);
    expect(play.activitiesOf("b")).toEqual(["n"]);
  });

  it("is handed to those only whom it concerns, and concerns the same after it", () => {
    begin(["a", "a.phone", "b", "b.phone", "c"]);
    start("a", to("b"));
    expect(interrupt("a", { for: memberId("c") })).toBe("RECIPIENT_UNKNOWN");
    interrupt("a", { for: memberId("b") });
    expect(resume("b")).toBe("activity-resumed");
    // b's phone was not told of its beginning, so it is told of nothing.
    expect(play.activitiesOf("b.phone")).toEqual([]);
    expect(play.activitiesOf("a.phone")).toEqual(["work"]);
    interrupt("b");
    expect(resume("b.phone")).toBe("ACTIVITY_UNKNOWN");
    expect(resume("a")).toBe("FORBIDDEN");
    expect(resume("b")).toBe("activity-resumed");
    expect(end("b")).toBe("activity-ended");
  });

  it("goes on when some decline or leave, who still learn of its end, and is void when all have", () => {
    begin(["a", "b", "c", "d"]);
    start("a", to("b", "c", "d"));
    expect(decline("b", "no time")).toBe("activity-declined");
    expect(play.last("activity-declined")).toMatchObject({ member: "b", reason: "no time" });
    expect(decline("b")).toBe("FORBIDDEN");
    expect(decline("a")).toBe("FORBIDDEN");
    expect(activity().declined).toEqual(["b"]);
    expect(play.says("c", { type: "release" })).toBe("left activity-declined");
    expect(play.state.activities.size).toBe(1);
    expect(decline("d", "nor I")).toBe("activity-declined activity-discarded");
    expect(play.last("activity-discarded")).toMatchObject({ why: "declined", reason: "nor I", by: null });
    const discarded = play.last("activity-discarded");
    expect(discarded && isVisible(discarded, memberId("b"))).toBe(true);
  });

  it("counts who has declined and then leaves once", () => {
    begin(["a", "b", "c"]);
    start("a", to("b", "c"));
    decline("b");
    expect(play.says("b", { type: "release" })).toBe("left");
    expect(activity()).toMatchObject({ status: "running", declined: ["b"] });
  });

  it("is interrupted and declined when one leaves who runs one and is addressed by another", () => {
    begin(["a", "b"]);
    start("a", to("b"));
    start("b", to("a"));
    expect(play.says("b", { type: "abort" })).toBe("left activity-interrupted activity-declined activity-discarded");
    expect([...play.state.activities.values()].map(({ status }) => status)).toEqual(["interrupted"]);
  });
});

describe("giving up", () => {
  it("is for its user, for who may moderate, and for the server", () => {
    begin(["a", "a.phone", "b", "chair"]);
    start("a");
    expect(discard("b")).toBe("FORBIDDEN");
    expect(play.says("a.phone", { type: "activity-discard", activity: activity().id, reason: "enough" })).toBe(
      "activity-discarded",
    );
    expect(play.last("activity-discarded")).toMatchObject({ why: "asked", reason: "enough", by: "a.phone" });
    start("a");
    interrupt("a");
    expect(discard("chair")).toBe("activity-discarded");
    start("a");
    expect(play.server({ type: "activity-fail", activity: activity().id, reason: "no disk" })).toBe(
      "activity-discarded",
    );
    expect(play.last("activity-discarded")).toMatchObject({ why: "failed", reason: "no disk" });
    expect(play.server({ type: "activity-fail", activity: 999, reason: "no disk" })).toBe("");
  });
});

describe("a transfer", () => {
  const send = (name: string, more: Partial<Of<"activity-start">> = {}): string =>
    start(name, { kind: "transfer", name: "cat.png", data: { size: 100, type: "image/png" }, ...more });

  it("has the server's points, ends by the server, and is kept until all have it", () => {
    begin(["a", "b", "c"]);
    expect(send("a", to("b", "c"))).toBe("activity-started");
    expect(activity().waiting).toEqual(["b", "c"]);
    expect(point("a")).toBe("FORBIDDEN");
    expect(end("a")).toBe("FORBIDDEN");
    expect(stored(60)).toBe("activity-point");
    expect(storedBytes(activity())).toBe(60);
    expect(confirm("b", 1)).toBe("SYNC_NOT_ASKED");
    stored(100);
    expect(serverEnds()).toBe("activity-ended");
    expect(activity()).toMatchObject({ status: "ended", next: 3, open: 3, waiting: ["b", "c"] });
    expect(activity().expiresAt).toBe(play.now + defaultActivities.fetchWithin);
    // It is over: there is nothing to take up, to interrupt or to go on with.
    expect(resume("a")).toBe("ACTIVITY_UNKNOWN");
    expect(interrupt("a")).toBe("ACTIVITY_UNKNOWN");
    expect(serverEnds()).toBe("ACTIVITY_UNKNOWN");
    expect(play.server({ type: "activity-fail", activity: activity().id, reason: "late" })).toBe("");
    expect(confirm("b", 1)).toBe("SYNC_NOT_ASKED");
    expect(confirm("a", 2)).toBe("SYNC_NOT_ASKED");
    expect(confirm("b", 3)).toBe("SYNC_UNKNOWN");
    expect(confirm("b", 2)).toBe("activity-confirmed");
    expect(confirm("b", 2)).toBe("SYNC_NOT_ASKED");
    expect(activity().waiting).toEqual(["c"]);
    expect(confirm("c", 2)).toBe("activity-confirmed activity-forgotten");
    expect(play.state.activities.size).toBe(0);
  });

  it("of no bytes is received as well", () => {
    begin(["a", "b"]);
    send("a", { ...to("b"), data: { size: 0 } });
    expect(serverEnds()).toBe("activity-ended");
    expect(confirm("b", 0)).toBe("activity-confirmed activity-forgotten");
  });

  it("that has ended is forgotten when the last who waits declines or leaves, or its time is over", () => {
    begin(["a", "b", "c"], { fetchWithin: 1_000 });
    send("a", to("b", "c"));
    stored(100);
    serverEnds();
    expect(decline("b")).toBe("activity-declined");
    expect(play.says("c", { type: "release" })).toBe("left activity-declined activity-forgotten");
    send("a", to("b"));
    serverEnds();
    expect(deadlines(play.state).next).toBe(play.now + 1_000);
    expect(play.waits(1_000)).toBe("activity-forgotten");
    send("a");
    serverEnds();
    expect(confirm("b", 0)).toBe("SYNC_NOT_ASKED");
    expect(discard("b")).toBe("FORBIDDEN");
    expect(play.waits(997)).toBe("");
    expect(play.waits(1)).toBe("activity-forgotten");
    send("a");
    serverEnds();
    expect(discard("a")).toBe("activity-discarded");
  });

  it("is not stored under a run that is over, also by the server", () => {
    begin(["a", "a.phone", "b"]);
    send("a");
    stored(10);
    const late = at();
    play.drops("a");
    expect(play.server({ type: "activity-point", ...late, data: { bytes: 20, digest: "0" } })).toBe(
      "ACTIVITY_INTERRUPTED",
    );
    resume("a.phone");
    expect(play.server({ type: "activity-point", ...late, data: { bytes: 20, digest: "0" } })).toBe(
      "ACTIVITY_NOT_HELD",
    );
    expect(play.server({ type: "activity-end", ...late })).toBe("ACTIVITY_NOT_HELD");
    expect(stored(30)).toBe("activity-point");
  });

  it("has limits: its own size, and what the session keeps", () => {
    begin(["a", "b"], { bytes: 100, bytesInAll: 250 });
    expect(send("a", { data: { size: 101 } })).toBe("TRANSFER_TOO_LARGE");
    expect(send("a")).toBe("activity-started");
    const { id } = activity();
    expect(send("a")).toBe("activity-started");
    expect(send("a")).toBe("TRANSFER_QUOTA");
    expect(start("a")).toBe("activity-started");
    discard("a");
    expect(send("b", { data: { size: 50 } })).toBe("activity-started");
    expect(send("b", { data: { size: 1 } })).toBe("TRANSFER_QUOTA");
    // What has ended takes what it has.
    stored(40, id);
    serverEnds(id);
    expect(send("b", { data: { size: 60 } })).toBe("activity-started");
    expect(send("b", { data: { size: 1 } })).toBe("TRANSFER_QUOTA");
    play.says("a", { type: "activity-discard", activity: id });
    // Of one whose size nobody knows counts what is stored of it.
    expect(start("b", { kind: "transfer" })).toBe("activity-started");
    stored(40);
    expect(send("b", { data: { size: 1 } })).toBe("TRANSFER_QUOTA");
  });
});

describe("the state at a sync point", () => {
  const share = (name: string, offset = play.last("sync-point")?.offset): string =>
    start(name, { kind: "state", name: "state", ...(offset === undefined ? {} : { point: offset }), ...to("b") });
  const minor = (name: string): string => play.syncs(name, { type: "sync-minor" });

  it("is there for all when it is stored, and is announced at the point", () => {
    begin(["a", "b", "c"]);
    minor("a");
    const { offset } = play.last("sync-point") ?? { offset: 0 };
    expect(share("a")).toBe("activity-started");
    expect(activity()).not.toHaveProperty("to");
    expect(play.activitiesOf("c")).toEqual(["state"]);
    stored(10);
    expect(end("a")).toBe("FORBIDDEN");
    expect(serverEnds()).toBe("activity-ended sync-shared");
    expect(play.last("sync-shared")).toMatchObject({ point: offset, activity: activity().id });
    expect(play.state.sync.points[0]?.state).toBe(activity().id);
    expect(activity()).not.toHaveProperty("expiresAt");
    expect(share("a")).toBe("SYNC_UNKNOWN");
    expect(play.waits(10 * defaultActivities.fetchWithin)).not.toContain("activity");
  });

  it("is sent by who set the point, or by the server, once", () => {
    begin(["a", "b"]);
    minor("a");
    expect(share("b")).toBe("SYNC_UNKNOWN");
    expect(share("a", 1)).toBe("SYNC_UNKNOWN");
    expect(start("a", { kind: "state" })).toBe("SYNC_UNKNOWN");
    expect(share("a")).toBe("activity-started");
    expect(share("a")).toBe("ACTIVITY_RUNNING");
    discard("a");
    const { offset: point } = play.last("sync-point") ?? { offset: 0 };
    expect(play.server({ type: "activity-start", kind: "state", name: "s", point })).toBe("activity-started");
  });

  it("is not waited for when its member is away", () => {
    begin(["a", "b"]);
    minor("a");
    share("a");
    expect(play.drops("a")).toBe("dropped activity-discarded");
    expect(play.last("activity-discarded")).toMatchObject({ why: "failed" });
  });

  it("is forgotten when the point becomes void", () => {
    begin(["a", "b"]);
    minor("a");
    share("a");
    serverEnds();
    minor("a");
    share("a");
    expect(play.syncs("b", { type: "resynchronize", kind: "abandon" })).toBe(
      "resynchronized activity-forgotten activity-discarded",
    );
    expect(play.state.activities.size).toBe(0);
    expect(play.state.sync.points.map((each) => each.state)).toEqual([undefined, undefined]);
    expect(share("a")).toBe("SYNC_UNKNOWN");
  });

  it("is forgotten when the point is no longer listed", () => {
    play = new Play({}, { sync: { ...defaultSync, points: 3 } });
    play.join("a", "b");
    minor("a");
    share("a");
    serverEnds();
    minor("a");
    minor("a");
    expect(minor("a")).toBe("sync-point activity-forgotten");
    expect(play.syncs("a", { type: "sync-major", rule: "server" })).toBe("sync-point sync-settled");
  });

  it("that is given up is no longer announced, and may be sent again", () => {
    begin(["a", "b"]);
    minor("a");
    share("a");
    serverEnds();
    expect(discard("a")).toBe("activity-discarded");
    expect(play.state.sync.points[0]).not.toHaveProperty("state");
    expect(share("a")).toBe("activity-started");
  });

  it("is forgotten with an exception that takes the session back", () => {
    play = new Play({}, { sync: { ...defaultSync, exception: "restart" } });
    play.join("a", "b");
    minor("a");
    share("a");
    expect(play.syncs("b", { type: "exception", reason: "?" })).toBe("exception resynchronized activity-discarded");
  });
});

it("a session that has ended has no deadline left, and takes no activity", () => {
  begin(["a", "chair"]);
  start("a");
  interrupt("a");
  play.says("chair", { type: "end" });
  expect(deadlines(play.state).next).toBe(Infinity);
  expect(play.waits(defaultActivities.resumeWithin)).toBe("");
  expect(start("a")).toBe("SESSION_ENDED");
  expect(play.server({ type: "activity-fail", activity: activity().id, reason: "late" })).toBe("");
});
