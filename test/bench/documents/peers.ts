/** What the peers' servers have in common: an HTTP server's beginning and end, and y-leveldb. */

import type { Server } from "node:http";

/** What we use of y-leveldb, whose types its package does not let be found. */
export interface LeveldbPersistence {
  getMeta(document: string, key: string): Promise<unknown>;
  destroy(): Promise<void>;
}

export const listen = (http: Server): Promise<void> =>
  new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen(0, "127.0.0.1", resolve);
  });

/** Ends it together with whoever is still connected. */
export const stop = async (http: Server): Promise<void> => {
  const closed = new Promise((resolve) => http.close(resolve));
  http.closeAllConnections();
  await closed;
};
