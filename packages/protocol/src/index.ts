/** The session as pure data: what happened, what is asked for, what travels, and the two functions between them. */

export type { Activity, ActivityKind, ActivityPoint, TransferInfo, TransferPoint } from "./activities/activity.ts";
export { storedBytes } from "./activities/activity.ts";
export { foldActivity } from "./activities/fold.ts";
export { audienceIn, concerns } from "./activities/sight.ts";
export * from "./command.ts";
export * from "./config.ts";
export * from "./decide.ts";
export { beginDeciding, type Deciding, decided, type Inspect, type Refusal } from "./deciding.ts";
export type { Dialog, Proposal, Subject } from "./dialog/dialog.ts";
export { guardOf } from "./dialog/rules.ts";
export {
  type Beginning,
  type DocumentHead,
  documentEvent,
  documentIn,
  documentOf,
  isUpdate,
  newDocument,
  type UpdateItem,
} from "./documents/document.ts";
export { commandsAsText, entriesAsText, entriesFromText } from "./documents/text.ts";
export * from "./entry.ts";
export * from "./errors.ts";
export * from "./floors/config.ts";
export type { EndReason, Floor, FloorCounts, FloorRequest, Grant, RevokeReason, Turn } from "./floors/floor.ts";
export { ranked } from "./floors/order.ts";
export { chairsOf, floorConfigIn, floorOf, grantOf, type Lease } from "./floors/sight.ts";
export { fold, foldAll } from "./fold.ts";
export * from "./frame.ts";
export * from "./ids.ts";
export * from "./limits.ts";
export { fromPacket, toPacket } from "./packet.ts";
export * from "./parse.ts";
export * from "./payload.ts";
export { may, type Verb } from "./permission.ts";
export * from "./state.ts";
export { type Epoch, forkOf, toldEpochs } from "./sync/epoch.ts";
export * from "./sync/sync.ts";
