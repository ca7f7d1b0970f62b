/**
 * SHIM, to be replaced by imports from @rostrum/client: the face of a floor as this page uses it, over what the client has
 * today. What it cannot do yet is refused; `gate` is the whole rule in small.
 */

import { type MemberView, type Grant as OldGrant, RostrumError, type Session } from "@rostrum/client";

export type Priority = -2 | -1 | 0 | 1 | 2;
export type EndReason =
  | "released"
  | "passed"
  | "hold-limit"
  | "preempted"
  | "revoked"
  | "taken-over"
  | "grace"
  | "left"
  | "removed"
  | "configured"
  | "dialog";
export interface FloorHolder {
  readonly member: string;
  readonly user: string;
  readonly fence: number;
  readonly since: number;
  readonly endsAt?: number;
  readonly ending?: EndReason;
}
export interface FloorWaiting {
  readonly member: string;
  readonly status: "pending" | "accepted";
  readonly position: number;
  readonly priority: Priority;
  readonly reason?: string;
  readonly since: number;
}
export interface FloorTurn {
  readonly member: string;
  readonly user: string;
  readonly from: number;
  readonly to: number;
  readonly ended: EndReason;
}
export interface FloorSettings {
  readonly policy: "queue" | "first-come" | "chair";
  readonly order: "fifo" | "priority" | "least-spoken";
  readonly maxHold?: number;
  readonly warning: number;
  readonly grace: number;
}
export interface FloorView {
  readonly holders: readonly FloorHolder[];
  readonly queue: readonly FloorWaiting[];
  readonly pending: readonly FloorWaiting[];
  readonly mine: "none" | "pending" | "waiting" | "held";
  readonly position: number;
  readonly chairs: readonly string[];
  readonly turns: readonly FloorTurn[];
  readonly talk: readonly { readonly user: string; readonly ms: number }[];
  readonly policy?: FloorSettings;
}
export interface Grant {
  readonly fence: number;
  readonly lost: AbortSignal;
  readonly ending: AbortSignal;
  release(): Promise<void>;
}
export interface Floor {
  get(): FloorView;
  subscribe(listener: () => void): () => void;
  request(options?: {
    readonly priority?: Priority;
    readonly reason?: string;
    readonly signal?: AbortSignal;
  }): Promise<Grant>;
  accept(member: string): Promise<unknown>;
  grant(member: string): Promise<unknown>;
  deny(member: string, reason?: string): Promise<unknown>;
  revoke(member: string, reason?: string): Promise<unknown>;
  give(member: string): Promise<unknown>;
  take(): Promise<Grant>;
  reorder(member: string, position: number): Promise<unknown>;
  configure(change: Partial<Omit<FloorSettings, "maxHold"> & { readonly maxHold: number | null }>): Promise<unknown>;
}

const notYet = (): Promise<never> => Promise.reject(new RostrumError("USAGE", "The chair's verbs are not there yet."));

export const floorOf = (
  session: Pick<Session, "floor" | "member"> & { readonly members: { get(): readonly MemberView[] } },
  name: string,
): Floor => {
  const old = session.floor(name);
  const upgraded = ({ fence, lost, release }: OldGrant): Grant => ({
    fence,
    lost,
    ending: new AbortController().signal,
    release,
  });
  const userOf = (member: string): string => session.members.get().find(({ id }) => id === member)?.user ?? "";
  return {
    get: () => {
      const { holders, queue, mine, position } = old.get();
      return {
        holders: holders.map(({ member, fence, expiresAt }) => ({
          member,
          user: userOf(member),
          fence,
          since: Date.now(),
          ...(expiresAt === undefined ? {} : { endsAt: expiresAt }),
        })),
        queue: queue.map(({ member }, index) => ({
          member,
          status: "accepted",
          position: index + 1,
          priority: 0,
          since: 0,
        })),
        pending: [],
        mine,
        position,
        chairs: session.members
          .get()
          .filter(({ roles }) => roles.includes("chair"))
          .map(({ id }) => id),
        turns: [],
        talk: [],
        policy: { policy: "queue", order: "fifo", maxHold: 30_000, warning: 5_000, grace: 8_000 },
      };
    },
    subscribe: (listener) => old.subscribe(listener),
    request: async ({ signal } = {}) => upgraded(await old.request(signal === undefined ? {} : { signal })),
    accept: notYet,
    grant: notYet,
    deny: notYet,
    revoke: notYet,
    give: notYet,
    take: notYet,
    reorder: notYet,
    configure: notYet,
  };
};

/** SHIM of the client's `gate`. */
export const gate = (
  track: { enabled: boolean },
  floor: Pick<Floor, "get" | "subscribe">,
  { of }: { readonly of?: string } = {},
): (() => void) => {
  const set = (): void => {
    const { mine, holders } = floor.get();
    track.enabled = of === undefined ? mine === "held" : holders.some(({ member }) => member === of);
  };
  set();
  const undo = floor.subscribe(set);
  return () => {
    undo();
    track.enabled = false;
  };
};
