/** Counts what was lost and what was doubled, from what was sent and what was handled. */

export interface Tally {
  readonly lost: number;
  readonly doubled: number;
}

/** One receiving end. A life is what one process or page load has handled, in order; a restart begins another. */
export interface Receiver {
  /** The numbers that this end is owed. */
  readonly owed: number[];
  readonly lives: number[][];
}

/**
 * - `delivered`: a number is lost when no life handled it.
 * - `in-state`: a number is lost when the last life does not have it.
 *
 * Either way a number is doubled for each time beyond the first that one life has it.
 */
export function tally(receiver: Receiver, counting: "delivered" | "in-state"): Tally {
  const counted = counting === "delivered" ? receiver.lives : receiver.lives.slice(-1);
  const seen = new Set(counted.flat());
  return {
    lost: receiver.owed.filter((number) => !seen.has(number)).length,
    doubled: counted.reduce((sum, life) => sum + life.length - new Set(life).size, 0),
  };
}

/** True when every number owed has been handled in some life. */
export function isPaid(receiver: Receiver): boolean {
  return tally(receiver, "delivered").lost === 0;
}

export function total(tallies: readonly Tally[]): Tally {
  return {
    lost: tallies.reduce((sum, each) => sum + each.lost, 0),
    doubled: tallies.reduce((sum, each) => sum + each.doubled, 0),
  };
}
