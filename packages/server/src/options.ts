/** What an app says when it attaches sessions to its Socket.IO server, and what that comes to. */

import {
  type ActivityConfig,
  configFault,
  contradiction,
  type DialogConfig,
  defaultActivities,
  defaultConfig,
  defaultDialog,
  defaultDocuments,
  defaultFloor,
  defaultLimits,
  defaultSync,
  type FloorConfig,
  type FloorPolicy,
  fitting,
  floorConfigOf,
  type History,
  isToken,
  type Limits,
  type Member,
  type MemberCommand,
  RostrumError,
  type SessionConfig,
  type SessionId,
  type SessionState,
  type SyncConfig,
  type Time,
} from "@rostrum/protocol";
import type { Socket } from "socket.io";
import type { BlobStore } from "./blobs.ts";
import type { DocumentCodec } from "./documents/codec.ts";
import type { FloorChair } from "./floors/auto-chair.ts";
import { defaultRetention, type Retention } from "./retention.ts";
import type { DocumentStore, Store } from "./store.ts";
import { defaultBeside, type Room } from "./transfers/traffic.ts";

/** Who somebody is, as the app sees it. */
export interface Identity {
  readonly user: string;
  readonly name?: string;
  /** Names from the `roles` option; default `["member"]`. */
  readonly roles?: readonly string[];
  /** Until when this holds, milliseconds since 1970. The client is asked for a fresh `auth` before that. */
  readonly expiresAt?: Time;
}

export interface AuthenticateContext {
  /** What the client's `auth` option answered. */
  readonly auth: unknown;
  readonly session: SessionId;
  /** Whether a member is being taken up again. Decide as freshly as at the first time: access may have been withdrawn. */
  readonly resume: boolean;
  readonly handshake: Socket["handshake"];
  /** Fires when the connection is gone or the time for an answer is over. */
  readonly signal: AbortSignal;
}

/** A floor's options; see `FloorConfig` for what each means and `defaultFloor` for what it is without. */
export interface FloorOptions extends Partial<Omit<FloorConfig, "policy">> {
  /** As data, or a function in the chair. */
  readonly policy?: FloorPolicy | FloorChair;
}

export interface SessionsOptions {
  readonly store: Store;
  /**
   * Where the bytes of transfers and shared states lie; default: the store's own (`store.blobs`). Closed with the store.
   * Without either, transfers are refused with FEATURE_MISSING.
   */
  readonly blobs?: BlobStore;
  /**
   * Largest piece, and most bytes under way, of each transfer while somebody uses a session on this server, so that messages do
   * not wait; in quiet `limits.chunkBytes` and `limits.laneBytes` hold. Default 65,536 and 524,288.
   */
  readonly transferBeside?: Partial<Room>;
  /** Bytes of uploads in memory at once, over all sessions; who exceeds it waits. Default 64 MiB. */
  readonly transferBytes?: number;
  /**
   * Runs at every open and every resume. Answer who it is, or `null` to refuse for good (AUTH_REFUSED). What it throws
   * counts as a passing failure (AUTH_FAILED, the client tries again) unless it is a `RostrumError`.
   * Without it everybody is let in as a user of their own.
   */
  readonly authenticate?: (context: AuthenticateContext) => Promise<Identity | null> | Identity | null;
  /**
   * Role → permissions: `emit`, `volatile`, `sync` (or `minor`, `major`, `confirm`, `resynchronize`), `activity`, `transfer`,
   * `document` (or `read`, `edit`, `restore`), `end`, `dialog`, `floor` (or `request`, `pass`), `moderate` (or `accept`, `grant`, `deny`, `revoke`, `give`, `take`,
   * `reorder`, `configure`, `priority`, `beneficiary`), `*` for all. With a name or pattern each concerns that alone:
   * `emit:note`, `moderate:mic`, `floor:cell:*`, `transfer:report`.
   */
  readonly roles?: Readonly<Record<string, readonly string[]>>;
  /** Floor → how it works. `prefix*` makes a floor of each name that begins so, when it is first asked for. */
  readonly floors?: Readonly<Record<string, FloorOptions>>;
  /** Event → floor: only a holder may emit it. `channel:*` guards all events that begin so. */
  readonly guards?: Readonly<Record<string, string>>;
  /** Lets members negotiate half-duplex and release, and gives the session X.215's tokens as floors (`@data` …). */
  readonly dialog?: Partial<DialogConfig>;
  /** How sync points are confirmed, and what follows if a member cannot go on. */
  readonly sync?: Partial<Omit<SyncConfig, "points">>;
  /** Limits and times of activities and transfers. */
  readonly activities?: Partial<ActivityConfig>;
  /** Lets sessions have documents: `yjsDocuments()` of `@rostrum/yjs/server`. Their records lie in the store. */
  readonly documents?: DocumentCodec;
  /** Milliseconds that a function in a floor's chair may take; default 5,000. */
  readonly chairWithin?: number;
  /** The escape hatch: the last word on a member's command, before it is stored. Answer `true`, or why not. Synchronous. */
  readonly authorize?: (context: {
    readonly member: Member;
    readonly command: MemberCommand;
    readonly state: SessionState;
  }) => boolean | RostrumError;
  readonly history?: History;
  readonly limits?: Partial<Limits> & {
    /** Messages a second that a member may send on average; what comes faster waits. */
    readonly rate?: number;
    /** Messages that a member may send at once. */
    readonly burst?: number;
    readonly members?: number;
    /** Members one user may have attached to this server at once, over all sessions. */
    readonly sessionsPerUser?: number;
    readonly syncPoints?: number;
    /** Floors in use at once in a session; default 20,000. */
    readonly floors?: number;
  };
  readonly retention?: Partial<Retention>;
  /** Offsets after which the state is saved; default 1,000. */
  readonly snapshotEvery?: number;
  /** Milliseconds without a connection after which the others see a member as dropped; default 2,000. */
  readonly flicker?: number;
  /** Milliseconds after a drop when a member counts as left; default an hour. */
  readonly memberGrace?: number;
  /** Milliseconds after that during which it can still come back as itself; default 7 days. */
  readonly forgetAfter?: number;
  /** Milliseconds after which a session without anybody is put away; default 60,000. */
  readonly idle?: number;
  /** Milliseconds that `authenticate` may take; default 10,000. */
  readonly authenticateWithin?: number;
  /** Milliseconds after `expiresAt` before a member without a fresh auth is let go; default 30,000. */
  readonly authGrace?: number;
}

export interface Settings {
  readonly chairs: Readonly<Record<string, FloorChair | undefined>>;
  readonly chairWithin: number;
  readonly store: Store;
  readonly blobs: BlobStore | undefined;
  readonly beside: Room;
  readonly transferBytes: number;
  /** Absent: sessions have no documents. */
  readonly documents: { readonly store: DocumentStore; readonly codec: DocumentCodec } | undefined;
  readonly config: SessionConfig;
  readonly limits: Limits;
  readonly rate: number;
  readonly burst: number;
  readonly sessionsPerUser: number;
  readonly retention: Retention;
  readonly snapshotEvery: number;
  readonly flicker: number;
  readonly idle: number;
  readonly authenticateWithin: number;
  readonly authGrace: number;
  readonly authenticate: SessionsOptions["authenticate"];
  readonly authorize: SessionsOptions["authorize"];
}

const usage = (message: string): never => {
  throw new RostrumError("USAGE", message);
};

const checkFloors = (config: SessionConfig): void => {
  for (const [name, { chair, ...floor }] of Object.entries(config.floors)) {
    const full: FloorConfig = floor;
    const fault = configFault({ ...full }) ?? contradiction(full);
    if (fault !== undefined) usage(`floors: "${name}": ${fault}.`);
    if (isToken(name) && floorConfigOf(config, name) === undefined) {
      usage(
        `floors: "${name}" begins with @, which is for the session's own tokens; they come with the dialog option.`,
      );
    }
    if (chair !== undefined && floorConfigOf(config, chair) === undefined)
      usage(`floors: "${name}" is chaired by the floor "${chair}", which is not in floors.`);
  }
  for (const [event, floor] of Object.entries(config.guards)) {
    if (floorConfigOf(config, floor) === undefined)
      usage(`guards: "${event}" is guarded by the floor "${floor}", which is not in floors.`);
  }
};

/** What is counted or waited for is a number; what would be done without end at 0, more. */
const checkNumbers = ({ sync, activities, documents }: SessionConfig, limits: Limits): void => {
  const positive = new Set(["interval", "confirmWithin", "points", "chunkBytes", "laneBytes"]);
  for (const [group, values] of Object.entries({ sync, activities, documents, limits })) {
    for (const [name, value] of Object.entries(values)) {
      if (group === "sync" && (name === "major" || name === "exception")) continue;
      if (typeof value !== "number" || !(value >= 0) || (value === 0 && positive.has(name)))
        usage(`${group}: ${name} is ${String(value)}, and must be ${positive.has(name) ? "above 0" : "0 or more"}.`);
    }
  }
};

/** @throws RostrumError USAGE for options that contradict themselves. */
export const settle = (options: SessionsOptions): Settings => {
  const { limits = {}, floors = {}, guards = {}, roles = defaultConfig.roles } = options;
  const {
    rate = 1_000,
    burst = 2_000,
    members,
    sessionsPerUser = 100,
    syncPoints,
    floors: maxFloors,
    ...conversation
  } = limits;
  // Every floor is in the table, so that a function under a pattern is not taken for one that has its own policy.
  const chairs: Record<string, FloorChair | undefined> = {};
  const config: SessionConfig = {
    floors: Object.fromEntries(
      Object.entries(floors).map(([name, { policy, ...floor }]) => {
        chairs[name] = typeof policy === "function" ? policy : undefined;
        const asData = typeof policy === "function" ? "chair" : (policy ?? defaultFloor.policy);
        const warning = fitting(floor, defaultFloor.warning);
        return [name, { ...defaultFloor, ...floor, policy: asData, warning }];
      }),
    ),
    guards,
    roles,
    ...(options.dialog === undefined ? {} : { dialog: { ...defaultDialog, ...options.dialog } }),
    history: options.history ?? defaultConfig.history,
    maxMembers: members ?? defaultConfig.maxMembers,
    sync: { ...defaultSync, ...options.sync, ...(syncPoints === undefined ? {} : { points: syncPoints }) },
    activities: { ...defaultActivities, ...options.activities },
    documents: {
      most: options.documents?.most ?? defaultDocuments.most,
      bytes: options.documents?.bytes ?? defaultDocuments.bytes,
    },
    maxFloors: maxFloors ?? defaultConfig.maxFloors,
    memberGrace: options.memberGrace ?? defaultConfig.memberGrace,
    forgetAfter: options.forgetAfter ?? defaultConfig.forgetAfter,
  };
  checkFloors(config);
  checkNumbers(config, { ...defaultLimits, ...conversation });
  const { transferBytes = 67_108_864 } = options;
  if (!(transferBytes > 0)) usage(`transferBytes is ${transferBytes}, and must be above 0.`);
  if (!(rate > 0 && burst > 0)) usage(`limits: rate ${rate} and burst ${burst} must be above 0.`);
  return {
    store: options.store,
    blobs: options.blobs ?? options.store.blobs,
    beside: { ...defaultBeside, ...options.transferBeside },
    transferBytes,
    documents:
      options.documents === undefined || options.store.documents === undefined
        ? undefined
        : { store: options.store.documents, codec: options.documents },
    config,
    chairs,
    chairWithin: options.chairWithin ?? 5_000,
    limits: { ...defaultLimits, ...conversation },
    rate,
    burst,
    sessionsPerUser,
    retention: { ...defaultRetention, ...options.retention },
    snapshotEvery: options.snapshotEvery ?? 1_000,
    flicker: options.flicker ?? 2_000,
    idle: options.idle ?? 60_000,
    authenticateWithin: options.authenticateWithin ?? 10_000,
    authGrace: options.authGrace ?? 30_000,
    authenticate: options.authenticate,
    authorize: options.authorize,
  };
};
