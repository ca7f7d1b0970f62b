/** Three questions, three answers: has the device a network, where does the session stand, is anything unconfirmed. */

import type { RostrumError } from "@rostrum/protocol";
import type { Phase } from "./engine/terms.ts";
import type { Retry } from "./link.ts";

export interface Status {
  /** The device's own word; a hint. */
  readonly network: "online" | "offline";
  /**
   * `connecting`: never live yet. `resuming`: was live, comes back; people need not be told. `lost`: not back for 5 s;
   * tell them, and that what they send is kept. `closed`: not without somebody's doing; see `error`.
   */
  readonly phase: "connecting" | "live" | "resuming" | "lost" | "closed";
  readonly sync: "synced" | "pending";
  /** What the server has not confirmed. */
  readonly pending: { readonly commands: number; readonly bytes: number };
  readonly retry?: Retry;
  readonly error?: RostrumError;
}

/** Milliseconds without the session before people are told. */
export const lostAfter = 5_000;

export const phaseOf = (
  phase: Phase,
  apartSince: number | undefined,
  everLive: boolean,
  now: number,
): Status["phase"] => {
  if (phase.kind === "live") return "live";
  if (phase.kind === "closed") return "closed";
  if (apartSince !== undefined && now - apartSince >= lostAfter) return "lost";
  return everLive ? "resuming" : "connecting";
};
