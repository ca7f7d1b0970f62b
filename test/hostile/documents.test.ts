/** What members that do not play by the rules can do to documents, and to who has them open. */

import type { Item, ServerFrame } from "@rostrum/protocol";
import { fromPacket, sessionId } from "@rostrum/protocol";
import { editDoc, readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { afterEach, describe, expect, it } from "vitest";
import { Replica } from "../../packages/yjs/src/server/replica.fixture.ts";
import { type Place, serve } from "../node/place.ts";
import { RawMember } from "../node/raw.ts";
import { Wire } from "./wire.ts";

const wires: Wire[] = [];
afterEach(async () => {
  for (const wire of wires.splice(0)) await wire.close();
});

/** Users are who they say; the first letter of their name says what they may. */
const roles = {
  all: ["*"],
  blind: ["edit:other", "read:other", "restore:other", "emit", "volatile", "minor"],
  reader: ["read", "volatile"],
};
const place = (more: object = {}): Promise<Place> =>
  serve({
    documents: yjsDocuments(),
    roles,
    authenticate: ({ auth }) => ({ user: String(auth), roles: [String(auth).split(":")[0] ?? "all"] }),
    ...more,
  });

const features = ["activities", "sync", "documents"];
const join = (url: string, user: string, more: object = {}): Promise<RawMember> =>
  RawMember.join(url, { features, auth: user, ...more });

const says = (member: RawMember, item: Item): Promise<unknown> => member.command({ type: "messages", items: [item] });

/** When everything that was sent before has been dealt with. */
const settled = async (member: RawMember): Promise<void> => {
  expect(await member.command({ type: "messages", items: [["mark"]] })).toBeTypeOf("number");
};

const secret = "the secret";
const knows = (heard: readonly ServerFrame[]): boolean =>
  JSON.stringify(heard, (_, value: unknown) =>
    value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
  ).includes(secret);

describe("who may not read a document", () => {
  it("learns nothing of it, by whatever way", async () => {
    const { url, sessions } = await place();
    const ada = await join(url, "all:ada");
    const eve = await join(url, "blind:eve", { documents: ["notes"], history: { last: 100 } });
    const a = new Replica("notes");
    ada.send({ type: "document-open", session: "s", document: "notes" });
    eve.send({ type: "document-open", session: "s", document: "notes" });
    await says(ada, a.type(secret));
    await says(eve, new Replica("other").type("mine"));
    const point = await eve.command({ type: "sync-minor" });
    if (typeof point !== "number") throw new Error(point);
    await editDoc(sessions.get("s"), "notes", (doc) => doc.getText("t").insert(0, secret));
    ada.send({ type: "volatile", session: "s", event: "@aware/notes", args: [secret] });
    ada.send({ type: "volatile", session: "s", event: "@aware/notes", args: [secret], to: [eve.id] });
    for (const more of [{}, { point }, { lineage: 0, after: 0 }, { vector: Uint8Array.of(0) }])
      eve.send({ type: "document-open", session: "s", document: "notes", ...more });
    expect(await eve.command({ type: "document-restore", document: "other", from: "notes", point })).toBe("FORBIDDEN");
    expect(await eve.command({ type: "document-restore", document: "notes", point })).toBe("FORBIDDEN");
    expect(await says(eve, new Replica("notes").type("x"))).toBe("FORBIDDEN");
    await settled(eve);
    const again = await eve.resume(url, { features, auth: "blind:eve", documents: ["notes", "other"] });
    const anew = await join(url, "blind:eve", { documents: ["notes"], history: { last: 100 } });
    await says(ada, a.type(secret));
    await settled(again);
    await settled(anew);
    for (const each of [eve, again, anew]) {
      expect(each.all("document-state")).toEqual([]);
      expect(knows(each.heard)).toBe(false);
    }
    expect(eve.all("document-refused").map(({ error }) => error.code)).toEqual(Array(5).fill("FORBIDDEN"));
    expect(knows(ada.heard) || ada.all("document-state").length > 0).toBe(true);
  });

  it("learns nothing any more when it comes back with other roles", async () => {
    const { url } = await place();
    const ada = await join(url, "all:ada");
    const eve = await join(url, "all:eve", { documents: ["notes"] });
    await settled(eve);
    let role = "all";
    const other = await serve({
      documents: yjsDocuments(),
      roles,
      authenticate: ({ auth }) => ({ user: String(auth), roles: [String(auth) === "eve" ? role : "all"] }),
    });
    const before = await join(other.url, "eve", { documents: ["notes"] });
    const bob = await join(other.url, "bob");
    const b = new Replica("notes");
    await says(bob, b.type("open to all"));
    await before.until(() => before.entries("messages")[0]);
    role = "blind";
    const after = await before.resume(other.url, { features, auth: "eve", documents: ["notes"] });
    await says(bob, b.type(secret));
    await settled(after);
    expect(knows(after.heard)).toBe(false);
    ada.cut();
  });
});

describe("who may not edit a document", () => {
  it("changes nothing, by whatever way", async () => {
    const { url, sessions } = await place({ guards: { "@doc/notes": "pen" }, floors: { pen: { policy: "queue" } } });
    const ada = await join(url, "all:ada");
    const eve = await join(url, "all:eve");
    const rita = await join(url, "reader:rita");
    await ada.command({ type: "floor-request", floor: "pen" });
    const { offset: fence } = await ada.entry("floor-granted");
    const a = new Replica("notes");
    const first = a.type("hers");
    expect(await ada.command({ type: "messages", items: [first], fence })).toBeTypeOf("number");
    const point = await ada.command({ type: "sync-minor" });
    if (typeof point !== "number") throw new Error(point);
    expect(await ada.command({ type: "messages", items: [a.type(", all of it")], fence })).toBeTypeOf("number");
    const mine = (): Item => new Replica("notes").type("mine");
    const attempts = [
      eve.command({ type: "messages", items: [mine()] }),
      eve.command({ type: "messages", items: [mine()], fence }),
      eve.command({ type: "messages", items: [mine()], to: [eve.id as never] }),
      eve.command({ type: "document-restore", document: "notes", point }),
      rita.command({ type: "document-restore", document: "notes", point }),
      rita.command({ type: "messages", items: [mine()], fence }),
    ];
    for (const outcome of await Promise.all(attempts)) expect(["FLOOR_NOT_HELD", "FORBIDDEN"]).toContain(outcome);
    // In one batch with the end of the grant, and under a fence that is over.
    ada.send({
      type: "commands",
      session: "s",
      seq: 5,
      commands: [
        { type: "floor-release", floor: "pen", fence },
        { type: "messages", items: [a.type(" and more")], fence },
      ],
    });
    await ada.until(() => ada.all("refused").find(({ seq }) => seq === 6));
    eve.send({ type: "volatile", session: "s", event: "@doc/notes", args: first.slice(1) });
    await settled(eve);
    expect((await readDoc(sessions.get("s"), "notes")).getText("t").toString()).toBe("hers, all of it");
  });
});

describe("a client that asks", () => {
  it("for much and reads none of it has the server hold no more than a few pieces", async () => {
    const wire = await Wire.open({ documents: yjsDocuments() });
    wires.push(wire);
    const names = Array.from({ length: 40 }, (_, index) => `d${index}`);
    for (const name of names)
      await editDoc(wire.sessions.get(sessionId("s")), name, (doc) => doc.getText("t").insert(0, "x".repeat(300_000)));
    const socket = await wire.dial();
    const heard: ServerFrame[] = [];
    socket.on("rostrum", (...packet: [unknown, unknown, unknown]) =>
      heard.push(...(fromPacket(...packet) as readonly ServerFrame[])),
    );
    socket.emit("rostrum", [
      { type: "open", session: "s", versions: [1], features: ["documents"], required: [], instance: "i" },
    ]);
    await expect.poll(() => heard.some(({ type }) => type === "opened")).toBe(true);
    const [server] = [...wire.io.sockets.sockets.values()];
    if (server === undefined) throw new Error("it is not there");
    let handed = 0;
    const { conn } = server;
    const write = conn.write.bind(conn);
    conn.write = (data, ...more) => {
      handed += typeof data === "string" ? 0 : (data as Uint8Array).byteLength;
      return write(data, ...more);
    };
    // It reads nothing from here on.
    const { ws } = (socket.io.engine as unknown as { transport: { ws: { pause(): void; resume(): void } } }).transport;
    ws.pause();
    for (let round = 0; round < 5; round += 1) {
      for (const document of names)
        socket.emit("rostrum", [
          { type: "document-close", session: "s", document },
          { type: "document-open", session: "s", document },
        ]);
      // Another client is answered when all of that has been looked at.
      const other = await wire.dial();
      const pongs: unknown[] = [];
      other.on("rostrum", (got: unknown) => pongs.push(got));
      for (let n = 0; n < 20; n += 1) {
        other.emit("rostrum", [{ type: "ping", n }]);
        await expect.poll(() => pongs.length).toBe(n + 1);
      }
    }
    ws.resume();
    // Two hundred answers were asked for, sixty megabytes; what the network itself takes up is a few.
    expect(handed).toBeLessThan(20_000_000);
  });
});
