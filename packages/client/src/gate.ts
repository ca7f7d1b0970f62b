/**
 * Media follows the floor. What this can do is what the machine it runs on can do: an honest sender is silent without the
 * floor, and an honest listener plays only who holds it. A sender that cheats still sends: in a mesh each listener has
 * to close its own ears, and only an SFU that is told by the server (`mediaFollowsFloor`) can stop it at the source.
 */

import type { FloorView } from "./floor-view.ts";
import type { Observable } from "./observable.ts";

export interface GateOptions {
  /** A member id: the track is that member's, and plays while it holds the floor. Absent: it is one's own. */
  readonly of?: string;
}

/**
 * Enables a track (or anything with `enabled`) while its member holds the floor, and disables it otherwise: for one's own
 * track as long as the grant can be trusted, for another's as long as it is known here to hold. Returns its undo, which
 * leaves the track disabled.
 *
 * @example
 * const undo = gate(microphone.getAudioTracks()[0], session.floor("mic"))
 * peer.ontrack = ({ track }) => gate(track, session.floor("mic"), { of: member })
 */
export const gate = (
  track: { enabled: boolean },
  floor: Observable<FloorView>,
  { of }: GateOptions = {},
): (() => void) => {
  const apply = ({ mine, holders }: FloorView): void => {
    const open = of === undefined ? mine === "held" : holders.some(({ member }) => member === of);
    if (track.enabled !== open) track.enabled = open;
  };
  apply(floor.get());
  const undo = floor.subscribe(apply);
  return () => {
    undo();
    track.enabled = false;
  };
};
