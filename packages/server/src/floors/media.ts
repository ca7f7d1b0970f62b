/**
 * Media follows the floor, enforced: an SFU lets exactly those publish who hold it. What is told to the SFU is the whole
 * truth each time, not a change, so that a lost call, a crash or a restart heals with the next one.
 */

import { matching, type SessionId } from "@rostrum/protocol";
import createDebug from "debug";
import type { FloorMove, Holder } from "./moves.ts";

const debug: createDebug.Debugger = createDebug("rostrum:media");

/** What an SFU has to be able to do; see docs/media.md for one with LiveKit and one with mediasoup. */
export interface MediaAdapter {
  /**
   * Lets exactly these publish what the floor is about, and nobody else in this session. Called with the whole list, also
   * if it is what the SFU has already. Withdraw before you permit. Calls for one floor never overlap; one that rejects is
   * made again, with the list as it is then. `signal` fires when a newer list waits.
   */
  setPublishers(publishers: readonly Holder[], about: PublisherContext): Promise<void>;
}

export interface PublisherContext {
  readonly session: SessionId;
  readonly floor: string;
  readonly signal: AbortSignal;
}

export interface MediaOptions {
  /** Floors by name or `prefix*`. */
  readonly floors: readonly string[];
  readonly adapter: MediaAdapter;
  /** Told of each call that failed; it is made again whatever this does. */
  readonly onError?: (error: unknown, about: Omit<PublisherContext, "signal">) => void;
}

/** What this needs of the plugin. */
interface FloorSource {
  onFloor(listener: (move: FloorMove) => void): () => void;
}

interface Following {
  wanted: readonly Holder[];
  /** Aborts what is under way, because it is outdated. */
  outdate: AbortController;
  /** Ends a wait before the next try. */
  wake: () => void;
}

const retries: readonly number[] = [100, 250, 500, 1_000, 2_000, 5_000];

/**
 * Keeps an SFU's permission to publish equal to who holds the floor. Returns its undo.
 *
 * @example
 * mediaFollowsFloor(sessions, {
 *   floors: ["mic"],
 *   adapter: {
 *     async setPublishers(publishers, { session }) {
 *       const here = await livekit.listParticipants(session)
 *       const may = new Set(publishers.map(({ user }) => user))
 *       const order = [...here].sort((a, b) => Number(may.has(a.identity)) - Number(may.has(b.identity)))
 *       for (const { identity } of order) await livekit.updateParticipant(session, identity, { permission: { canPublish: may.has(identity), canSubscribe: true } })
 *     },
 *   },
 * })
 */
export const mediaFollowsFloor = (sessions: FloorSource, { floors, adapter, onError }: MediaOptions): (() => void) => {
  const table = Object.fromEntries(floors.map((name) => [name, true]));
  const following = new Map<string, Following>();
  let stopped = false;

  const follow = async (key: string, session: SessionId, floor: string, each: Following): Promise<void> => {
    let applied: readonly Holder[] | undefined;
    for (let failures = 0; !stopped && applied !== each.wanted; ) {
      const { wanted } = each;
      each.outdate = new AbortController();
      try {
        await adapter.setPublishers(wanted, { session, floor, signal: each.outdate.signal });
        applied = wanted;
        failures = 0;
      } catch (error) {
        debug("%s: the publishers of floor %s could not be set: %o", session, floor, error);
        onError?.(error, { session, floor });
        const wait = retries[Math.min(failures, retries.length - 1)] ?? 5_000;
        failures += 1;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, wait);
          timer.unref();
          each.wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
    following.delete(key);
  };

  const undo = sessions.onFloor(({ session, floor, holders }) => {
    if (stopped || matching(table, floor) === undefined) return;
    const key = `${session}\u0000${floor}`;
    const known = following.get(key);
    if (known !== undefined) {
      known.wanted = holders;
      known.outdate.abort(new Error("a newer list waits"));
      known.wake();
      return;
    }
    const each: Following = { wanted: holders, outdate: new AbortController(), wake: () => {} };
    following.set(key, each);
    void follow(key, session, floor, each);
  });
  return () => {
    stopped = true;
    undo();
    for (const each of following.values()) {
      each.outdate.abort(new Error("no longer followed"));
      each.wake();
    }
  };
};
