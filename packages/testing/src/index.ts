/** For tests of what is built on Rostrum: a virtual clock, and a proxy that breaks connections in the ways networks do. */

export {
  createFaultProxy,
  type Direction,
  type FaultMode,
  type FaultProxy,
  type FaultProxyOptions,
} from "./fault-proxy.ts";
export { type Cancel, Scheduler } from "./scheduler.ts";
