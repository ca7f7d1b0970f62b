/** Shared documents: Yjs bound to the session. */

export { bindDoc } from "./bind.ts";
export type { DocBinding, DocEvents, DocOptions, DocStatus, Replaced } from "./binding.ts";
export type { Draft, DraftReason } from "./drafts.ts";
export { type Clocks, readFacts, type UpdateFacts } from "./facts.ts";
export type { Writable } from "./rights.ts";
export type { Undoing } from "./undo.ts";
export type { Version, Versions } from "./versions.ts";
