/** The client: one connection, any number of sessions over it. */

import { RostrumError, type ServerFrame } from "@rostrum/protocol";
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import type { Extension } from "./engine/extension.ts";
import { updatesIn } from "./engine/fork.ts";
import { defaultPulse } from "./engine/pulse.ts";
import type { Kept } from "./engine/record.ts";
import type { AnyEvents } from "./events.ts";
import { claimOrphans, type Device, forgetUser, type Orphan, openKeeping } from "./keeping.ts";
import { Link, type LinkEvents } from "./link.ts";
import { Session } from "./session.ts";
import type { SessionHost, SessionOptions } from "./session-options.ts";
import { hasIndexedDB, indexedDBStorage } from "./storage/indexeddb.ts";
import { memoryStorage } from "./storage/memory.ts";
import type { Storage } from "./storage/storage.ts";
import { browserTabs, hasBrowserTabs, processTabs, type Tabs } from "./tabs.ts";
import { watchWake } from "./wake.ts";

export interface AuthContext {
  /** `open`: a session is being opened or resumed. `expiring`: the present auth runs out. */
  readonly reason: "open" | "expiring";
}

export interface ClientOptions {
  /** Where the Socket.IO server is, with the namespace as its path. Default: the page's own origin. */
  readonly url?: string;
  /** Options for the socket that is made. */
  readonly io?: Partial<ManagerOptions & SocketOptions>;
  /** A socket of the app's own, instead of `url`. */
  readonly socket?: Socket;
  /** What the server's `authenticate` gets. Asked at every open and every resume, and before it runs out. */
  readonly auth?: (context: AuthContext) => unknown;
  /** Whose data this is on a device that several people use. Default: one for all. */
  readonly user?: string;
  /** Default: IndexedDB where there is one, else memory with a warning. */
  readonly storage?: Storage;
  readonly tabs?: Tabs;
  /** Milliseconds between heartbeats, and that an answer may take. */
  readonly heartbeat?: { readonly every?: number; readonly within?: number };
  /** Milliseconds that a connection may take to come about; default 20,000; the first tries get less. */
  readonly connectWithin?: number;
}

export interface Client {
  /** A session by its id: usable at once, the same object each time. */
  session<Events extends object = AnyEvents>(id: string, options?: SessionOptions): Session<Events>;
  /** Tries to connect now. */
  retry(): void;
  /** Removes everything this device keeps for the user: log out. Sessions of this client are aborted first. */
  forget(): Promise<void>;
  /** Closes all sessions in this page, leaves none of them, and lets the connection go. */
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * @example
 * const client = createClient({ url: "https://example.com", auth: async () => ({ token: await getToken() }) })
 * const session = client.session("standup-42")
 */
export const createClient = (options: ClientOptions = {}): Client => {
  const { user = "default", heartbeat = {} } = options;
  const sessions = new Map<string, Session<never>>();
  /** Connections of headless sessions that send what dead tabs left behind. */
  const adoptions = new Set<{ readonly stop: () => void; readonly abort: (reason: string) => void }>();

  const dial = (): Socket =>
    io(options.url ?? address(options.socket), {
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      ...settingsOf(options.socket),
      ...options.io,
      autoConnect: false,
      reconnection: false,
      forceNew: true,
    });
  const connectWithin = options.connectWithin ?? 20_000;
  const pulse = { ...defaultPulse, ...heartbeat, connectWithin };
  // Pings are answered behind what is under way: only silence counts there.
  const lane = (events: LinkEvents): Link => new Link(dial, { ...pulse, within: 2_000_000_000 }, events);
  const silence = pulse.within * 12;
  const connection = (dialled: () => Socket, present: () => Iterable<Session<never>>): Pick<SessionHost, "link"> => {
    const each = (act: (session: Session<never>) => void): void => [...present()].forEach(act);
    const link = new Link(dialled, pulse, {
      connected: () => each((session) => session.connected()),
      disconnected: () => each((session) => session.disconnected()),
      frames: (frames: readonly ServerFrame[]) => {
        for (const frame of frames) {
          if ("session" in frame) each((session) => session.id === frame.session && session.frame(frame));
        }
      },
      changed: () => each((session) => session.refresh()),
    });
    return { link };
  };
  const main = connection(options.socket === undefined ? dial : () => options.socket as Socket, () =>
    sessions.values(),
  );
  const { link } = main;
  const each = (act: (session: Session<never>) => void): void => [...sessions.values()].forEach(act);
  const unwatch = watchWake({
    awake: () => {
      each((session) => session.refresh());
      link.probe();
    },
    network: () => each((session) => session.refresh()),
    away: () => each((session) => session.away()),
  });

  const device: Promise<Device> = openDevice(options);
  const auth: SessionHost["auth"] = async (reason) => options.auth?.({ reason });
  const host: SessionHost = {
    ...main,
    lane,
    silence,
    auth,
    keep: async (session) => openKeeping(await device, user, session.id),
    gone: (session) => {
      if (sessions.get(session.id) === session) sessions.delete(session.id);
    },
  };

  /** Sends, as the dead tab's member and under its seqs, what it left unsent, and then leaves for it. */
  const adopt = (id: string, orphan: Orphan): void => {
    let session: Session<never> | undefined;
    const own = connection(dial, () => (session === undefined ? [] : [session]));
    const stop = (): void => {
      adoptions.delete(adoption);
      session?.close();
      own.link.close();
    };
    const adoption = { stop, abort: (reason: string) => session?.abort(reason) };
    adoptions.add(adoption);
    session = new Session<never>(id, {}, { ...own, lane, silence, auth, keep: async () => orphan, gone: stop });
    session.extend(() => heir(() => sessions.get(id)?.extension));
    const { status } = session;
    status.subscribe(({ phase, sync }) => {
      if (phase === "live" && sync === "synced") {
        // To leave is to forget all of it: drafts of documents, and what of them waits, are for the page that finds them.
        if (orphan.hasBeside) stop();
        else session?.release().catch(stop);
      }
      if (phase === "closed") stop();
    });
    own.link.connect();
  };
  const adoptOrphans = async (id: string): Promise<void> => {
    // What of it is refused must have somebody who keeps it.
    const takes = ({ outbox }: Kept): boolean =>
      sessions.get(id)?.extension !== undefined || updatesIn(outbox).length === 0;
    for (const orphan of await claimOrphans(await device, user, id, takes)) adopt(id, orphan);
  };

  const client: Client = {
    session: <Events extends object = AnyEvents>(id: string, settings: SessionOptions = {}) => {
      const known = sessions.get(id);
      if (known !== undefined) return known as unknown as Session<Events>;
      if (id.length === 0 || id.length > 128)
        throw new RostrumError("USAGE", `A session id has 1 to 128 characters; this has ${id.length}.`);
      const session = new Session<Events>(id, settings, host);
      sessions.set(id, session as unknown as Session<never>);
      session.ready.then(() => adoptOrphans(id)).catch(() => {});
      if (link.connected) session.connected();
      else link.connect();
      return session;
    },
    retry: () => link.probe(),
    forget: async () => {
      const reason = "the user's data is being removed";
      each((session) => session.abort(reason));
      // Or what they write next would be there again.
      for (const { abort } of adoptions) abort(reason);
      await forgetUser(await device, user);
    },
    close: () => {
      each((session) => session.close());
      for (const { stop } of adoptions) stop();
      unwatch();
      link.close();
    },
    [Symbol.dispose]: () => client.close(),
  };
  return client;
};

/** Of a session that only sends what another tab had left: this page's own documents keep what is refused of theirs, or lost. */
const heir = (own: () => Extension | undefined): Extension => ({
  follows: () => [],
  opened: () => {},
  entry: () => {},
  told: () => {},
  frame: () => {},
  refused: (item, error) => own()?.refused(item, error),
  lost: (items) => {
    const error = new RostrumError(
      "OUTCOME_UNKNOWN",
      "The server has lost an edit that another tab had sent; it is sent again by this one.",
    );
    for (const item of items) own()?.refused(item, error);
  },
  gathered: () => {},
  changed: () => {},
  closed: () => {},
});

/** Storage and tabs as this environment has them; what is lacking is told by a warning with a code. */
const openDevice = async ({ storage, tabs }: ClientOptions): Promise<Device> => {
  const claims = tabs ?? (hasBrowserTabs() ? browserTabs : processTabs);
  if (storage !== undefined) return { storage, tabs: claims, warnings: [] };
  if (await hasIndexedDB()) return { storage: indexedDBStorage(), tabs: claims, warnings: [] };
  const warning = new RostrumError(
    "STORAGE_UNAVAILABLE",
    "There is no IndexedDB here: the session is kept in memory, and what is unconfirmed is lost with this page or process. Pass a storage to keep it.",
  );
  return { storage: memoryStorage(), tabs: claims, warnings: [warning] };
};

/** What is not in the types of Socket.IO. */
interface OpenSocket {
  readonly nsp: string;
  readonly io: { readonly uri?: string; readonly opts: Partial<ManagerOptions> };
  readonly auth?: NonNullable<SocketOptions["auth"]>;
}

/** Where an app's own socket goes, so that another can be made beside it. */
const address = (socket: Socket | undefined): string => {
  if (socket === undefined) return "";
  const { nsp, io } = socket as unknown as OpenSocket;
  const uri = io.uri ?? "";
  // Before it has dialled for the first time, only its manager knows where to.
  if (/^\w+:\/\//.test(uri)) return new URL(uri).origin + nsp;
  const { hostname, port, secure } = io.opts;
  return `${secure === true ? "https" : "http"}://${hostname ?? "localhost"}:${port ?? ""}${nsp}`;
};

/** How an app's own socket dials: path, headers, parser, auth. */
const settingsOf = (socket: Socket | undefined): Partial<ManagerOptions & SocketOptions> => {
  if (socket === undefined) return {};
  const { io, auth } = socket as unknown as OpenSocket;
  return { ...io.opts, ...(auth === undefined ? {} : { auth }) };
};
