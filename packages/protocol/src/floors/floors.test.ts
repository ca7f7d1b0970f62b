import { afterEach, describe, expect, it } from "vitest";
import { memberId } from "../ids.ts";
import { Play } from "../play.fixture.ts";
import type { configFault } from "./config.ts";
import { chairsOf } from "./sight.ts";

let play: Play;
const with_ = (...options: ConstructorParameters<typeof Play>): Play => (play = new Play(...options));

// Whatever was played: the log tells it all.
afterEach(() => expect(play.isReproducible()).toBe(true));

describe("a request", () => {
  it("is granted at once if the floor is free, and waits its turn if not", () => {
    with_({ mic: {} }).join("a", "b", "c");
    expect(play.asks("a", "mic")).toBe("floor-requested floor-granted");
    expect(play.asks("b", "mic")).toBe("floor-requested");
    expect(play.asks("c", "mic")).toBe("floor-requested");
    expect(play.queue("mic")).toEqual(["b", "c"]);
    expect(play.releases("a", "mic")).toBe("floor-released floor-granted");
    expect(play.holders("mic")).toEqual(["b"]);
    expect(play.queue("mic")).toEqual(["c"]);
  });

  it("is one however often it is made, waiting or granted", () => {
    with_({ mic: {} }).join("a", "b");
    play.asks("a", "mic");
    play.asks("b", "mic");
    expect(play.asks("b", "mic", { priority: -1 })).toBe("floor-requested");
    expect(play.asks("a", "mic")).toBe("floor-requested");
    expect(play.queue("mic")).toEqual(["b"]);
    expect(play.state.floors.get("mic")?.counts.requests).toBe(2);
  });

  it("can be taken back; what was granted meanwhile is released", () => {
    with_({ mic: {} }).join("a", "b");
    play.asks("a", "mic");
    play.asks("b", "mic");
    expect(play.says("b", { type: "floor-cancel", floor: "mic" })).toBe("floor-cancelled");
    expect(play.says("a", { type: "floor-cancel", floor: "mic" })).toBe("floor-released");
    expect(play.says("a", { type: "floor-cancel", floor: "mic" })).toBe("FLOOR_NOT_REQUESTED");
    expect(play.holders("mic")).toEqual([]);
  });

  it("is not made if it is not to wait and would have to", () => {
    with_({ mic: {} }).join("a", "b");
    expect(play.asks("a", "mic", { ifAvailable: true })).toBe("floor-requested floor-granted");
    expect(play.asks("b", "mic", { ifAvailable: true })).toBe("FLOOR_BUSY");
    expect(play.queue("mic")).toEqual([]);
  });

  it("runs out by itself, wherever its maker is", () => {
    with_({ mic: {} }).join("a", "b");
    play.asks("a", "mic");
    play.asks("b", "mic", { within: 500 });
    play.drops("b");
    expect(play.waits(499)).toBe("floor-cancelled");
    expect(play.last("floor-cancelled")).toMatchObject({ member: "b", reason: "timeout" });
  });

  it("for somebody else needs authority, and belongs to the beneficiary", () => {
    with_({ mic: {} }).join("a", "b", "chair");
    expect(play.asks("a", "mic", { for: memberId("b") })).toBe("FORBIDDEN");
    expect(play.asks("chair", "mic", { for: memberId("b") })).toBe("floor-requested floor-granted");
    expect(play.holders("mic")).toEqual(["b"]);
    expect(play.asks("chair", "mic", { for: memberId("nobody") })).toBe("RECIPIENT_UNKNOWN");
    expect(play.asks("chair", "mic", { for: memberId("a"), reason: "she has a question" })).toBe("floor-requested");
    expect(play.state.floors.get("mic")?.queue[0]).toMatchObject({ by: "chair", reason: "she has a question" });
    expect(play.says("b", { type: "floor-cancel", floor: "mic", for: memberId("a") })).toBe("FLOOR_NOT_REQUESTED");
    expect(play.says("chair", { type: "floor-cancel", floor: "mic", for: memberId("a") })).toBe("floor-cancelled");
  });

  it("above normal priority needs permission; below does not", () => {
    with_({ mic: { order: "priority" } }).join("a", "b", "chair");
    expect(play.asks("a", "mic", { priority: 1 })).toBe("FORBIDDEN");
    expect(play.asks("a", "mic", { priority: -1 })).toBe("floor-requested floor-granted");
    expect(play.asks("chair", "mic", { priority: 2 })).toBe("floor-requested");
  });

  it("is refused for a floor that is not there, and where too many wait", () => {
    with_({ mic: { maxQueue: 1 }, none: { maxQueue: 0 } }).join("a", "b", "c");
    expect(play.asks("a", "stage")).toBe("FLOOR_UNKNOWN");
    expect(play.asks("a", "__proto__")).toBe("FLOOR_UNKNOWN");
    for (const name of ["a", "b"]) play.asks(name, "mic");
    expect(play.asks("c", "mic")).toBe("FLOOR_QUEUE_FULL");
    expect(play.asks("a", "none")).toBe("floor-requested floor-granted");
    expect(play.asks("b", "none")).toBe("FLOOR_QUEUE_FULL");
  });

  it("keeps its place while its maker is away, and is passed over meanwhile", () => {
    with_({ mic: {} }).join("a", "b", "c");
    for (const name of ["a", "b", "c"]) play.asks(name, "mic");
    play.drops("b");
    play.releases("a", "mic");
    expect(play.holders("mic")).toEqual(["c"]);
    play.resumes("b");
    play.releases("c", "mic");
    expect(play.holders("mic")).toEqual(["b"]);
  });
});

describe("a grant", () => {
  it("ends by its own fence only", () => {
    with_({ mic: {} }).join("a");
    play.asks("a", "mic");
    const fence = play.fence("a", "mic");
    play.releases("a", "mic");
    play.asks("a", "mic");
    expect(play.says("a", { type: "floor-release", floor: "mic", fence })).toBe("FLOOR_NOT_HELD");
    expect(play.fence("a", "mic")).toBeGreaterThan(fence);
    expect(play.says("a", { type: "floor-release", floor: "mic", fence: 2 ** 40 })).toBe("FLOOR_NOT_HELD");
  });

  it("that is revoked keeps its place until its holder has stopped", () => {
    with_({ mic: {} }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic");
    const fence = play.fence("a", "mic");
    expect(play.says("chair", { type: "floor-revoke", floor: "mic", member: memberId("a") })).toBe("floor-revoked");
    expect(play.holders("mic")).toEqual([]);
    expect(play.says("a", { type: "floor-release", floor: "mic", fence })).toBe("floor-released floor-granted");
    expect(play.holders("mic")).toEqual(["b"]);
  });

  it("that is revoked, and whose holder says nothing, is free when its lease is over", () => {
    with_({ mic: { grace: 700 } }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic");
    play.says("chair", { type: "floor-revoke", floor: "mic", member: memberId("a") });
    // However far the log's time moves: a lease is watched, not read.
    play.waits(1_000_000);
    expect(play.holders("mic")).toEqual([]);
    expect(play.lapses()).toBe("floor-freed floor-granted");
    expect(play.holders("mic")).toEqual(["b"]);
  });

  it("outlives a drop for its lease, and is the same afterwards", () => {
    with_({ mic: {} }).join("a", "b");
    play.asks("a", "mic");
    play.asks("b", "mic");
    const fence = play.fence("a", "mic");
    play.drops("a");
    play.resumes("a");
    expect(play.fence("a", "mic")).toBe(fence);
    expect(play.lapses()).toBe("");
    play.drops("a");
    expect(play.lapses()).toBe("floor-revoked floor-granted");
    expect(play.last("floor-revoked")).toMatchObject({ reason: "grace", lingers: false });
    expect(play.holders("mic")).toEqual(["b"]);
  });

  it("does not end by a lease of an earlier drop", () => {
    with_({ mic: {} }).join("a");
    play.asks("a", "mic");
    play.drops("a");
    const from = play.state.members.get(memberId("a"))?.changed ?? 0;
    play.resumes("a");
    play.drops("a");
    const lapse = { type: "lapse", floor: "mic", fence: play.fence("a", "mic"), from } as const;
    expect(play.server(lapse)).toBe("");
    expect(play.holders("mic")).toEqual(["a"]);
  });

  it("ends at its hold limit", () => {
    with_({ mic: { maxHold: 1_000, warning: 100 } }).join("a", "b");
    play.asks("a", "mic");
    play.asks("b", "mic");
    expect(play.waits(998)).toBe("");
    expect(play.waits(1)).toBe("floor-revoked");
    expect(play.last("floor-revoked")).toMatchObject({ reason: "hold-limit", lingers: true });
  });

  it("can be passed on, also to who has not asked, and jumps no claim of who has", () => {
    with_({ mic: {} }).join("a", "b", "c", "d");
    play.asks("a", "mic");
    play.asks("b", "mic");
    play.asks("c", "mic");
    const pass = (from: string, to: string): string =>
      play.says(from, { type: "floor-pass", floor: "mic", fence: play.fence(from, "mic"), member: memberId(to) });
    expect(pass("a", "nobody")).toBe("RECIPIENT_UNKNOWN");
    expect(pass("b", "c")).toBe("FLOOR_NOT_HELD");
    expect(pass("a", "c")).toBe("floor-released floor-granted");
    expect(play.queue("mic")).toEqual(["b"]);
    play.drops("d");
    expect(pass("c", "d")).toBe("RECIPIENT_UNKNOWN");
    play.resumes("d");
    expect(pass("c", "d")).toBe("floor-released floor-granted");
    expect(play.state.floors.get("mic")?.turns.map(({ member, ended }) => `${member} ${ended}`)).toEqual([
      "a passed",
      "c passed",
    ]);
  });

  it("that is passed on keeps its hold limit: two cannot keep the floor from a third", () => {
    with_({ mic: { maxHold: 1_000, warning: 100 } }).join("a", "b", "c");
    for (const name of ["a", "b", "c"]) play.asks(name, "mic");
    const { expiresAt } = play.last("floor-granted") ?? {};
    for (const [from, to] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      play.waits(200);
      play.says(from, { type: "floor-pass", floor: "mic", fence: play.fence(from, "mic"), member: memberId(to) });
      expect(play.last("floor-granted")?.expiresAt).toBe(expiresAt);
    }
    play.waits(600);
    play.lapses();
    expect(play.holders("mic")).toEqual(["c"]);
  });

  it("of a member that leaves is free at once; of one that was put out, when it has stopped", () => {
    with_({ mic: {} }).join("a", "b", "c");
    for (const name of ["a", "b", "c"]) play.asks(name, "mic");
    play.says("a", { type: "release" });
    expect(play.holders("mic")).toEqual(["b"]);
    play.server({ type: "remove", member: memberId("b"), how: "removed" });
    expect(play.holders("mic")).toEqual([]);
    play.lapses();
    expect(play.holders("mic")).toEqual(["c"]);
  });

  it("is never more than the capacity has room for", () => {
    with_({ mic: { capacity: 3 } }).join("a", "b", "c", "d");
    for (const name of ["a", "b", "c", "d"]) play.asks(name, "mic");
    expect(play.holders("mic")).toEqual(["a", "b", "c"]);
  });
});

describe("guards", () => {
  it("accept from a holder only, one event or a whole channel", () => {
    with_({ mic: {}, deck: {} }, { guards: { speak: "mic", "slides:*": "deck" } }).join("a", "b");
    play.asks("a", "mic");
    expect(play.emits("a", "speak")).toBe("messages");
    expect(play.emits("b", "speak")).toBe("FLOOR_NOT_HELD");
    expect(play.emits("a", "slides:next")).toBe("FLOOR_NOT_HELD");
    play.asks("b", "deck");
    expect(play.emits("b", "slides:next")).toBe("messages");
    expect(play.emits("b", "free")).toBe("messages");
  });

  it("refuse what was sent under a grant that is over, also if the floor is held again", () => {
    with_({ mic: {} }, { guards: { speak: "mic" } }).join("a", "chair");
    play.asks("a", "mic");
    const fence = play.fence("a", "mic");
    expect(play.emits("a", "speak", fence)).toBe("messages");
    play.says("chair", { type: "floor-revoke", floor: "mic", member: memberId("a") });
    expect(play.emits("a", "speak", fence)).toBe("FLOOR_NOT_HELD");
    play.says("a", { type: "floor-release", floor: "mic", fence });
    play.asks("a", "mic");
    expect(play.emits("a", "speak", fence)).toBe("FLOOR_NOT_HELD");
    expect(play.emits("a", "speak", play.fence("a", "mic"))).toBe("messages");
  });

  it("refuse item by item what one command brings", () => {
    with_({ mic: {} }, { guards: { speak: "mic" } }).join("a");
    const items = [["note", 1] as const, ["speak", 2] as const, ["note", 3] as const];
    play.says("a", { type: "messages", items });
    expect(play.log.flatMap((entry) => (entry.type === "messages" ? entry.items : []))).toEqual([
      ["note", 1],
      ["note", 3],
    ]);
  });
});

describe("policies", () => {
  it("first-come refuses who comes second, and nobody waits", () => {
    with_({ mic: { policy: "first-come" } }).join("a", "b");
    play.asks("a", "mic");
    expect(play.asks("b", "mic")).toBe("FLOOR_BUSY");
    play.releases("a", "mic");
    expect(play.asks("b", "mic")).toBe("floor-requested floor-granted");
  });

  it("by priority the higher goes first; with ageing, waiting counts too", () => {
    with_({ mic: { order: "priority" }, old: { order: "priority", ageing: 1_000 } }).join("chair1", "chair2", "chair3");
    for (const floor of ["mic", "old"]) {
      play.asks("chair1", floor);
      play.asks("chair2", floor, { priority: -1 });
      play.waits(1_500);
      play.asks("chair3", floor, { priority: 0 });
    }
    expect(play.queue("mic")).toEqual(["chair3", "chair2"]);
    expect(play.queue("old")).toEqual(["chair2", "chair3"]);
  });

  it("by least-spoken who has spoken less goes first, as a user and not as a tab, and waiting weighs as much", () => {
    with_({ mic: { order: "least-spoken" } }).join("a.1", "a.2", "b", "c");
    play.asks("a.1", "mic");
    play.waits(5_000);
    play.releases("a.1", "mic");
    play.asks("b", "mic");
    play.asks("a.2", "mic");
    play.waits(2_000);
    play.asks("c", "mic");
    expect(play.queue("mic")).toEqual(["c", "a.2"]);
    play.says("c", { type: "floor-cancel", floor: "mic" });
    play.waits(4_000);
    play.asks("c", "mic");
    expect(play.queue("mic")).toEqual(["a.2", "c"]);
  });

  it("pre-empts the lowest holder for a higher request, with a warning, and tells why", () => {
    with_({ mic: { capacity: 2, order: "priority", preempt: true, warning: 300 } }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic", { priority: -1 });
    expect(play.asks("chair", "mic", { priority: 1 })).toBe("floor-requested floor-ending");
    expect(play.last("floor-ending")).toMatchObject({ member: "b", reason: "preempted" });
    expect(play.emits("b", "speak")).toBe("messages");
    expect(
      play.says("b", { type: "floor-pass", floor: "mic", fence: play.fence("b", "mic"), member: memberId("a") }),
    ).toBe("FLOOR_ENDING");
    expect(play.waits(300)).toBe("floor-revoked");
    play.lapses();
    expect(play.holders("mic")).toEqual(["a", "chair"]);
    // Nobody lower is left to give way to an equal.
    play.join("chair2");
    expect(play.asks("chair2", "mic", { priority: 0 })).toBe("floor-requested");
  });

  it("without advance leaves a floor that came free to the chair, and gives an idle one to who asks", () => {
    with_({ mic: { advance: false } }).join("a", "b", "chair");
    expect(play.asks("a", "mic")).toBe("floor-requested floor-granted");
    play.asks("b", "mic");
    expect(play.releases("a", "mic")).toBe("floor-released");
    expect(play.asks("a", "mic")).toBe("floor-requested");
    expect(play.says("chair", { type: "floor-grant", floor: "mic", member: memberId("b") })).toBe("floor-granted");
  });

  it("by a pattern makes floors as they are asked for, forgets them when idle, and not too many at once", () => {
    with_({ "cell:*": {}, "cell:a:*": { capacity: 2 } }, { maxFloors: 2 }).join("a", "b");
    play.asks("a", "cell:1");
    play.asks("a", "cell:a:1");
    expect(play.asks("b", "cell:a:1")).toBe("floor-requested floor-granted");
    expect(play.asks("b", "cell:2")).toBe("FLOOR_LIMIT");
    play.releases("a", "cell:1");
    expect([...play.state.floors.keys()]).toEqual(["cell:a:1"]);
    expect(play.asks("b", "cell:2")).toBe("floor-requested floor-granted");
  });
});

describe("the chair", () => {
  const of = (member: string): { floor: string; member: ReturnType<typeof memberId> } => ({
    floor: "mic",
    member: memberId(member),
  });

  it("sees requests as they come, accepts, grants, and denies with a reason", () => {
    with_({ mic: { policy: "chair" } }).join("a", "b", "c", "chair");
    for (const name of ["a", "b", "c"]) expect(play.asks(name, "mic")).toBe("floor-requested");
    expect(play.pending("mic")).toEqual(["a", "b", "c"]);
    expect(play.says("chair", { type: "floor-grant", ...of("b") })).toBe("floor-granted");
    expect(play.says("chair", { type: "floor-grant", ...of("a") })).toBe("FLOOR_BUSY");
    expect(play.says("chair", { type: "floor-accept", ...of("a") })).toBe("floor-accepted");
    expect(play.says("chair", { type: "floor-deny", ...of("c"), reason: "later" })).toBe("floor-denied");
    expect(play.last("floor-denied")).toMatchObject({ member: "c", reason: "later" });
    expect(play.releases("b", "mic")).toBe("floor-released floor-granted");
    expect(play.holders("mic")).toEqual(["a"]);
    expect(play.asks("chair", "mic")).toBe("floor-requested");
    expect(play.queue("mic")).toEqual(["chair"]);
  });

  it("gives, revokes and takes over", () => {
    with_({ mic: {} }).join("a", "b", "chair");
    expect(play.says("chair", { type: "floor-give", ...of("a") })).toBe("floor-granted");
    expect(play.says("chair", { type: "floor-give", ...of("b") })).toBe("FLOOR_BUSY");
    play.asks("b", "mic");
    const fence = play.fence("a", "mic");
    expect(play.says("chair", { type: "floor-take", floor: "mic" })).toBe("floor-requested floor-revoked");
    expect(play.says("a", { type: "floor-release", floor: "mic", fence })).toBe("floor-released floor-granted");
    expect(play.holders("mic")).toEqual(["chair"]);
    expect(play.says("chair", { type: "floor-take", floor: "mic" })).toBe("floor-requested");
    expect(play.queue("mic")).toEqual(["b"]);
  });

  it("takes over also where the next is not granted by itself", () => {
    with_({ mic: { advance: false } }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic");
    const fence = play.fence("a", "mic");
    play.says("chair", { type: "floor-take", floor: "mic" });
    expect(play.says("a", { type: "floor-release", floor: "mic", fence })).toBe("floor-released floor-granted");
    expect(play.holders("mic")).toEqual(["chair"]);
    expect(play.releases("chair", "mic")).toBe("floor-released");
  });

  it("puts a request where it likes; those before it keep their places, those behind go on by the policy", () => {
    with_({ mic: { order: "priority" } }).join("a", "b", "c", "d", "chair");
    play.asks("chair", "mic");
    for (const name of ["a", "b", "c", "d"]) play.asks(name, "mic");
    const put = (member: string, position: number): string =>
      play.says("chair", { type: "floor-reorder", ...of(member), position });
    expect(put("c", 1)).toBe("floor-reordered");
    expect(play.queue("mic")).toEqual(["c", "a", "b", "d"]);
    expect(put("a", 3)).toBe("floor-reordered");
    expect(play.queue("mic")).toEqual(["c", "b", "a", "d"]);
    play.join("chair2");
    play.asks("chair2", "mic", { priority: 2 });
    expect(play.queue("mic")).toEqual(["c", "b", "a", "chair2", "d"]);
    expect(put("d", 9)).toBe("FLOOR_NOT_REQUESTED");
    expect(put("d", 0)).toBe("FLOOR_NOT_REQUESTED");
    expect(put("nobody", 1)).toBe("FLOOR_NOT_REQUESTED");
  });

  it("is nobody who may not moderate", () => {
    with_({ mic: {} }).join("a", "b");
    play.asks("a", "mic");
    play.asks("b", "mic");
    for (const type of ["floor-accept", "floor-grant", "floor-give", "floor-deny", "floor-revoke"] as const)
      expect(play.says("b", { type, ...of("a") })).toBe("FORBIDDEN");
    expect(play.says("b", { type: "floor-take", floor: "mic" })).toBe("FORBIDDEN");
    expect(play.says("b", { type: "floor-reorder", ...of("b"), position: 1 })).toBe("FORBIDDEN");
    expect(play.says("b", { type: "floor-configure", floor: "mic", change: { capacity: 9 } })).toBe("FORBIDDEN");
    expect(play.holders("mic")).toEqual(["a"]);
  });

  it("may have some verbs and not others", () => {
    with_({ mic: {} }, { roles: { member: ["floor"], chair: ["floor", "deny:mic", "grant:m*"] } }).join(
      "a",
      "b",
      "chair",
    );
    play.asks("a", "mic");
    play.asks("b", "mic");
    expect(play.says("chair", { type: "floor-revoke", ...of("a") })).toBe("FORBIDDEN");
    expect(play.says("chair", { type: "floor-deny", ...of("b") })).toBe("floor-denied");
  });

  it("can be a floor itself: held, handed over, and shared", () => {
    with_({ chair: { capacity: 2 }, mic: { policy: "chair", chair: "chair" } }).join("a", "b", "c");
    play.asks("a", "chair");
    play.asks("c", "mic");
    expect(play.pending("mic")).toEqual(["c"]);
    expect(play.says("b", { type: "floor-grant", ...of("c") })).toBe("FORBIDDEN");
    play.says("a", { type: "floor-pass", floor: "chair", fence: play.fence("a", "chair"), member: memberId("b") });
    expect(play.says("a", { type: "floor-grant", ...of("c") })).toBe("FORBIDDEN");
    expect(play.says("b", { type: "floor-grant", ...of("c") })).toBe("floor-granted");
    play.asks("a", "chair");
    expect(chairsOf(play.state, "mic").map(({ id }) => id)).toEqual(["a", "b"]);
  });

  it("that is absent: requests wait, or are treated as by queue, or are denied, as the policy says", () => {
    for (const [unchaired, alone, pendingThen] of [
      ["wait", "floor-requested", ["a"]],
      ["queue", "floor-requested floor-granted", []],
      ["deny", "FLOOR_DENIED", []],
    ] as const) {
      with_({ mic: { policy: "chair", unchaired } }).join("a", "chair");
      play.drops("chair");
      expect(play.asks("a", "mic")).toBe(alone);
      expect(play.pending("mic")).toEqual(pendingThen);
    }
  });

  it("that goes leaves its open requests to the policy, however it goes", () => {
    const goes = [
      () => play.drops("chair"),
      () => play.says("chair", { type: "release" }),
      () => play.server({ type: "remove", member: memberId("chair"), how: "removed" }),
    ];
    for (const go of goes) {
      with_({ mic: { policy: "chair", unchaired: "queue" } }).join("a", "chair");
      play.asks("a", "mic");
      go();
      expect(play.holders("mic")).toEqual(["a"]);
    }
    with_({ seat: {}, mic: { policy: "chair", chair: "seat", unchaired: "deny" } }).join("a", "b");
    play.asks("b", "seat");
    play.asks("a", "mic");
    play.releases("b", "seat");
    expect(play.last("floor-denied")).toMatchObject({ member: "a", reason: "no chair is here" });
  });
});

describe("a policy that changes in mid-session", () => {
  const change = (options: Parameters<typeof configFault>[0]): string =>
    play.says("chair", { type: "floor-configure", floor: "mic", change: options });

  it("takes the floor from the newest holders beyond a smaller capacity, and gives what a larger one has room for", () => {
    with_({ mic: { capacity: 3 } }).join("a", "b", "c", "d", "chair");
    for (const name of ["a", "b", "c", "d"]) play.asks(name, "mic");
    expect(change({ capacity: 1 })).toBe("floor-configured floor-revoked floor-revoked");
    expect(play.holders("mic")).toEqual(["a"]);
    play.lapses();
    expect(play.holders("mic")).toEqual(["a"]);
    expect(change({ capacity: 2 })).toBe("floor-configured floor-granted");
    expect(play.holders("mic")).toEqual(["a", "d"]);
  });

  it("accepts what waits for a chair that is no longer asked, and takes back what waits where nobody may", () => {
    with_({ mic: { policy: "chair" } }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic");
    expect(change({ policy: "queue" })).toBe("floor-configured floor-accepted floor-accepted floor-granted");
    expect(change({ policy: "first-come" })).toBe("floor-configured floor-cancelled");
    expect(play.last("floor-cancelled")).toMatchObject({ member: "b", reason: "configured" });
    expect(play.holders("mic")).toEqual(["a"]);
  });

  it("orders anew who waits, and lets those finish who hold", () => {
    with_({ mic: { maxHold: 60_000 } }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic", { priority: -1 });
    play.asks("chair", "mic", { priority: 1 });
    const { expiresAt } = play.last("floor-granted") ?? {};
    expect(change({ order: "priority", maxHold: null, maxQueue: 0 })).toBe("floor-configured");
    expect(play.queue("mic")).toEqual(["chair", "b"]);
    expect(play.state.floors.get("mic")?.holders[0]?.expiresAt).toBe(expiresAt);
    play.releases("a", "mic");
    expect(play.last("floor-granted")?.expiresAt).toBeUndefined();
  });

  it("is refused if it makes no sense", () => {
    with_({ mic: {} }).join("chair");
    for (const wrong of [
      { capacity: 0 },
      { capacity: 1.5 },
      { grace: 1 },
      { policy: "anarchy" },
      { preempt: true },
      { grace: 1e12 },
      { preempt: true, order: "priority", advance: false },
      { maxHold: 10, warning: 20 },
      { chair: "me" },
      { colour: "red" },
      { maxQueue: Number.NaN },
    ])
      expect(change(wrong)).toBe("FLOOR_CONFIG_INVALID");
    expect(play.says("chair", { type: "floor-configure", floor: "none", change: {} })).toBe("FLOOR_UNKNOWN");
  });

  it("survives in a snapshot, and ends with the floor when the server's options no longer have it", () => {
    with_({ mic: {}, other: {} }).join("a", "b", "chair");
    change({ capacity: 2 });
    for (const name of ["a", "b"]) play.asks(name, "mic");
    const { other } = play.state.config.floors;
    play.server({ type: "configure", config: { ...play.state.config, floors: other === undefined ? {} : { other } } });
    expect(play.holders("mic")).toEqual([]);
    expect(play.asks("a", "mic")).toBe("FLOOR_UNKNOWN");
    play.lapses();
    expect(play.state.floors.get("mic")?.holders).toEqual([]);
  });
});

it("a chair's end and a request's time, due at once, are told in order: nobody is granted and timed out", () => {
  with_({ seat: { maxHold: 500, warning: 0 }, mic: { policy: "chair", chair: "seat", unchaired: "queue" } }).join(
    "a",
    "b",
  );
  play.asks("b", "seat");
  play.asks("a", "mic", { within: 499 });
  play.waits(600);
  const ends = play.log.filter((entry) => "member" in entry && entry.member === "a" && entry.type !== "joined");
  const last = ends.at(-1)?.type;
  expect(last).toBe(play.holders("mic").length === 1 ? "floor-granted" : "floor-cancelled");
});

it("floors with a name of their own are there however many cells are in use", () => {
  with_({ mic: {}, "cell:*": {} }, { maxFloors: 2 }).join("a", "b");
  for (const cell of ["cell:1", "cell:2"]) play.asks("a", cell);
  expect(play.asks("a", "cell:3")).toBe("FLOOR_LIMIT");
  expect(play.asks("b", "mic")).toBe("floor-requested floor-granted");
});

it("a deputy who may grant is a chair to those who wait for one", () => {
  with_(
    { mic: { policy: "chair", unchaired: "deny" } },
    { roles: { member: ["floor"], chair: ["floor", "grant:mic"] } },
  ).join("a", "chair");
  expect(play.asks("a", "mic")).toBe("floor-requested");
  expect(play.pending("mic")).toEqual(["a"]);
});

describe("what was", () => {
  it("is counted: requests, waits, holds, how turns ended, who spoke for how long", () => {
    with_({ mic: {} }).join("a", "b", "chair");
    play.asks("a", "mic");
    play.asks("b", "mic");
    play.waits(998);
    play.releases("a", "mic");
    play.waits(498);
    play.says("chair", { type: "floor-revoke", floor: "mic", member: memberId("b"), reason: "time" });
    play.lapses();
    const { counts, turns, talk } = play.state.floors.get("mic") ?? {};
    expect(counts).toMatchObject({ requests: 2, granted: 2, ended: { released: 1, revoked: 1 }, waitedMs: 999 });
    expect(counts?.heldMs).toBe(1_000 + 499);
    expect(talk).toEqual([
      ["a", 1_000],
      ["b", 499],
    ]);
    expect(turns).toMatchObject([
      { member: "a", ended: "released" },
      { member: "b", ended: "revoked" },
    ]);
    expect(play.last("floor-revoked")?.note).toBe("time");
  });

  it("does not grow without end", () => {
    with_({ mic: {} }).join("a");
    for (let turn = 0; turn < 100; turn += 1) {
      play.asks("a", "mic");
      play.releases("a", "mic");
    }
    expect(play.state.floors.get("mic")?.turns).toHaveLength(32);
    expect(play.state.floors.get("mic")?.talk).toHaveLength(1);
  });
});
