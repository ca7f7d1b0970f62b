/**
 * Heartbeats of both columns' Socket.IO servers: short, so that a dead link is found in seconds. Socket.IO's defaults
 * are 25 s and 20 s; with them, whatever has to wait for a ping timeout takes up to 45 s instead of 4 s.
 */
export const pings = { pingInterval: 2_000, pingTimeout: 2_000 } as const;
