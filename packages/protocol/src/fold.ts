/**
 * `fold`: state and entry in, state out. It records and applies no rule, so an old log means today what it meant when it
 * was written. It runs on both sides; a client folds what it is shown.
 */

import type { Activity } from "./activities/activity.ts";
import { foldActivity } from "./activities/fold.ts";
import { foldDialog, withoutMember } from "./dialog/fold.ts";
import { type DocumentHead, documentIn } from "./documents/document.ts";
import { begunAnew, documentsBack, withRecord, withUpdates } from "./documents/fold.ts";
import { type ActivityEntry, type Entry, isActivityEntry, lastOffset } from "./entry.ts";
import type { Floor } from "./floors/floor.ts";
import { foldFloor } from "./floors/fold.ts";
import type { MemberId, Offset, Seq } from "./ids.ts";
import type { Member, SessionState } from "./state.ts";
import { maxEpochs } from "./sync/epoch.ts";
import { foldSync, syncWithout, withoutState } from "./sync/fold.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * A state being built by several entries. The maps are copied at most once for all of them, which is what makes two
 * thousand resumes in one append affordable. The state it started from is never touched.
 */
export interface Folding extends Mutable<SessionState> {
  owned: {
    members?: Map<MemberId, Member>;
    seqs?: Map<MemberId, Seq>;
    floors?: Map<string, Floor>;
    activities?: Map<Offset, Activity>;
    documents?: Map<string, DocumentHead>;
  };
}

export const beginFolding = (state: SessionState): Folding => ({ ...state, owned: {} });

/** The finished state. The folding must not be used afterwards. */
export const endFolding = ({ owned: _, ...state }: Folding): SessionState => state;

/** Pure: the state after the entry. */
export const fold = (state: SessionState, entry: Entry): SessionState => foldAll(state, [entry]);

/** Pure: the state after the entries, in order. */
export const foldAll = (state: SessionState, entries: readonly Entry[]): SessionState => {
  if (entries.length === 0) return state;
  const folding = beginFolding(state);
  for (const entry of entries) foldInto(folding, entry);
  return endFolding(folding);
};

const members = (to: Folding): Map<MemberId, Member> => (to.members = to.owned.members ??= new Map(to.members));
const seqs = (to: Folding): Map<MemberId, Seq> => (to.seqs = to.owned.seqs ??= new Map(to.seqs));
const floors = (to: Folding): Map<string, Floor> => (to.floors = to.owned.floors ??= new Map(to.floors));
const activities = (to: Folding): Map<Offset, Activity> =>
  (to.activities = to.owned.activities ??= new Map(to.activities));

const documents = (to: Folding): Map<string, DocumentHead> =>
  (to.documents = to.owned.documents ??= new Map(to.documents));

const changeMember = (to: Folding, id: MemberId, change: Partial<Member>): void => {
  const member = to.members.get(id);
  if (member !== undefined) members(to).set(id, { ...member, ...change });
};

/** A command of the member was stored: its seq is used up, and its present incarnation has shown that it got its token. */
const advanceSeq = (to: Folding, id: MemberId, seq: Seq): void => {
  seqs(to).set(id, seq);
  const member = to.members.get(id);
  if (member !== undefined && member.confirmed < member.incarnation)
    changeMember(to, id, { confirmed: member.incarnation });
};

const connected = ({ at, offset }: Entry): Pick<Member, "presence" | "since" | "changed"> => ({
  presence: "connected",
  since: at,
  changed: offset,
});

const foldActivityInto = (to: Folding, entry: ActivityEntry): void => {
  const id = entry.type === "activity-started" ? entry.offset : entry.activity;
  const activity = foldActivity(to.activities.get(id), entry, (member) => to.members.get(member)?.user);
  if (activity !== undefined) activities(to).set(id, activity);
  else if (to.activities.has(id)) {
    activities(to).delete(id);
    to.sync = withoutState(to.sync, id);
  }
};

/** Applies one entry to a folding. */
export const foldInto = (to: Folding, entry: Entry): void => {
  to.head = lastOffset(entry);
  if (entry.at > to.at) to.at = entry.at;
  if (entry.type === "messages") {
    if (entry.by !== null && entry.seq !== undefined) advanceSeq(to, entry.by, entry.seq + entry.items.length - 1);
    const document = documentIn(entry);
    if (document !== undefined) documents(to).set(document, withUpdates(to.documents.get(document), entry, to.head));
    return;
  }
  to.control = entry.offset;
  if ("seq" in entry && entry.by !== null && entry.seq !== undefined) advanceSeq(to, entry.by, entry.seq);
  if (isActivityEntry(entry)) return foldActivityInto(to, entry);
  switch (entry.type) {
    case "opened":
      to.birth = entry.birth;
      to.config = entry.config;
      to.dialog = { mode: entry.config.dialog?.mode ?? "full-duplex", proposal: null };
      to.epochs = [{ id: entry.birth, from: entry.offset }];
      return;
    case "epoch-begun":
      to.epochs = [...to.epochs, { id: entry.epoch, from: entry.offset }].slice(-maxEpochs);
      return;
    case "configured":
      to.config = entry.config;
      return;
    case "joined": {
      const { member: id, user, name, roles, node, instance } = entry;
      members(to).set(id, {
        id,
        user,
        roles,
        node,
        presence: "connected",
        since: entry.at,
        changed: entry.offset,
        incarnation: 1,
        confirmed: 0,
        ...(name === undefined ? {} : { name }),
        ...(instance === undefined ? {} : { instance }),
      });
      return;
    }
    case "resumed": {
      const { member: id, user, name, roles, node, incarnation } = entry;
      // A view does not show who is gone.
      if (user !== undefined && !to.members.has(id))
        members(to).set(id, { id, user, roles, node, incarnation, confirmed: 0, ...connected(entry) });
      changeMember(to, id, { incarnation, node, roles, ...connected(entry), ...(name === undefined ? {} : { name }) });
      return;
    }
    case "dropped":
      changeMember(to, entry.member, { presence: "dropped", since: entry.since, changed: entry.offset });
      return;
    case "left":
      to.dialog = withoutMember(to.dialog, entry.member);
      to.sync = syncWithout(to.sync, entry.member);
      if (entry.how === "expired") {
        changeMember(to, entry.member, { presence: "gone", since: entry.at, changed: entry.offset });
      } else {
        members(to).delete(entry.member);
        seqs(to).delete(entry.member);
      }
      return;
    case "forgotten":
      members(to).delete(entry.member);
      seqs(to).delete(entry.member);
      return;
    case "floor-requested":
    case "floor-accepted":
    case "floor-granted":
    case "floor-denied":
    case "floor-cancelled":
    case "floor-reordered":
    case "floor-ending":
    case "floor-released":
    case "floor-revoked":
    case "floor-freed":
    case "floor-configured": {
      const floor = foldFloor(to.floors.get(entry.floor), entry, (id) => to.members.get(id)?.user);
      if (floor === undefined) floors(to).delete(entry.floor);
      else floors(to).set(entry.floor, floor);
      return;
    }
    case "proposed":
    case "answered":
    case "settled":
    case "dialog-switched":
      to.dialog = foldDialog(to.dialog, entry);
      return;
    case "sync-point":
    case "sync-confirmed":
    case "sync-settled":
    case "sync-shared":
    case "exception":
      to.sync = foldSync(to.sync, entry, to.config.sync.points);
      return;
    case "resynchronized": {
      to.sync = foldSync(to.sync, entry, to.config.sync.points);
      const back = documentsBack(to.documents, entry);
      if (back !== undefined) to.documents = to.owned.documents = back;
      return;
    }
    case "document-restored": {
      const { document, offset: at, from, point } = entry;
      documents(to).set(document, begunAnew(to.documents.get(document), { at, document: from, point }));
      return;
    }
    case "document-saved": {
      const head = to.documents.get(entry.document);
      if (head !== undefined) documents(to).set(entry.document, withRecord(head, entry));
      return;
    }
    case "documents-thinned":
      to.thinned = Math.max(to.thinned, entry.upTo);
      return;
    case "ended":
      to.ended = { at: entry.at, ...(entry.reason === undefined ? {} : { reason: entry.reason }) };
      return;
    default:
      // An entry of a newer version: its place is known, its meaning is not. Optional by the rule of negotiation.
      entry satisfies never;
  }
};
