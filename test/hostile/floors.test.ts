/** Members who do not play by the rules of floors: nothing but typed refusals, and the floor stays whole. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Entry, floorOf, type MemberCommand, memberId, type ServerFrame } from "@rostrum/protocol";
import { Scheduler } from "@rostrum/testing";
import type { Socket } from "socket.io-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answers, opened, refusals, Wire } from "./wire.ts";

describe("a floor among the hostile", () => {
  let wire: Wire;
  beforeEach(async () => {
    wire = await Wire.open({
      authenticate: ({ auth }) => ({ user: String(auth), roles: [auth === "chair" ? "chair" : "member"] }),
      roles: { member: ["emit", "floor"], chair: ["*"] },
      floors: { mic: { maxQueue: 2 }, "cell:*": {} },
      guards: { speak: "mic" },
      limits: { floors: 50, rate: 1e6, burst: 1e6 },
    });
  });
  afterEach(() => wire.close());

  interface Member {
    readonly id: string;
    readonly socket: Socket;
    readonly heard: ServerFrame[];
    readonly say: (...commands: MemberCommand[]) => void;
    readonly answered: (count: number) => Promise<void>;
  }

  const enter = async (name: string): Promise<Member> => {
    const socket = await wire.dial();
    const heard = answers(socket);
    const { member: id } = await opened(socket, heard, { instance: name, auth: name });
    let seq = 0;
    // What it is told it processes: else the server would wait for its credit.
    socket.on("rostrum", (frames: readonly ServerFrame[]) => {
      for (const frame of frames)
        if (frame.type === "entries") socket.emit("rostrum", [{ type: "processed", session: "s", offset: frame.upTo }]);
    });
    return {
      id,
      socket,
      heard,
      say: (...commands) => {
        for (const command of commands)
          socket.emit("rostrum", [{ type: "commands", session: "s", seq: (seq += 1), commands: [command] }]);
      },
      answered: (count) =>
        expect
          .poll(() => refusals(heard).length, { timeout: 20_000 })
          .toBe(count)
          .then(() => {}),
    };
  };
  const mic = async (): Promise<ReturnType<typeof floorOf>> => floorOf(await wire.sessions.get("s").state(), "mic");

  it("refuses foreign grants, forged fences, a chair's verbs and floors that are not there, each with its code", async () => {
    const holder = await enter("holder");
    const thief = await enter("thief");
    holder.say({ type: "floor-request", floor: "mic" });
    await expect.poll(async () => (await mic()).holders).toHaveLength(1);
    const before = await mic();
    const fence = before.holders[0]?.fence ?? 0;
    const member = memberId(holder.id);
    thief.say(
      { type: "floor-release", floor: "mic", fence },
      { type: "floor-pass", floor: "mic", fence, member: memberId(thief.id) },
      { type: "messages", items: [["speak", 1]], fence },
      { type: "floor-revoke", floor: "mic", member },
      { type: "floor-take", floor: "mic" },
      { type: "floor-give", floor: "mic", member: memberId(thief.id) },
      { type: "floor-configure", floor: "mic", change: { capacity: 99 } },
      { type: "floor-request", floor: "mic", for: member },
      { type: "floor-request", floor: "mic", priority: 2 },
      { type: "floor-request", floor: "nowhere" },
      { type: "floor-request", floor: "constructor" },
      { type: "floor-cancel", floor: "mic", for: member },
      { type: "propose", subject: { kind: "release" } },
    );
    await thief.answered(13);
    expect(refusals(thief.heard)).toEqual([
      "FLOOR_NOT_HELD",
      "FLOOR_NOT_HELD",
      "FLOOR_NOT_HELD",
      "FORBIDDEN",
      "FORBIDDEN",
      "FORBIDDEN",
      "FORBIDDEN",
      "FORBIDDEN",
      "FORBIDDEN",
      "FLOOR_UNKNOWN",
      "FLOOR_UNKNOWN",
      "FLOOR_NOT_REQUESTED",
      "FORBIDDEN",
    ]);
    expect(await mic()).toEqual(before);
  });

  it("goes on under a flood of releases, requests and cancels, with the floor intact and memory flat", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const holder = await enter("holder");
    holder.say({ type: "floor-request", floor: "mic" });
    await expect.poll(async () => (await mic()).holders).toHaveLength(1);
    const fence = (await mic()).holders[0]?.fence ?? 0;
    const chance = new Scheduler(11);
    const hostile = [await enter("x"), await enter("y"), await enter("z")];
    const flood = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        for (const member of hostile) {
          for (let each = 0; each < 40; each += 1) {
            const floor = chance.pick(["mic", "mic", "mic", `cell:${chance.between(0, 200)}`]) ?? "mic";
            const command = chance.pick<MemberCommand>([
              { type: "floor-release", floor, fence: chance.pick([fence, 0, 2 ** 50, chance.between(0, 100)]) ?? 0 },
              { type: "floor-request", floor, reason: "x".repeat(400) },
              { type: "floor-request", floor, ifAvailable: true, within: 1 },
              { type: "floor-cancel", floor },
              { type: "messages", items: [["speak", 1]], fence },
            ]);
            if (command !== undefined) member.say(command);
          }
        }
        // Each waits until it was answered: the window is not what is tried here.
        await wire.sessions.get("s").state();
      }
      for (const { heard } of hostile) heard.length = 0;
      holder.heard.length = 0;
    };
    await flood(40);
    collect();
    const { heapUsed } = process.memoryUsage();
    await flood(160);
    collect();
    // The log is in memory here, and what was accepted stands in it; the state is what must not grow.
    const state = await wire.sessions.get("s").state();
    expect(state.floors.size).toBeLessThanOrEqual(50);
    expect(floorOf(state, "mic").holders).toMatchObject([{ member: holder.id, fence }]);
    expect(floorOf(state, "mic").queue.length).toBeLessThanOrEqual(2);
    expect(process.memoryUsage().heapUsed - heapUsed).toBeLessThan(40_000_000);
    holder.say({ type: "messages", items: [["speak", "still mine"]], fence });
    const said = (): readonly unknown[] =>
      holder.heard.flatMap((frame) =>
        frame.type === "entries"
          ? frame.entries.flatMap((entry: Entry) => (entry.type === "messages" ? entry.items : []))
          : [],
      );
    await expect.poll(said).toContainEqual(["speak", "still mine"]);
  });

  it("has a queue that is full for whoever comes too late", async () => {
    const members = await Promise.all(["a", "b", "c", "d"].map(enter));
    for (const member of members) {
      member.say({ type: "floor-request", floor: "mic" });
      await wire.sessions.get("s").state();
    }
    await expect.poll(() => members.flatMap(({ heard }) => refusals(heard))).toEqual(["FLOOR_QUEUE_FULL"]);
    expect((await mic()).queue).toHaveLength(2);
  });
});
