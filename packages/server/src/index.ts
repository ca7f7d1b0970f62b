/** Rostrum's server: sessions, floors and checkpointed resumption on the Socket.IO server you already have. */

export { type ErrorCode, RostrumError } from "@rostrum/protocol";
export { fileBlobs } from "./blobs/files.ts";
export { memoryBlobs } from "./blobs/memory.ts";
export type { BlobReader, BlobStore, BlobWriter } from "./blobs.ts";
export type { Clocks, Compacted, DocumentCodec, UpdateFacts } from "./documents/codec.ts";
export type { DocumentContent, DocumentPart, ReadOptions } from "./documents/documents.ts";
export type { FloorChair, FloorSight, Ruling } from "./floors/auto-chair.ts";
export { type MediaAdapter, type MediaOptions, mediaFollowsFloor, type PublisherContext } from "./floors/media.ts";
export type { FloorMove, Holder } from "./floors/moves.ts";
export type {
  DocumentInfo,
  FloorModeration,
  PointOptions,
  ServerListener,
  ServerMeta,
  ServerUpdate,
  SessionHandle,
  Stored,
  SyncModeration,
} from "./handle.ts";
export type { AuthenticateContext, FloorOptions, Identity, SessionsOptions } from "./options.ts";
export type { Retention } from "./retention.ts";
export { attachSessions, type DrainOptions, type Sessions } from "./sessions.ts";
export type {
  Appended,
  Condition,
  DocumentRecord,
  DocumentStore,
  DocumentVersion,
  DocumentWriter,
  Loaded,
  Mark,
  Snapshot,
  Store,
} from "./store.ts";
export { embeddedStore } from "./stores/embedded.ts";
export { memoryStore } from "./stores/memory.ts";
export type { TransferEnd, TransferListener } from "./transfers/depot.ts";
export type { TransferCounts } from "./transfers/transfers.ts";
