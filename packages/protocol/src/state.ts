/** The folded state of a session, and its two plain forms: the snapshot that a store keeps, the view that a member gets. */

import type { Activity } from "./activities/activity.ts";
import { concerns } from "./activities/sight.ts";
import { defaultConfig, type SessionConfig } from "./config.ts";
import type { Dialog } from "./dialog/dialog.ts";
import type { DocumentHead } from "./documents/document.ts";
import type { Floor } from "./floors/floor.ts";
import type { MemberId, Offset, Seq, SessionId, Time, UserId } from "./ids.ts";
import type { Epoch } from "./sync/epoch.ts";
import { noSync, type Sync } from "./sync/sync.ts";

/** `connected`; `dropped`: away, comes back by resuming; `gone`: expired, remembered only so that commands stay single. */
export type Presence = "connected" | "dropped" | "gone";

export interface Member {
  readonly id: MemberId;
  readonly user: UserId;
  readonly name?: string;
  readonly roles: readonly string[];
  readonly presence: Presence;
  /** Since when the presence is what it is. */
  readonly since: Time;
  /** Offset of the entry that made it so. */
  readonly changed: Offset;
  /** How often a connection has taken the member up, from 1. */
  readonly incarnation: number;
  /** The highest incarnation from which a command was stored: tokens of older ones are no longer good. 0: of none. */
  readonly confirmed: number;
  /** The server process that took it up last. */
  readonly node: string;
  readonly instance?: string;
}

export interface SessionState {
  readonly session: SessionId;
  readonly birth: string;
  /** Last offset folded in. */
  readonly head: Offset;
  /** Offset of the last control entry. */
  readonly control: Offset;
  readonly at: Time;
  readonly config: SessionConfig;
  readonly members: ReadonlyMap<MemberId, Member>;
  /** Each member's last stored seq: the whole of exactly-once. */
  readonly seqs: ReadonlyMap<MemberId, Seq>;
  readonly floors: ReadonlyMap<string, Floor>;
  readonly dialog: Dialog;
  readonly sync: Sync;
  /** Those that are at work, interrupted, or ended and not yet fetched by all. */
  readonly activities: ReadonlyMap<Offset, Activity>;
  readonly documents: ReadonlyMap<string, DocumentHead>;
  /** Up to here the log may lack updates of documents; 0: it has been rid of none. */
  readonly thinned: Offset;
  /** Which server processes wrote the log, from where on; the last few, oldest first. */
  readonly epochs: readonly Epoch[];
  readonly ended: { readonly at: Time; readonly reason?: string } | null;
}

/** A log without entries. */
export const emptyState = (session: SessionId): SessionState => ({
  session,
  birth: "",
  head: 0,
  control: 0,
  at: 0,
  config: defaultConfig,
  members: new Map(),
  seqs: new Map(),
  floors: new Map(),
  dialog: { mode: "full-duplex", proposal: null },
  sync: noSync,
  activities: new Map(),
  documents: new Map(),
  thinned: 0,
  epochs: [],
  ended: null,
});

/** The state as arrays and plain objects, for any codec. */
export interface StateRecord extends Omit<SessionState, "members" | "seqs" | "floors" | "activities" | "documents"> {
  readonly members: readonly Member[];
  readonly seqs: readonly (readonly [MemberId, Seq])[];
  readonly floors: readonly (readonly [string, Floor])[];
  readonly activities: readonly Activity[];
  readonly documents: readonly (readonly [string, DocumentHead])[];
}

export const toRecord = (state: SessionState): StateRecord => ({
  ...state,
  members: [...state.members.values()],
  seqs: [...state.seqs],
  floors: [...state.floors],
  activities: [...state.activities.values()],
  documents: [...state.documents],
});

/** One that an older version wrote lacks what it did not know. */
export const fromRecord = ({ activities = [], documents = [], ...record }: StateRecord): SessionState => ({
  ...emptyState(record.session),
  ...record,
  config: { ...defaultConfig, ...record.config },
  members: new Map(record.members.map((member) => [member.id, member])),
  seqs: new Map(record.seqs),
  floors: new Map(record.floors),
  activities: new Map(activities.map((activity) => [activity.id, activity])),
  documents: new Map(documents),
});

/** Whether members see different parts of the state. */
export const hasPrivateParts = ({ activities }: SessionState): boolean => {
  for (const { to } of activities.values()) if (to !== undefined) return true;
  return false;
};

/** What a member may see of the state: no secrets, no other member's seq, nobody who is gone, no activity of others, and of documents only what it asks for. */
export const toView = (state: SessionState, member?: MemberId): StateRecord => ({
  ...state,
  members: [...state.members.values()]
    .filter((each) => each.presence !== "gone")
    .map(({ instance: _, ...each }) => ({ ...each, node: "" })),
  seqs: [],
  floors: [...state.floors],
  activities: [...state.activities.values()].filter(
    (activity) => activity.to === undefined || (member !== undefined && concerns(state, activity, member)),
  ),
  documents: [],
  thinned: 0,
});
