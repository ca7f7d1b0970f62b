/**
 * Awareness over the session: who is here, and what they show, is not stored. A client's number belongs to the member that showed
 * it first, and a member shows one at a time; so nobody speaks for another, and no ghost of a reloaded page stays.
 */

import type { ExtensionHost } from "@rostrum/client";
import type { MemberId } from "@rostrum/protocol";
import {
  type Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from "y-protocols/awareness";
import { type AwarenessEntry, readAwareness, writeAwareness } from "./awareness-wire.ts";
import type { Effects } from "./terms.ts";

const pause = 50;
/** More than so many newcomers in one go are answered all together. */
const mostSingle = 3;
/** Numbers that are remembered of those who no longer show them. */
const mostMissed = 1_000;

interface Changes {
  readonly added: readonly number[];
  readonly updated: readonly number[];
  readonly removed: readonly number[];
}

export class Presence {
  private readonly event: string;
  private awareness: Awareness;
  private readonly owners = new Map<number, MemberId>();
  private readonly shown = new Map<MemberId, number>();
  /** Removed here and not by who showed it: it may show the same again. */
  private readonly missed = new Set<number>();
  private isDue = false;
  private undo: (() => void) | undefined;
  private readonly asking = new Set<MemberId>();
  private answering: (() => void) | undefined;
  private wasLive = false;
  private members: ReadonlyMap<MemberId, unknown> | undefined;
  private readonly unhear: () => void;
  private readonly unleft: () => void;

  constructor(
    document: string,
    private readonly session: Pick<ExtensionHost, "volatile" | "isLive" | "state" | "self">,
    private readonly effects: Pick<Effects, "after" | "defer" | "hear" | "left">,
    awareness: Awareness,
  ) {
    this.event = `@aware/${document}`;
    this.awareness = awareness;
    awareness.on("update", this.updated);
    this.unhear = effects.hear(this.event, (from, args) => this.heard(from, args));
    this.unleft = effects.left(
      () => this.goodbye(),
      () => this.hello(),
    );
  }

  /** Whose state it is. */
  memberOf(client: number): MemberId | undefined {
    return client === this.awareness.clientID ? this.session.self() : this.owners.get(client);
  }

  /** The session came live, or somebody came or went. */
  changed(): void {
    const { members } = this.session.state();
    if (members !== this.members) {
      this.members = members;
      for (const [client, owner] of this.owners) {
        const member = members.get(owner);
        if (member === undefined || member.presence === "gone") this.forget(client, owner);
      }
    }
    const live = this.session.isLive();
    if (live && !this.wasLive) {
      // The others may have given us up meanwhile: with a higher number it is news to all.
      const state = this.awareness.getLocalState();
      if (state !== null) this.awareness.setLocalState(state);
      this.session.volatile(this.event, [null, true]);
    }
    this.wasLive = live;
  }

  /** Another document takes its place. What is shown goes over to it, theirs and ours. */
  move(next: Awareness): void {
    const { awareness } = this;
    awareness.off("update", this.updated);
    const state = awareness.getLocalState();
    const others = [...awareness.states.keys()].filter((client) => client !== awareness.clientID);
    if (others.length > 0) applyAwarenessUpdate(next, encodeAwarenessUpdate(awareness, others), this);
    if (state !== null) {
      removeAwarenessStates(awareness, [awareness.clientID], this);
      this.session.volatile(this.event, [encodeAwarenessUpdate(awareness, [awareness.clientID]), false]);
    }
    this.awareness = next;
    next.setLocalState(state);
    next.on("update", this.updated);
    this.isDue = true;
    this.flush();
  }

  /** Says goodbye, and hears nothing more. The awareness itself goes with its document. */
  stop(): void {
    const { awareness } = this;
    awareness.off("update", this.updated);
    this.unhear();
    this.unleft();
    this.undo?.();
    this.answering?.();
    if (awareness.getLocalState() === null) return;
    removeAwarenessStates(awareness, [awareness.clientID], this);
    this.session.volatile(this.event, [encodeAwarenessUpdate(awareness, [awareness.clientID]), false]);
  }

  /** The page is left: a caret that stays for half a minute would be a ghost. What is shown here stays, as it may come back. */
  private goodbye(): void {
    const { awareness } = this;
    const { clientID: client } = awareness;
    const clock = (awareness.meta.get(client)?.clock ?? 0) + 1;
    if (awareness.getLocalState() !== null)
      this.session.volatile(this.event, [writeAwareness([{ client, clock, state: null }]), false]);
  }

  private hello(): void {
    const state = this.awareness.getLocalState();
    // Once for the number that the goodbye had, and once for the next.
    for (let times = 0; times < 2; times += 1) this.awareness.setLocalState(state);
  }

  /** What is shown now goes out now. */
  flush(): void {
    if (!this.isDue) return;
    this.isDue = false;
    this.undo ??= this.effects.after(pause, () => {
      this.undo = undefined;
      this.flush();
    });
    this.session.volatile(this.event, [this.own, false]);
  }

  private get own(): Uint8Array {
    return encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]);
  }

  private readonly updated = ({ added, updated, removed }: Changes, origin: unknown): void => {
    const { clientID } = this.awareness;
    if (origin === "timeout") for (const client of removed) this.missed.add(client);
    if (origin === this || ![...added, ...updated, ...removed].includes(clientID)) return;
    const wasDue = this.isDue;
    this.isDue = true;
    if (!wasDue && this.undo === undefined) this.effects.defer(() => this.flush());
  };

  private heard(from: MemberId | null, [bytes, asks]: readonly unknown[]): void {
    if (from === null || from === this.session.self()) return;
    if (bytes instanceof Uint8Array || bytes instanceof ArrayBuffer) this.take(from, new Uint8Array(bytes));
    if (asks === true) this.answer(from);
  }

  private take(from: MemberId, bytes: Uint8Array): void {
    const entries = this.readable(from, bytes);
    if (entries.length === 0) return;
    const { awareness } = this;
    for (const { client, clock, state } of entries) {
      // Yjs keeps the number of what it gave up, and so would not believe that it is back.
      if (state === null) continue;
      if (this.missed.delete(client) && awareness.meta.get(client)?.clock === clock) awareness.meta.delete(client);
      const former = this.shown.get(from);
      if (former !== undefined && former !== client) this.forget(former, from);
      this.shown.set(from, client);
      this.owners.set(client, from);
    }
    applyAwarenessUpdate(awareness, writeAwareness(entries), this);
  }

  /** What a member may say: that it shows something, the last of what it says, and that what it showed is gone. */
  private readable(from: MemberId, bytes: Uint8Array): readonly AwarenessEntry[] {
    const entries = readAwareness(bytes)?.filter((entry) => this.belongs(entry, from)) ?? [];
    const last = entries.findLast(({ state }) => state !== null);
    return entries.filter((entry) => entry === last || (entry.state === null && this.owners.has(entry.client)));
  }

  private belongs({ client }: AwarenessEntry, from: MemberId): boolean {
    const owner = this.owners.get(client);
    return client !== this.awareness.clientID && (owner === undefined || owner === from);
  }

  private forget(client: number, owner: MemberId): void {
    this.owners.delete(client);
    if (this.shown.get(owner) === client) this.shown.delete(owner);
    this.missed.add(client);
    removeAwarenessStates(this.awareness, [client], this);
    const [oldest] = this.missed;
    if (this.missed.size <= mostMissed || oldest === undefined) return;
    // Who shows another number each time must not fill the memory of all.
    this.missed.delete(oldest);
    if (!this.awareness.states.has(oldest)) this.awareness.meta.delete(oldest);
  }

  private answer(member: MemberId): void {
    this.asking.add(member);
    this.answering ??= this.effects.after(pause, () => {
      this.answering = undefined;
      const to = [...this.asking];
      this.asking.clear();
      if (this.awareness.getLocalState() === null) return;
      this.session.volatile(this.event, [this.own, false], to.length > mostSingle ? undefined : to);
    });
  }
}
