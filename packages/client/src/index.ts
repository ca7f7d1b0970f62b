/** Rostrum's client: sessions that survive drops, reloads, crashes and deploys, with floors for taking turns. */

export { type ErrorCode, RostrumError, type SyncPoint } from "@rostrum/protocol";
export type { Activities, StartOptions } from "./activities.ts";
export type { Activity, ActivityChange } from "./activity.ts";
export type { ActivityPoint, ActivityView } from "./activity-view.ts";
export { type AuthContext, type Client, type ClientOptions, createClient } from "./client.ts";
export type { AskedProposal, Dialog, DialogView, Proposal, ProposalOutcome, ProposeOptions } from "./dialog.ts";
export type { RestoredFrom } from "./engine/delivery.ts";
export type { Extension, ExtensionHost } from "./engine/extension.ts";
export type { Stored } from "./engine/outbox.ts";
export type { Key, Transaction } from "./engine/record.ts";
export type { Resumption } from "./engine/terms.ts";
export type {
  AnyEvents,
  EventHandler,
  MemberView,
  Meta,
  Resynchronization,
  Returned,
  Sending,
  SessionEvents,
} from "./events.ts";
export type { AskOptions, Floor, Grant, RequestOptions } from "./floor.ts";
export type { FloorHolder, FloorTurn, FloorView, FloorWaiting } from "./floor-view.ts";
export { type GateOptions, gate } from "./gate.ts";
export type { Retry } from "./link.ts";
export type { Observable } from "./observable.ts";
export type { Session } from "./session.ts";
export type { Beside, SessionOptions } from "./session-options.ts";
export type { Status } from "./status.ts";
export { indexedDBStorage } from "./storage/indexeddb.ts";
export { memoryStorage } from "./storage/memory.ts";
export type { Storage } from "./storage/storage.ts";
export type { MajorOptions, MinorOptions, PointOptions, PointOutcome, SyncPoints } from "./sync-points.ts";
export type { Release, Tabs } from "./tabs.ts";
export type {
  IncomingTransfer,
  OutgoingTransfer,
  ReceivingProgress,
  SendingProgress,
  SendOptions,
  TransferSource,
  TransferView,
} from "./transfer-view.ts";
export type { Transfers } from "./transfers.ts";
