/** The plugin: sessions on a Socket.IO server or namespace that the app already has. */

import { RostrumError, type SessionId, sessionId } from "@rostrum/protocol";
import createDebug from "debug";
import type { Namespace, Server } from "socket.io";
import { Gateway } from "./gateway.ts";
import { SessionHandle } from "./handle.ts";
import { type FloorListener, Hosts } from "./hosts.ts";
import { type SessionsOptions, settle } from "./options.ts";
import type { TransferListener } from "./transfers/depot.ts";
import type { TransferCounts } from "./transfers/transfers.ts";

const debug: createDebug.Debugger = createDebug("rostrum:sessions");

export interface DrainOptions {
  /** Milliseconds until the server goes, whoever is still there. */
  readonly within: number;
  /** Milliseconds over which the members' return is spread; default half of `within`. */
  readonly spread?: number;
}

export interface Sessions {
  /** A session as the server sees it. Nothing is loaded until the handle is used. */
  get(id: string): SessionHandle;
  /** Removes a session and all that was stored of it. Members are let go first. */
  delete(id: string): Promise<void>;
  /**
   * Before a deploy: lets nobody in any more, tells each member to come back at a moment of its own, saves every session
   * and resolves when all have gone or the time is over. Nothing stored is lost either way.
   *
   * @example
   * process.on("SIGTERM", async () => { await sessions.drain({ within: 10_000 }); process.exit(0) })
   */
  drain(options: DrainOptions): Promise<void>;
  /**
   * Listens to who gets and who loses which floor, in all sessions at work on this server. Told when it is stored; and
   * once for each floor when its session is loaded, with who holds it. Returns its undo.
   *
   * @example
   * sessions.onFloor(({ session, floor, granted, lost }) => audit(session, floor, granted, lost))
   */
  onFloor(listener: FloorListener): () => void;
  /**
   * Listens to transfers that have ended, in all sessions at work on this server: all their bytes are stored. While the
   * promise that it returns is not settled, the bytes stay, though all who were to get them have them. One that ended as
   * the server died is not told of again: look at `activities()`. Returns its undo.
   *
   * @example
   * sessions.onTransfer(async ({ session, activity, digest }) => {
   *   await pipeline(sessions.get(session).read(activity.id), createWriteStream(`./kept/${digest}`))
   * })
   */
  onTransfer(listener: TransferListener): () => void;
  /** Counts for a health check. */
  health(): {
    readonly sessions: number;
    readonly members: number;
    readonly draining: boolean;
    readonly transfers: TransferCounts;
  };
  /** Lets everybody go, saves, closes the store. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Attaches sessions to a Socket.IO server. Patches nothing: it listens to one event on the namespace and uses one room
 * per session, whose name begins with `rostrum:`.
 *
 * @throws RostrumError USAGE for options that contradict themselves.
 * @example
 * const io = new Server(3000)
 * const sessions = attachSessions(io, { store: embeddedStore("./data"), floors: { mic: { capacity: 1 } } })
 */
export const attachSessions = (io: Server | Namespace, options: SessionsOptions): Sessions => {
  const settings = settle(options);
  const nsp = "of" in io ? io.of("/") : io;
  const { store, blobs } = settings;
  if (store.durable === false) {
    console.warn(
      "rostrum: the store keeps everything in memory; nothing outlives this process. Use embeddedStore(folder).",
    );
  }
  const floorListeners = new Set<FloorListener>();
  const transferListeners = new Set<TransferListener>();
  const secret = store.secret();
  const hosts = secret.then(
    (key) =>
      new Hosts(nsp, settings, key, floorListeners, transferListeners, (session, error) =>
        debug("%s: failed: %s", session, error.message),
      ),
  );
  // A store that cannot even be opened is told to each who asks; here it must only not kill the process.
  hosts.catch((error: unknown) => debug("the store did not open: %o", error));
  const gateway = new Gateway(nsp, settings, hosts, secret);
  let running: Hosts | undefined;
  void hosts.then(
    (ready) => (running = ready),
    () => {},
  );
  let draining = false;
  let closing: Promise<void> | undefined;

  const get = (id: string): SessionHandle => new SessionHandle(valid(id), () => hosts, settings.limits.depth);
  const valid = (id: string): SessionId => {
    if (id.length === 0 || id.length > settings.limits.nameLength) {
      throw new RostrumError(
        "USAGE",
        `A session id has 1 to ${settings.limits.nameLength} characters; this has ${id.length}.`,
      );
    }
    return sessionId(id);
  };
  const close = async (): Promise<void> => {
    gateway.close();
    await hosts
      .then((ready) =>
        ready.close(new RostrumError("SERVER_DRAINING", "The server has gone away; come back in a moment.")),
      )
      .finally(async () => {
        if (blobs !== store.blobs) await blobs?.close();
        await store.close();
      });
  };

  const sessions: Sessions = {
    get,
    delete: async (id) => {
      const ready = await hosts;
      // Loaded first, so that it is known who held what.
      await get(id).state();
      ready.disband(valid(id), new RostrumError("SESSION_ENDED", "The session was deleted."));
      await ready.transfers?.settled();
      await ready.library?.settled();
      // First: without a log nobody would know of them.
      if (blobs !== store.blobs) await blobs?.removeAll(sessionId(id));
      await store.delete(sessionId(id));
    },
    drain: async ({ within, spread = within / 2 }) => {
      draining = true;
      const until = Date.now() + within;
      gateway.drain(until, spread);
      while (gateway.attached > 0 && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, Math.min(50, Math.max(0, until - Date.now()))));
      }
      await sessions.close();
    },
    onFloor: (listener) => {
      const own: FloorListener = (move) => listener(move);
      floorListeners.add(own);
      return () => void floorListeners.delete(own);
    },
    onTransfer: (listener) => {
      const own: TransferListener = (end) => listener(end);
      transferListeners.add(own);
      return () => void transferListeners.delete(own);
    },
    health: () => ({
      sessions: running?.size ?? 0,
      members: gateway.attached,
      draining,
      transfers: running?.transfers?.counts ?? { lanes: 0, uploads: 0, fetches: 0, bytes: 0 },
    }),
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => sessions.close(),
  };
  return sessions;
};
