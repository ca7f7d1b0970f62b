/**
 * Milliseconds that have really gone by. A browser's monotonic clock may stand still while the machine sleeps, and a lease
 * would go on where it was; the wall's clock does not. What the wall's clock is ahead more than before, the machine has
 * slept, or somebody has set it: then a lease ends early, which is safe.
 *
 * See https://github.com/w3c/hr-time/issues/115.
 */

/** Less than this is two clocks that do not run quite alike. */
const tolerance = 1_000;

export const sleeplessClock = (
  monotonic: () => number = () => performance.now(),
  wall: () => number = Date.now,
): (() => number) => {
  let ahead = wall() - monotonic();
  let slept = 0;
  return () => {
    const present = wall() - monotonic();
    if (present - ahead > tolerance) slept += present - ahead;
    if (Math.abs(present - ahead) > tolerance) ahead = present;
    return monotonic() + slept;
  };
};
