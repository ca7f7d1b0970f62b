/** How a floor works, as data (RFC 8855: floor control policy). */

/**
 * `queue`: granted in order. `first-come`: granted if free, else refused at once. `chair`: each request waits for a
 * chair's decision.
 */
export type FloorPolicy = "queue" | "first-come" | "chair";

/**
 * `fifo`: by arrival. `priority`: the higher level first. `least-spoken`: who has held the floor for the shortest time
 * first, where a millisecond waited weighs as much as a millisecond spoken, so that nobody waits for ever.
 */
export type FloorOrder = "fifo" | "priority" | "least-spoken";

/** RFC 8855 5.2.4: lowest, low, normal (0), high, highest. */
export type Priority = -2 | -1 | 0 | 1 | 2;

export interface FloorConfig {
  /** How many may hold it at once. */
  readonly capacity: number;
  readonly policy: FloorPolicy;
  readonly order: FloorOrder;
  /**
   * Order `priority`: milliseconds of waiting that weigh as much as one level, so that no request starves. Absent: a
   * higher level always goes first.
   */
  readonly ageing?: number;
  /** Milliseconds after which a grant is revoked; absent: no limit. */
  readonly maxHold?: number;
  /** Milliseconds before its end that a holder is warned: at the hold limit, and when it is pre-empted (TS 24.380). */
  readonly warning: number;
  /** Milliseconds that a holder which dropped keeps the floor; also the longest that a grant is believed unheard of. */
  readonly grace: number;
  /** How many requests may wait. */
  readonly maxQueue: number;
  /** A request of a higher priority takes the place of the lowest holder (TS 24.380). */
  readonly preempt: boolean;
  /** Whether the next is granted by itself when the floor comes free. `false`: a chair does it. */
  readonly advance: boolean;
  /** The floor whose holders chair this one, besides those whose role may `moderate`. */
  readonly chair?: string;
  /** Policy `chair`, while no chair is here: requests wait, are treated as by `queue`, or are denied. */
  readonly unchaired: "wait" | "queue" | "deny";
}

export const defaultFloor: FloorConfig = {
  capacity: 1,
  policy: "queue",
  order: "fifo",
  warning: 5_000,
  grace: 8_000,
  maxQueue: 100,
  preempt: false,
  advance: true,
  unchaired: "wait",
};

const policies: readonly FloorPolicy[] = ["queue", "first-come", "chair"];
const orders: readonly FloorOrder[] = ["fifo", "priority", "least-spoken"];
const absences: readonly FloorConfig["unchaired"][] = ["wait", "queue", "deny"];

const hour = 3_600_000;
/** Least and most of each number. A grace longer than an hour would be no lease but a claim. */
const wholes = {
  capacity: [1, 1_000_000],
  maxHold: [1, 24 * hour],
  warning: [0, hour],
  grace: [100, hour],
  maxQueue: [0, 1_000_000],
  ageing: [1, 24 * hour],
} as const;
const choices: Readonly<Record<string, readonly unknown[]>> = {
  policy: policies,
  order: orders,
  unchaired: absences,
  preempt: [true, false],
  advance: [true, false],
};

/** What is wrong with options of a floor, each by itself, in words; `undefined`: nothing. `null` takes a limit away. */
export const configFault = (change: Readonly<Record<string, unknown>>): string | undefined => {
  for (const [key, value] of Object.entries(change)) {
    if (Object.hasOwn(wholes, key)) {
      const [least, most] = wholes[key as keyof typeof wholes];
      if (value === null && (key === "maxHold" || key === "ageing")) continue;
      if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most)
        return `${key} is ${String(value)}; a whole number from ${least} to ${most} is due`;
    } else if (Object.hasOwn(choices, key)) {
      if (choices[key]?.includes(value) !== true)
        return `${key} is ${String(value)}; one of ${choices[key]?.join(", ") ?? ""} is due`;
    } else return `${key} is no option of a floor`;
  }
  return undefined;
};

/** What contradicts itself in a floor's config as a whole. */
export const contradiction = (config: FloorConfig): string | undefined => {
  const { preempt, order, ageing, advance, maxHold, warning } = config;
  if (preempt && (order !== "priority" || ageing !== undefined))
    return "preempt goes with the order priority, without ageing";
  if (preempt && !advance) return "preempt goes with advance: nobody else grants what was cleared";
  if (maxHold !== undefined && warning >= maxHold) return `warning (${warning}) is not below maxHold (${maxHold})`;
  return undefined;
};

/** A change of some of a floor's options in mid-session; who chairs it stands in the server's. `null` takes a limit away. */
export type FloorChange = {
  readonly [K in Exclude<keyof FloorConfig, "chair">]?:
    | FloorConfig[K]
    | (K extends "maxHold" | "ageing" ? null : never);
};

/** A hold shorter than the default warning has a shorter one, unless one is asked for. */
export const fitting = (
  { maxHold, warning }: { maxHold?: number | null; warning?: number },
  present: number,
): number =>
  warning === undefined && typeof maxHold === "number" && maxHold <= present
    ? Math.floor(maxHold / 4)
    : (warning ?? present);

export const changed = (config: FloorConfig, change: FloorChange): FloorConfig =>
  Object.fromEntries(
    Object.entries({ ...config, ...change }).filter(([, value]) => value !== null && value !== undefined),
  ) as unknown as FloorConfig;
