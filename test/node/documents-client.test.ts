/** Documents over real sockets, as apps use them: `bindDoc` here, the server's half there. */

import type { Client, ClientOptions, Session } from "@rostrum/client";
import type { SessionsOptions } from "@rostrum/server";
import { bindDoc, type DocBinding, type DocOptions, type Replaced } from "@rostrum/yjs";
import { editDoc, readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { describe, expect, it } from "vitest";
import { join, type Place, serve } from "./place.ts";

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
});
