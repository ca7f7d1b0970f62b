/**
 * What leaves the embedded store for good: updates of documents out of the middle of a log, and the room on the disk of whatever
 * was dropped, which LevelDB gives back by itself only when something else is written over it.
 */

import { documentIn, type Entry, lastOffset, type Offset, type SessionId } from "@rostrum/protocol";
import type { ClassicLevel } from "classic-level";

/** Dropped bytes that are worth merging files for; fewer at the end, as nobody waits for it then. */
const worth = 4_194_304;
const worthAtClose = 262_144;
/** Sessions for which that is done at the end, those with most to give first: a server must not be long in going. */
const mostAtClose = 64;

/** Rewritten at once: others' appends share the flush, and must not wait for megabytes. */
const mostRecords = 100;
const mostBytes = 1_048_576;

/** Keys of which nothing is, with all that is between them. */
type Range = readonly [from: string, to: string];

/** Gives back what was dropped, session by session. */
export class Room {
  private readonly dropped = new Map<SessionId, number>();
  private underWay: Promise<void> = Promise.resolve();

  constructor(
    private readonly db: () => Pick<ClassicLevel<string, Buffer>, "batch" | "compactRange">,
    private readonly rangesOf: (session: SessionId) => readonly Range[],
  ) {}

  note(session: SessionId, bytes: number): void {
    const dropped = (this.dropped.get(session) ?? 0) + bytes;
    this.dropped.set(session, dropped);
    if (dropped >= worth) void this.giveBack(session);
  }

  forget(session: SessionId): void {
    this.dropped.delete(session);
  }

  async close(): Promise<void> {
    const left = [...this.dropped].filter(([, bytes]) => bytes >= worthAtClose).sort((a, b) => b[1] - a[1]);
    for (const [session] of left.slice(0, mostAtClose)) void this.giveBack(session);
    await this.underWay;
  }

  private giveBack(session: SessionId): Promise<void> {
    this.dropped.delete(session);
    const ranges = this.rangesOf(session);
    const all = async (): Promise<void> => {
      for (const [from, to] of ranges) {
        // What was only in memory becomes a file with all that it was written over, in a level below which nothing is merged.
        await this.db().compactRange(from, to);
        // What lies across it in the level above is merged with it. Neither key is anybody's.
        await this.db().batch([
          { type: "del", key: from },
          { type: "del", key: to },
        ]);
        await this.db().compactRange(from, to);
      }
    };
    // One after the other; a failure costs room and nothing else.
    this.underWay = this.underWay.then(all).catch(() => {});
    return this.underWay;
  }
}

interface Batch {
  readonly control: Offset;
  readonly entries: readonly Entry[];
}

type Operation =
  | { readonly type: "put"; readonly key: string; readonly value: Buffer }
  | { readonly type: "del"; readonly key: string };

export interface Records {
  /** Records in the order of their keys. */
  readonly records: AsyncIterable<readonly [key: string, value: Buffer]>;
  /** Those that stay whatever is in them: the first says where the log begins, the last where it ends. */
  readonly first: string;
  readonly last: string;
  readonly seal: (value: unknown) => Buffer;
  readonly unseal: (key: string, value: Buffer) => Batch;
  readonly write: (operations: readonly Operation[]) => Promise<void>;
}

/** Drops updates that end at or below `upTo`. Half done it has dropped some of them, and can be done again. Answers how many bytes went. */
export const thin = async ({ records, first, last, seal, unseal, write }: Records, upTo: Offset): Promise<number> => {
  let dropped = 0;
  let bytes = 0;
  let operations: Operation[] = [];
  for await (const [key, value] of records) {
    if (key === last) break;
    const batch = unseal(key, value);
    const entries = batch.entries.filter((entry) => documentIn(entry) === undefined || lastOffset(entry) > upTo);
    if (entries.length === batch.entries.length) continue;
    if (entries.length === 0 && key !== first) operations.push({ type: "del", key });
    else {
      const put = { type: "put", key, value: seal({ ...batch, entries }) } as const;
      operations.push(put);
      bytes += put.value.length;
      dropped -= put.value.length;
    }
    dropped += value.length;
    if (operations.length >= mostRecords || bytes >= mostBytes) {
      await write(operations);
      operations = [];
      bytes = 0;
    }
  }
  if (operations.length > 0) await write(operations);
  return dropped;
};
