import { afterEach, describe, expect, it } from "vitest";
import { defaultDialog, tokens } from "../config.ts";
import { memberId } from "../ids.ts";
import { Play } from "../play.fixture.ts";

let play: Play;
const begin = (...names: readonly string[]): void => {
  play = new Play({ mic: {} }, { dialog: { ...defaultDialog, typed: ["chat", "ui:*"], answerWithin: 1_000 } });
  play.join(...names);
};
afterEach(() => expect(play.isReproducible()).toBe(true));

const half = { type: "propose", subject: { kind: "dialog", mode: "half-duplex" } } as const;
const full = { type: "propose", subject: { kind: "dialog", mode: "full-duplex" } } as const;
const release = { type: "propose", subject: { kind: "release", reason: "all said" } } as const;
const answer = (name: string, accept = true, reason?: string): string =>
  play.says(name, {
    type: "answer",
    proposal: play.state.dialog.proposal?.id ?? 0,
    accept,
    ...(reason === undefined ? {} : { reason }),
  });

describe("a dialog mode", () => {
  it("changes when all have accepted, and who proposed half-duplex speaks first", () => {
    begin("a", "b", "c");
    expect(play.says("a", half)).toBe("proposed");
    expect(answer("b")).toBe("answered");
    expect(play.state.dialog.mode).toBe("full-duplex");
    expect(answer("c")).toBe("answered settled dialog-switched floor-granted");
    expect(play.state.dialog.mode).toBe("half-duplex");
    expect(play.emits("a", "say")).toBe("messages");
    expect(play.emits("b", "say")).toBe("FLOOR_NOT_HELD");
    // X.215: typed data needs no data token.
    expect(play.emits("b", "chat")).toBe("messages");
    expect(play.emits("b", "ui:cursor")).toBe("messages");
  });

  it("of half-duplex hands the turn over by passing the data token, or by asking for it", () => {
    begin("a", "b");
    play.says("a", half);
    answer("b");
    const pass = { type: "floor-pass", floor: tokens.data, fence: play.fence("a", tokens.data) } as const;
    play.asks("b", tokens.data);
    expect(play.says("a", { ...pass, member: memberId("b") })).toBe("floor-released floor-granted");
    expect(play.emits("b", "say")).toBe("messages");
    expect(play.emits("a", "say")).toBe("FLOOR_NOT_HELD");
  });

  it("of full duplex needs no token, and takes it from who has it", () => {
    begin("a", "b");
    play.says("a", half);
    answer("b");
    play.asks("b", tokens.data);
    play.says("b", full);
    expect(answer("a")).toBe("answered settled dialog-switched floor-cancelled floor-revoked");
    expect(play.emits("b", "say")).toBe("messages");
    expect(play.emits("a", "say")).toBe("messages");
  });

  it("stays as it is when one refuses, or does not answer in time", () => {
    begin("a", "b", "c");
    play.says("a", half);
    answer("b");
    expect(answer("c", false, "I am not done")).toBe("answered settled");
    expect(play.last("settled")).toMatchObject({ outcome: "refused", refusedBy: "c", reason: "I am not done" });
    play.says("a", half);
    answer("b");
    expect(play.waits(1_000)).toBe("settled");
    expect(play.last("settled")).toMatchObject({ outcome: "expired", missing: ["c"] });
    expect(play.state.dialog).toEqual({ mode: "full-duplex", proposal: null });
  });

  it("needs no answer of who has left, and has no proposal of who has", () => {
    begin("a", "b", "c");
    play.says("a", half);
    answer("b");
    expect(play.says("c", { type: "release" })).toBe("left settled dialog-switched floor-granted");
    play.join("d");
    play.says("a", full);
    play.says("a", { type: "abort" });
    expect(play.last("settled")).toMatchObject({ outcome: "withdrawn" });
    expect(play.state.dialog.mode).toBe("half-duplex");
  });

  it("waits for who dropped: a blip is no consent", () => {
    begin("a", "b");
    play.drops("b");
    expect(play.says("a", half)).toBe("proposed");
    expect(play.waits(1_000)).toBe("settled");
    expect(play.last("settled")).toMatchObject({ outcome: "expired", missing: ["b"] });
  });

  it("is proposed once at a time, and answered once by who was asked", () => {
    begin("a", "b", "c");
    expect(play.says("a", full)).toBe("PROPOSAL_IDLE");
    play.says("a", half);
    expect(play.says("b", half)).toBe("PROPOSAL_PENDING");
    expect(answer("a")).toBe("PROPOSAL_UNKNOWN");
    answer("b");
    expect(answer("b", false)).toBe("PROPOSAL_UNKNOWN");
    expect(play.says("b", { type: "answer", proposal: 9_999, accept: true })).toBe("PROPOSAL_UNKNOWN");
    const proposal = play.state.dialog.proposal?.id ?? 0;
    expect(play.says("b", { type: "withdraw", proposal })).toBe("PROPOSAL_UNKNOWN");
    expect(play.says("a", { type: "withdraw", proposal })).toBe("settled");
    expect(answer("c")).toBe("PROPOSAL_UNKNOWN");
  });

  it("is not for who may not negotiate, nor where nobody does", () => {
    play = new Play({}, { dialog: defaultDialog, roles: { member: ["emit"], chair: ["*"] } });
    play.join("a", "chair");
    expect(play.says("a", half)).toBe("FORBIDDEN");
    expect(play.says("chair", half)).toBe("proposed settled dialog-switched floor-granted");
    play = new Play({});
    play.join("a");
    expect(play.says("a", half)).toBe("FEATURE_MISSING");
    expect(play.asks("a", tokens.data)).toBe("FLOOR_UNKNOWN");
  });

  it("goes back to full duplex when the server's options no longer provide for a dialog", () => {
    begin("a", "b");
    play.says("a", half);
    answer("b");
    const { dialog: _, ...config } = play.state.config;
    play.server({ type: "configure", config });
    expect(play.state.dialog.mode).toBe("full-duplex");
    expect(play.emits("b", "say")).toBe("messages");
    expect(play.holders(tokens.data)).toEqual([]);
  });
});

it("switching to half-duplex gives the data token to the proposer once, whatever it held or waited for", () => {
  play = new Play({ [tokens.data]: { capacity: 2, policy: "chair" } }, { dialog: defaultDialog });
  play.join("a", "b");
  play.asks("a", tokens.data);
  play.says("a", half);
  answer("b");
  expect(play.holders(tokens.data)).toEqual(["a"]);
  expect(play.pending(tokens.data)).toEqual([]);
});

describe("a release", () => {
  it("is proposed by who holds the release token, and ends the session when all accept", () => {
    begin("a", "b");
    expect(play.says("a", release)).toBe("FLOOR_NOT_HELD");
    play.asks("a", tokens.release);
    expect(play.says("a", release)).toBe("proposed");
    expect(play.emits("b", "last words")).toBe("messages");
    expect(answer("b")).toBe("answered settled ended");
    expect(play.state.ended).toMatchObject({ reason: "all said" });
    expect(play.emits("b", "too late")).toBe("SESSION_ENDED");
  });

  it("that one refuses changes nothing: the session goes on", () => {
    begin("a", "b", "c");
    play.asks("a", tokens.release);
    play.says("a", release);
    answer("b");
    answer("c", false);
    expect(play.state.ended).toBeNull();
    expect(play.emits("c", "and another thing")).toBe("messages");
    expect(play.holders(tokens.release)).toEqual(["a"]);
    expect(play.says("a", release)).toBe("proposed");
  });
});

it("a sync-minor token reserves setting points for its holder, while somebody holds it", () => {
  begin("a", "b");
  expect(play.says("b", { type: "sync-minor" })).toBe("sync-point");
  play.asks("a", tokens.syncMinor);
  expect(play.says("b", { type: "sync-minor" })).toBe("FLOOR_NOT_HELD");
  expect(play.says("a", { type: "sync-minor" })).toBe("sync-point");
});
