/** Shared documents on the server: what `attachSessions` needs for them, and the app's own way to them. */

export { type Clocks, readFacts, type UpdateFacts } from "./facts.ts";
export { type DocumentName, type YjsOptions, yjsDocuments } from "./server/codec.ts";
export { editDoc, readDoc } from "./server/edit.ts";
