/** The host by hand: cases that the simulated world once found, each told by itself. */

import {
  defaultConfig,
  defaultLimits,
  type Entry,
  emptyState,
  features,
  foldAll,
  type MemberCommand,
  memberId,
  type ServerFrame,
  sessionId,
  userId,
} from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { Host } from "./host.ts";
import { defaultRetention } from "./retention.ts";

const session = sessionId("s");
const at = 0;
const [a, b] = [memberId("a"), memberId("b")];
const beginning: readonly Entry[] = [
  {
    type: "opened",
    offset: 1,
    at,
    session,
    birth: "b",
    config: { ...defaultConfig, sync: { ...defaultConfig.sync, exception: "remove" } },
  },
  { type: "joined", offset: 2, at, member: a, user: userId("u"), roles: ["member"], node: "n" },
  { type: "joined", offset: 3, at, member: b, user: userId("u"), roles: ["member"], node: "n" },
];

/** A host over a log in memory; what it asks of the store is answered when it is let. */
class Server {
  readonly log: Entry[] = [...beginning];
  readonly frames: (readonly [string, ServerFrame])[] = [];
  readonly host: Host<string>;
  private readonly waiting: (() => void)[] = [];
  private reads = 0;
  /** The readings after the third take their time. */
  readonly slow: (() => void)[] = [];

  constructor() {
    const later = (run: () => void): void => void this.waiting.push(run);
    const { config } = foldAll(emptyState(session), beginning);
    this.host = new Host<string>(
      { session, node: "n", config, retention: { ...defaultRetention, count: 1e6 }, snapshotEvery: 1e6, flicker: 0 },
      {
        now: () => at,
        elapsed: () => 0,
        load: (done) => later(() => done({ snapshot: undefined, first: 1, head: this.log.at(-1)?.offset ?? 0 })),
        append: (_, entries, done) =>
          later(() => {
            this.log.push(...entries);
            later(() => done({ ok: true, first: entries[0]?.offset ?? 0, bytes: 1 }));
          }),
        read: (after, _, done) => {
          const read = (): void => done(this.log.filter(({ offset }) => offset > after));
          this.reads += 1;
          if (this.reads > 3) this.slow.push(read);
          else later(read);
        },
        snapshot: (_, done) => done(undefined),
        trim: () => {},
        defer: (then) => later(then),
        alarm: () => {},
        alive: () => true,
        newBirth: () => "e",
        newMember: () => memberId("x"),
        loaded: () => {},
        stored: () => {},
        failed: () => {},
        send: (to, frame) => void this.frames.push(...to.map((each) => [each, frame] as const)),
        broadcast: (frame) => void this.frames.push(["all", frame]),
        live: () => {},
        closed: (to, frame) => void this.frames.push([to, frame]),
        flushIn: () => later(() => this.host.audience.flush(this.host.current)),
        token: () => "t",
        terms: () => ({ version: 1, features, limits: defaultLimits }),
      },
    );
  }

  /** One thing after the other until nothing waits, or `most` of them. */
  run(most = 1_000): void {
    for (let count = 0; count < most && this.waiting.length > 0; count += 1) this.waiting.shift()?.();
  }

  resumes(connection: string, member: typeof a, incarnation: number): void {
    this.host.attach({
      connection,
      join: { type: "join", member, user: userId("u"), roles: ["member"], node: "n" },
      resume: { member, incarnation },
      cursor: { birth: "b", offset: 3 },
      history: undefined,
      accepted: () => true,
      refused: () => {},
    });
  }

  says(connection: string, seq: number, ...commands: readonly MemberCommand[]): void {
    this.host.commands(connection, seq, commands, () => {});
  }

  told(connection: string, type: ServerFrame["type"]): readonly ServerFrame[] {
    return this.frames.flatMap(([to, frame]) =>
      (to === connection || to === "all") && frame.type === type ? [frame] : [],
    );
  }
}

describe("a host", () => {
  it("reads on once, though two come with tokens newer than the log, and answers what it appends", () => {
    const server = new Server();
    // The log was restored from an older copy: it knows neither of these incarnations.
    server.resumes("one", a, 5);
    server.resumes("two", b, 5);
    server.run();
    expect(server.told("one", "opened")).toHaveLength(1);
    expect(server.told("two", "opened")).toHaveLength(1);
    server.says("one", 1, { type: "messages", items: [["note", 1]], to: [memberId("nobody")] });
    server.says("two", 1, { type: "messages", items: [["note", 1]] });
    // Decided, and being appended.
    server.run(1);
    for (const read of server.slow.splice(0)) read();
    server.run();
    expect(server.told("one", "refused")).toHaveLength(1);
  });

  it("tells who is put out that it was, though what it still sent is refused", () => {
    const server = new Server();
    server.resumes("one", a, 1);
    server.run();
    server.says("one", 1, { type: "exception", reason: "so it is" }, { type: "messages", items: [["note", 1]] });
    server.run();
    const entries = server.told("one", "entries").flatMap((frame) => (frame.type === "entries" ? frame.entries : []));
    expect(entries.map(({ type }) => type)).toContain("left");
    expect(server.told("one", "closed")).toMatchObject([{ error: { code: "CLOSED" } }]);
  });
});
