/** Who is told of what: a member's private entries, and the updates of the documents that its connection follows. */

import { audienceOf, documentIn, type Entry, isPublic, isVisible, type MemberId } from "@rostrum/protocol";

export interface Viewer {
  readonly member: MemberId;
  /** What it follows. */
  readonly documents: ReadonlySet<string>;
}

/** Whether the viewer is to be told of the entry. Its own updates it is always told of: that is how it learns that they are stored. */
export const sees = ({ member, documents }: Viewer, entry: Entry): boolean => {
  const document = documentIn(entry);
  if (document === undefined) return isVisible(entry, member);
  return documents.has(document) || (entry.type === "messages" && entry.by === member);
};

export interface Group<V> {
  readonly viewers: V[];
  readonly entries: readonly Entry[];
}

/** Viewers of the same entries together, with what they see. Those who see what all see come first. */
export const bySight = <V extends Viewer>(viewers: readonly V[], page: readonly Entry[]): readonly Group<V>[] => {
  const apart = page.filter((entry) => documentIn(entry) !== undefined || Array.isArray(audienceOf(entry)));
  if (apart.length === 0) return [{ viewers: [...viewers], entries: page.filter(isPublic) }];
  // Told apart by which documents they follow; who has private entries, or updates of its own, is alone.
  const authors = new Set(apart.map((entry) => (entry.type === "messages" ? entry.by : null)));
  const secrets = apart.filter((entry) => documentIn(entry) === undefined);
  const documents = [...new Set(apart.map(documentIn))].filter((document) => document !== undefined);
  const groups = new Map<string, Group<V>>();
  for (const viewer of viewers) {
    const isAlone = secrets.some((entry) => isVisible(entry, viewer.member));
    const followed = documents.map((document) => (viewer.documents.has(document) ? "1" : "0")).join("");
    const isAuthor = authors.has(viewer.member) && followed.includes("0");
    const key = isAlone || isAuthor ? `${viewer.member} ${followed}` : followed;
    const group = groups.get(key);
    if (group === undefined)
      groups.set(key, { viewers: [viewer], entries: page.filter((entry) => sees(viewer, entry)) });
    else group.viewers.push(viewer);
  }
  return [...groups.values()];
};
