import type { MediaAdapter } from "@rostrum/server";
import type { Sfu } from "./sfu.ts";

/** All that ties floors to this SFU. A session is a room, and a room knows its participants by their users. */
export const sfuAdapter = (sfu: Sfu): MediaAdapter => ({
  async setPublishers(publishers, { session, signal }) {
    const may = new Set<string>(publishers.map(({ user }) => user));
    // First who may no longer: if it goes wrong halfway, too few can be heard, and never two.
    for (const user of await sfu.publishers(session)) if (!may.has(user)) await sfu.withdraw(session, user);
    for (const user of may) {
      // A newer list waits: nobody is let in by this one any more.
      signal.throwIfAborted();
      await sfu.permit(session, user);
    }
  },
});
