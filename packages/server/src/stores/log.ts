/** What stores have in common: moving a batch to its place, and telling those who follow. */

import type { Entry, Offset, SessionId } from "@rostrum/protocol";

/** The batch as it stands if it begins at `first`. */
export const movedTo = (entries: readonly Entry[], first: Offset): readonly Entry[] => {
  const by = first - (entries[0]?.offset ?? first);
  return by === 0 ? entries : entries.map((entry) => ({ ...entry, offset: entry.offset + by }));
};

type Follower = (entries: readonly Entry[]) => void;

export class Followers {
  private readonly bySession = new Map<SessionId, Set<Follower>>();

  add(session: SessionId, follower: Follower): () => void {
    const set = this.bySession.get(session) ?? new Set();
    this.bySession.set(session, set.add(follower));
    return () => {
      set.delete(follower);
      if (set.size === 0 && this.bySession.get(session) === set) this.bySession.delete(session);
    };
  }

  tell(session: SessionId, entries: readonly Entry[]): void {
    for (const follower of this.bySession.get(session) ?? []) follower(entries);
  }
}
