/** What our other packages, the simulated world and the devtools need: the engine without its rim. No promise of stability. */

export { awaited } from "./awaited.ts";
export type { RestoredFrom } from "./engine/delivery.ts";
export { Engine } from "./engine/engine.ts";
export type { Outgoing, Settle } from "./engine/outbox.ts";
export { backoff, Pulse } from "./engine/pulse.ts";
export { type Checkpoint, readRecord, type Transaction } from "./engine/record.ts";
export { seamOf } from "./engine/seam.ts";
export type { EngineEffects, EngineOptions, Resumption } from "./engine/terms.ts";
export { type Observable, observable, type Source } from "./observable.ts";
