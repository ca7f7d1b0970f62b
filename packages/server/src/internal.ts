/** What the simulated world needs: the host without its rim. No promise of stability. */

export type { DocumentEffects } from "./documents/effects.ts";
export { Host, type HostEffects, type HostOptions } from "./host.ts";
export { makeToken, readToken } from "./token.ts";
