/** Documents over real sockets, as apps use them: `bindDoc` here, the server's half there. */

import { type Client, type ClientOptions, memoryStorage, type Session } from "@rostrum/client";
import type { SessionsOptions } from "@rostrum/server";
import { bindDoc, type DocBinding, type DocOptions, type Replaced } from "@rostrum/yjs";
import { editDoc, readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { behind, join, type Place, quick, serve } from "./place.ts";

const place = (options: Partial<SessionsOptions> = {}): Promise<Place> =>
  serve({ documents: yjsDocuments(), ...options });

interface Desk {
  readonly client: Client;
  readonly session: Session;
  readonly notes: DocBinding;
  readonly replaced: Replaced[];
}

/** Somebody at a document. */
const sit = (url: string, options: ClientOptions = {}, more: DocOptions = {}): Desk => {
  const client = join(url, options);
  const session = client.session("s");
  const notes = bindDoc(session, "notes", more);
  const replaced: Replaced[] = [];
  notes.on("replaced", (event) => void replaced.push(event));
  return { client, session, notes, replaced };
};

const text = ({ notes }: Pick<Desk, "notes">): string => notes.doc.getText("t").toString();
const type = ({ notes }: Desk, what: string): void => {
  const t = notes.doc.getText("t");
  t.insert(t.length, what);
};

describe("a document", () => {
  it("is the same for all who are at it", async () => {
    const { url, sessions } = await place();
    const ada = sit(url);
    const bob = sit(url);
    await Promise.all([ada.notes.whenSynced, bob.notes.whenSynced]);
    type(ada, "hello");
    expect(ada.notes.status.get()).toMatchObject({ saved: false, pending: 1 });
    await ada.notes.flush();
    expect(ada.notes.status.get()).toMatchObject({ saved: true, pending: 0, synced: true, loaded: "server" });
    await expect.poll(() => text(bob)).toBe("hello");
    type(bob, ", world");
    await bob.notes.flush();
    await expect.poll(() => text(ada)).toBe("hello, world");
    await editDoc(sessions.get("s"), "notes", (doc) => doc.getText("t").insert(0, "> "));
    await expect.poll(() => text(ada)).toBe("> hello, world");
    const late = sit(url);
    await late.notes.whenLoaded;
    expect(text(late)).toBe("> hello, world");
    expect((await readDoc(sessions.get("s"), "notes")).getText("t").toString()).toBe("> hello, world");
    expect([...ada.replaced, ...bob.replaced]).toEqual([]);
  });

  it("is edited before anything is known, and without a connection", async () => {
    const { url } = await place();
    const bob = sit(url);
    type(bob, "there");
    await bob.notes.flush();
    const ada = sit(url);
    // Nothing has come yet.
    type(ada, "here");
    await ada.notes.flush();
    expect([...text(ada)].sort().join("")).toBe([..."therehere"].sort().join(""));
    await expect.poll(() => text(bob)).toBe(text(ada));
  });

  it("is kept on the device, and stands there before the network answers", async () => {
    const there = await place();
    const { url } = there;
    const storage = memoryStorage();
    const ada = sit(url, { storage });
    type(ada, "kept");
    await ada.notes.flush();
    await ada.notes.whenSynced;
    ada.client.close();
    const proxy = await behind(there);
    proxy.set({ kind: "off" });
    const again = sit(proxy.url, { storage });
    await again.notes.whenLoaded;
    expect(text(again)).toBe("kept");
    expect(again.notes.status.get()).toMatchObject({ loaded: "device", synced: false });
    type(again, " and more");
    proxy.set({ kind: "ok" });
    await again.notes.flush();
    const bob = sit(url);
    await bob.notes.whenSynced;
    expect(text(bob)).toBe("kept and more");
  });
});

describe("who may not edit", () => {
  it("is shown so, and what is typed all the same is undone and kept", async () => {
    const { url } = await place({
      authenticate: ({ auth }) => ({ user: String(auth), roles: [auth === "bob" ? "reader" : "member"] }),
      roles: { member: ["*"], reader: ["read:notes", "volatile"] },
    });
    const ada = sit(url, { auth: () => "ada" });
    const bob = sit(url, { auth: () => "bob" });
    await Promise.all([ada.notes.whenSynced, bob.notes.whenSynced]);
    expect(ada.notes.writable.get()).toEqual({ can: true });
    expect(bob.notes.writable.get()).toEqual({ can: false, why: "role" });
    type(ada, "hers");
    await expect.poll(() => text(bob)).toBe("hers");
    type(bob, " his");
    await expect(bob.notes.flush()).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect.poll(() => bob.replaced.map(({ reason }) => reason)).toEqual(["refused"]);
    expect([text(bob), text(ada)]).toEqual(["hers", "hers"]);
    expect(bob.notes.drafts.get()[0]?.view().getText("t").toString()).toBe("hers his");
    const other = bindDoc(bob.session, "secret");
    await expect.poll(() => other.status.get().error?.code).toBe("FORBIDDEN");
  });

  it("gets back what dead tabs had typed while they still might", async () => {
    let role = "member";
    const there = await place({
      authenticate: ({ auth }) => ({ user: String(auth), roles: [role] }),
      roles: { member: ["*"], reader: ["read", "volatile"] },
    });
    const proxy = await behind(there);
    const storage = memoryStorage();
    const tabs = [1, 2].map(() => sit(proxy.url, { auth: () => "ada", storage }));
    await Promise.all(tabs.map(({ notes }) => notes.whenSynced));
    proxy.set({ kind: "off" });
    for (const [index, tab] of tabs.entries()) {
      type(tab, `tab ${index}`);
      await tab.session.emit("note", "after it").queued;
      tab.client.close();
    }
    role = "reader";
    proxy.set({ kind: "ok" });
    // It takes one of them up as its own, and sends for the other.
    const next = sit(there.url, { auth: () => "ada", storage });
    const drafts = (): readonly string[] =>
      next.notes.drafts
        .get()
        .map((draft) => draft.view().getText("t").toString())
        .sort();
    await expect.poll(drafts).toEqual(["tab 0", "tab 1"]);
    expect(text(next)).toBe("");
  });

  it("may with the floor, and hands over what it has before it goes", async () => {
    const { url } = await place({ floors: { pen: {} }, guards: { "@doc/notes": "pen" } });
    const ada = sit(url);
    const bob = sit(url);
    await Promise.all([ada.notes.whenSynced, bob.notes.whenSynced]);
    expect(ada.notes.writable.get()).toEqual({ can: false, why: "floor", floor: "pen" });
    const grant = await ada.session.floor("pen").request();
    await expect.poll(() => ada.notes.writable.get()).toEqual({ can: true });
    for (const letter of "abc") type(ada, letter);
    type(bob, "no");
    const next = bob.session.floor("pen").request();
    type(ada, "d");
    await grant.release();
    await next;
    type(bob, "e");
    await bob.notes.flush();
    await expect.poll(() => text(ada)).toBe("abcde");
    expect(ada.replaced).toEqual([]);
    expect(bob.replaced.map(({ reason, draft }) => [reason, draft?.code])).toEqual([["refused", "FLOOR_NOT_HELD"]]);
  });
});

describe("versions", () => {
  it("are saved, looked at, compared and brought back for everybody", async () => {
    const { url } = await place();
    const ada = sit(url);
    const bob = sit(url);
    await Promise.all([ada.notes.whenSynced, bob.notes.whenSynced]);
    type(ada, "first");
    const version = await ada.notes.versions.save("v1");
    type(ada, " second");
    await ada.notes.flush();
    await expect.poll(() => bob.notes.versions.get().map(({ name }) => name)).toEqual(["v1"]);
    expect((await bob.notes.versions.preview(version)).getText("t").toString()).toBe("first");
    await expect.poll(() => text(bob)).toBe("first second");
    const { before, after } = await bob.notes.versions.compare(version, "now");
    expect([before.getText("t").toString(), after.getText("t").toString()]).toEqual(["first", "first second"]);
    await bob.notes.versions.restore(version, { as: "copy" });
    const copy = bindDoc(ada.session, "copy");
    await copy.whenSynced;
    expect(copy.doc.getText("t").toString()).toBe("first");
    await bob.notes.versions.restore(version);
    await expect.poll(() => [text(ada), text(bob)]).toEqual(["first", "first"]);
    expect([...ada.replaced, ...bob.replaced].map(({ reason, draft }) => [reason, draft])).toEqual([
      ["restored", undefined],
      ["restored", undefined],
    ]);
    type(ada, " third");
    await ada.notes.flush();
    await expect.poll(() => text(bob)).toBe("first third");
    await expect(ada.notes.versions.preview({ point: 1 })).rejects.toMatchObject({ code: "SYNC_UNKNOWN" });
  });

  it("are those to which the session goes back", async () => {
    const { url } = await place();
    const ada = sit(url);
    const bob = sit(url);
    await Promise.all([ada.notes.whenSynced, bob.notes.whenSynced]);
    type(ada, "first");
    await ada.session.sync.minor({ name: "v1" });
    type(ada, " second");
    await ada.notes.flush();
    await ada.session.sync.restart("v1");
    await expect.poll(() => [text(ada), text(bob)]).toEqual(["first", "first"]);
    type(bob, " other");
    await bob.notes.flush();
    await expect.poll(() => text(ada)).toBe("first other");
  });
});

describe("a large document", () => {
  it("comes in pieces, while other things go on", async () => {
    const { url } = await place();
    const ada = sit(url);
    await ada.notes.whenSynced;
    for (let n = 0; n < 12; n += 1) {
      type(ada, String.fromCharCode(97 + n).repeat(200_000));
      await ada.notes.flush();
    }
    const bob = sit(url);
    await bob.notes.whenSynced;
    expect(text(bob)).toBe(text(ada));
    expect(text(bob).length).toBe(2_400_000);
  });
});

describe("awareness", () => {
  it("is seen by others, and gone with its member", async () => {
    const { url } = await place();
    const ada = sit(url);
    await ada.notes.whenSynced;
    ada.notes.awareness.setLocalStateField("cursor", 1);
    const bob = sit(url);
    bob.notes.awareness.setLocalStateField("cursor", 2);
    await bob.notes.whenSynced;
    const cursors = ({ notes }: Desk): readonly unknown[] =>
      [...notes.awareness.getStates().values()].map((state) => state["cursor"]).sort();
    await expect
      .poll(() => [cursors(ada), cursors(bob)])
      .toEqual([
        [1, 2],
        [1, 2],
      ]);
    expect(ada.notes.memberOf(bob.notes.awareness.clientID)).toBe(bob.session.member);
    await bob.session.release();
    await expect.poll(() => cursors(ada)).toEqual([1]);
  });
});

describe("whatever the connections do", () => {
  it("all have the same in the end", async () => {
    const there = await place();
    const proxies = await Promise.all([0, 1, 2].map(() => behind(there)));
    const desks = proxies.map(({ url }) => sit(url, { heartbeat: quick }));
    await Promise.all(desks.map(({ notes }) => notes.whenSynced));
    const version = await desks[0]?.notes.versions.save("v1");
    let state = 7;
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const words: string[] = [];
    for (let round = 0; round < 150; round += 1) {
      const desk = desks[random(3)] as Desk;
      const t = desk.notes.doc.getText("t");
      const what = random(20);
      if (what === 0) proxies[random(3)]?.cut();
      else if (what === 1) proxies[random(3)]?.cutAfterBytes(random(2_000), random(2) === 0 ? "up" : "down");
      else if (what === 2 && t.length > 0) t.delete(random(t.length), 1);
      else if (what === 3 && round === 70 && version !== undefined)
        await desk.notes.versions.restore(version).catch(() => {});
      else {
        words.push(`<${round}>`);
        t.insert(random(t.length + 1), `<${round}>`);
      }
      if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, random(20)));
    }
    await Promise.all(desks.map(({ notes }) => notes.flush().catch(() => {})));
    await expect
      .poll(() => desks.every(({ notes }) => notes.status.get().synced && notes.status.get().saved), {
        timeout: 20_000,
      })
      .toBe(true);
    const server = await readDoc(there.sessions.get("s"), "notes");
    await expect
      .poll(() => desks.map(text), { timeout: 10_000 })
      .toEqual(Array(3).fill(server.getText("t").toString()));
    for (const { notes } of desks) {
      expect(Y.equalSnapshots(Y.snapshot(notes.doc), Y.snapshot(server))).toBe(true);
      expect([notes.doc.store.pendingStructs, notes.doc.store.pendingDs]).toEqual([null, null]);
      expect(notes.drafts.get()).toEqual([]);
    }
  }, 60_000);
});

describe("a binding", () => {
  it("refuses a document of another Yjs, and says why", async () => {
    const { url } = await place();
    const session = join(url).session("s");
    const warnings: string[] = [];
    session.on("warning", ({ code }) => void warnings.push(code));
    const files = ["yjs.cjs", "yjs.mjs"].map(
      (name) => new URL(`dist/${name}`, import.meta.resolve("yjs/package.json")),
    );
    const copies = await Promise.all(files.map(async ({ href }) => (await import(href)) as typeof Y));
    const other = copies.find(({ Doc }) => Doc !== Y.Doc) as typeof Y;
    expect(() => bindDoc(session, "notes", { create: () => new other.Doc() })).toThrow(
      expect.objectContaining({ code: "YJS_TWICE" }),
    );
    expect(warnings).toContain("YJS_TWICE");
  });

  it("is the same each time, until it is destroyed", async () => {
    const { url } = await place();
    const ada = sit(url);
    expect(bindDoc(ada.session, "notes")).toBe(ada.notes);
    await ada.notes.whenSynced;
    type(ada, "x");
    ada.notes.destroy();
    const again = bindDoc(ada.session, "notes");
    expect(again).not.toBe(ada.notes);
    await again.whenSynced;
    await expect.poll(() => again.doc.getText("t").toString()).toBe("x");
    expect(() => bindDoc(ada.session, "")).toThrow(expect.objectContaining({ code: "USAGE" }));
    const waiting = bindDoc(ada.session, "other").whenSynced;
    ada.client.close();
    await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
    expect(() => bindDoc(ada.session, "third")).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });

  it("does not keep a process or a server waiting that keeps no documents", async () => {
    const { url } = await serve();
    const ada = sit(url);
    await expect.poll(() => ada.notes.status.get().error?.code).toBe("FEATURE_MISSING");
    expect(ada.notes.status.get()).toMatchObject({ synced: false });
  });
});
