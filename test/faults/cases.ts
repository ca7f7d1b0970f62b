/**
 * The faults as data. A case is what happens between "all is well" and "the fault is over"; the runner adds the same
 * beginning and the same end to each, and counts. Cases 1 to 12 are situations in which Socket.IO's connection state
 * recovery was looked at on one node, 13 to 16 on two nodes over Redis; 17 to 21 are what else befalls a page and a server.
 */

import type { FaultProxy } from "@rostrum/testing";

export type Step =
  /** Hands a batch of numbered messages to the sending app. Does not wait for anything to arrive. */
  | { readonly do: "send"; readonly from: "page" }
  | { readonly do: "send"; readonly from: "server"; readonly as?: "event" | "event-with-ack" | "volatile-text" }
  /** `all-delivered`: and acknowledged. */
  | { readonly do: "wait"; readonly for: "all-delivered" | "page-offline" | "server-alone" }
  /** Until the server has handled so many of the page's last batch. */
  | { readonly do: "wait"; readonly for: "arrivals"; readonly count: number }
  | { readonly do: "link"; readonly mode: FaultProxy["mode"] }
  | { readonly do: "page"; readonly what: PageFault }
  | { readonly do: "server"; readonly what: ServerFault };

export type PageFault =
  /** The tab goes elsewhere and later comes back: a reload whose gap is long enough to be seen. */
  | "leave"
  | "return"
  /** The tab's process dies, and the user opens the page in a new tab. */
  | "crash"
  | "open-again"
  /** A second tab that begins with a copy of the first one's sessionStorage. */
  | "duplicate"
  /** The device tells its pages that it has another network. */
  | "change-network"
  /** The app's handler fails once, after its work is done: at the last message of the next batch. */
  | "throw-at-last";

export type ServerFault =
  /** SIGTERM: the process closes its Socket.IO server and ends. */
  | "stop"
  | "kill"
  | "start"
  /** New connections, and orders of the runner, go to the other node. */
  | "switch-node"
  /** What the adapter's purge does with packets older than the window. */
  | "purge-packets"
  | "reject-next-token"
  /** More than the adapter's default `maxLen` (10 000) entries in other rooms. */
  | "write-elsewhere";

/** How one column plays a case. The clock of "live again" starts with the last step of the fault. */
export interface Play {
  readonly fault: readonly Step[];
  /** Before the fault; by default one batch each way, delivered. */
  readonly before?: readonly Step[];
  /** What a reader must know to judge the numbers. */
  readonly note?: string;
}

export interface PlainPlay extends Play {
  readonly adapter: "memory" | "redis-streams";
  readonly nodes: 1 | 2;
  /** `retries` of socket.io-client. */
  readonly retries?: number;
  /** The app sends again what was rejected. */
  readonly resend?: boolean;
}

export interface FaultCase {
  readonly name: string;
  readonly title: string;
  /** A page is a Node process, except where what counts is what a browser keeps. */
  readonly page: "process" | "browser";
  /**
   * `delivered`: a number is lost when no life of the page got it. `in-state`: a number is lost when the page's state
   * does not have it at the end.
   */
  readonly counting: "delivered" | "in-state";
  readonly plain: PlainPlay;
  readonly rostrum: Play;
}

const off: Step = { do: "link", mode: { kind: "off" } };
const on: Step = { do: "link", mode: { kind: "ok" } };
const pageOffline: Step = { do: "wait", for: "page-offline" };
const serverAlone: Step = { do: "wait", for: "server-alone" };
const down: Step = { do: "send", from: "server" };
const up: Step = { do: "send", from: "page" };
const delivered: Step = { do: "wait", for: "all-delivered" };
const page = (what: PageFault): Step => ({ do: "page", what });
const server = (what: ServerFault): Step => ({ do: "server", what });

const drop = (...during: Step[]): Step[] => [off, pageOffline, serverAlone, ...during, on];

/** The connection is a black hole from here on, and nobody is told. A new one would work. */
const oldConnectionDies: Step[] = [{ do: "link", mode: { kind: "half-open" } }, on];

/** Answers vanish, then the connection dies: the server did the work, the page cannot know. */
const answersLost = (arrivals: number): Step[] => [
  { do: "link", mode: { kind: "half-open", direction: "down" } },
  up,
  { do: "wait", for: "arrivals", count: arrivals },
  ...drop(down),
];

export const beforeByDefault: readonly Step[] = [down, up, delivered];

const memory = { adapter: "memory", nodes: 1 } as const;
const twoNodes = { adapter: "redis-streams", nodes: 2 } as const;
const oneNode = "one node and the embedded store instead of two nodes and Redis";

/** Both columns play the same. */
function same(
  name: string,
  title: string,
  fault: Step[],
  rest: Partial<PlainPlay & Pick<FaultCase, "page" | "counting">> = {},
): FaultCase {
  const { page = "process", counting = "delivered", before, note, ...setup } = rest;
  const play: Play = { fault, ...(before && { before }) };
  return { name, title, page, counting, plain: { ...play, ...memory, ...setup, ...(note && { note }) }, rostrum: play };
}

export const cases: readonly FaultCase[] = [
  same("drop", "drop after the server has sent something", drop(down, up)),
  same("drop-before-first-event", "drop before the server has sent anything", drop(down, up), {
    before: [up, delivered],
  }),
  same("reload", "page reload", [up, page("leave"), serverAlone, down, page("return")], { page: "browser" }),
  same(
    "network-change",
    "the device changes network and knows it, the server has not noticed",
    [...oldConnectionDies, down, page("change-network"), up],
    { page: "browser" },
  ),
  {
    ...same(
      "quiet-then-drop",
      "last event older than the window, then a short drop",
      [server("purge-packets"), ...drop(down, up)],
      {
        note: "the adapter's purge is emulated by emptying its packets, as its timer runs each 60 s",
      },
    ),
    rostrum: { fault: drop(down, up), note: "nothing to purge: a log is not trimmed by a session's silence" },
  },
  same("volatile-text", "last event was volatile and ended with a string, then a drop", [
    { do: "send", from: "server", as: "volatile-text" },
    ...drop(down, up),
  ]),
  {
    ...same("retries-ack-lost", "retries: 3, acks lost once", answersLost(1), { retries: 3 }),
    rostrum: { fault: answersLost(5), note: "no option to set: commands are always sent again until stored" },
  },
  same("ack-in-flight", "emitWithAck in flight over a drop", answersLost(5), {
    resend: true,
    note: "the drop rejects each promise, so the app sends again",
  }),
  same(
    "missed-ack-broadcast",
    "missed while away: plain events and broadcasts with ack",
    drop(down, { do: "send", from: "server", as: "event-with-ack" }, up),
  ),
  same(
    "token-rejected-once",
    "token rejected once on reconnect, then good",
    [server("reject-next-token"), ...drop(down, up)],
    {
      note: "what was missed goes out before the token is checked, and again after the good one",
    },
  ),
  same("server-restart", "server restart (SIGTERM)", [server("stop"), pageOffline, off, up, server("start"), down, on]),
  same("handler-threw", "a handler threw once, then a drop", [
    page("throw-at-last"),
    down,
    delivered,
    ...drop(down, up),
  ]),
  {
    ...same("other-node", "drop, comes back on the other node", [...drop(server("switch-node"), down, up)], twoNodes),
    rostrum: {
      fault: drop(server("stop"), server("start"), down, up),
      note: `${oneNode}: comes back to a restarted process`,
    },
  },
  {
    ...same(
      "deploy",
      "deploy: io.close(), the other node takes over",
      [server("stop"), pageOffline, off, up, server("switch-node"), down, on],
      twoNodes,
    ),
    rostrum: { fault: [server("stop"), pageOffline, off, up, server("start"), down, on], note: `${oneNode}: restart` },
  },
  {
    ...same(
      "node-killed",
      "kill -9 of the node, the other node is up",
      [server("kill"), pageOffline, off, up, server("switch-node"), down, on],
      twoNodes,
    ),
    rostrum: {
      fault: [server("kill"), pageOffline, off, up, server("start"), down, on],
      note: `${oneNode}: kill -9 and restart`,
    },
  },
  {
    ...same(
      "noisy-neighbours",
      "other rooms write more than maxLen entries during a drop",
      drop(down, up, server("write-elsewhere")),
      twoNodes,
    ),
    rostrum: { fault: drop(down, up, server("write-elsewhere")), note: `${oneNode}; the noise is in other sessions` },
  },
  same(
    "reload-with-state",
    "page reload while offline, with messages waiting: what the page's state has afterwards",
    [off, pageOffline, serverAlone, down, up, page("leave"), page("return"), on],
    { page: "browser", counting: "in-state", note: "the page keeps nothing; an app could save its own state" },
  ),
  same(
    "tab-crash",
    "tab crash while offline, with messages waiting, then a new tab",
    [off, pageOffline, serverAlone, down, up, page("crash"), page("open-again"), on],
    { page: "browser" },
  ),
  same("server-killed", "kill -9 of the server with messages under way to an absent page", [
    ...drop(down, up).slice(0, -1),
    server("kill"),
    server("start"),
    on,
  ]),
  same(
    "duplicated-tab",
    "duplicated tab, then a drop of both",
    [page("duplicate"), down, delivered, ...drop(down, up)],
    { page: "browser" },
  ),
  same("half-open", "half-open link that nobody has noticed", [...oldConnectionDies, down, up]),
];
