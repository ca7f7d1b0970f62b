/**
 * Epochs of a log: each server process that begins to write it says so. A client tells the last epochs it knows; where its
 * list and the log's part, their logs part (Kafka's KIP-101 finds the end of a common log in the same way). So a log that was
 * restored from an older copy is told from the one that was lost, even if it has grown beyond it since.
 */

import type { Offset } from "../ids.ts";

export interface Epoch {
  readonly id: string;
  /** Its first offset. */
  readonly from: Offset;
}

/** Most epochs that a state remembers, and that a client tells. */
export const maxEpochs = 64;
export const toldEpochs = 8;

/**
 * The last offset that both logs have in common if the client knows something beyond it; `undefined`: what the client has seen is
 * this log. `known` are the client's last epochs, oldest first.
 */
export const forkOf = (
  epochs: readonly Epoch[],
  head: Offset,
  cursor: Offset,
  known: readonly Epoch[],
): Offset | undefined => {
  if (known.length === 0) return cursor > head ? head : undefined;
  for (let index = known.length - 1; index >= 0; index -= 1) {
    const theirs = known[index];
    const at = epochs.findIndex(({ id, from }) => id === theirs?.id && from === theirs.from);
    if (at < 0) continue;
    const further = known[index + 1];
    const end = Math.min((epochs[at + 1]?.from ?? head + 1) - 1, (further?.from ?? Infinity) - 1);
    // An epoch that is not in this log: the client knows of it by a view from beyond its cursor.
    return further !== undefined || cursor > end ? end : undefined;
  }
  // Nothing in common: either it is all older than what is remembered here, or another log from early on.
  const [oldest] = epochs;
  return oldest !== undefined && oldest.from > cursor ? undefined : 0;
};
