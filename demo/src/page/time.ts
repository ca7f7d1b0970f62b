/** Times in words, and how near a turn's end is. */

import type { FloorView } from "@rostrum/client";

/** m:ss, rounded up: 0:00 is the end itself. */
export const clock = (ms: number): string => {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** Whether the present holder's end has been announced, or is as near as the floor warns. */
export const isEnding = ({ holders: [holder], policy }: FloorView): boolean =>
  holder !== undefined &&
  (holder.ending !== undefined ||
    (holder.endsAt !== undefined && holder.endsAt - Date.now() <= (policy?.warning ?? 5_000)));
