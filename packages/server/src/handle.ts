/** A session as the app's server sees it: reads, emits, listens, moderates, ends. Loads the session when first used. */

import {
  type Activity,
  documentEvent,
  type Floor,
  type FloorChange,
  floorOf,
  fromPayload,
  type Item,
  type MajorRule,
  type Member,
  type MemberCommand,
  type MemberId,
  memberId,
  type Offset,
  RostrumError,
  type Serial,
  type ServerCommand,
  type SessionId,
  type SessionState,
  type Subject,
  type SyncPoint,
  type Time,
  toPayload,
} from "@rostrum/protocol";
import type { DocumentContent, ReadOptions } from "./documents/documents.ts";
import type { Host, Result } from "./host.ts";
import { type Hosts, noBlobs } from "./hosts.ts";
import type { Seat } from "./seat.ts";
import type { TransferListener } from "./transfers/depot.ts";

/** Where something was stored. */
export interface Stored {
  readonly offset: Offset;
  readonly at: Time;
}

export interface ServerMeta extends Stored {
  /** `null`: the server itself. */
  readonly from: MemberId | null;
  readonly user: string | null;
  readonly private: boolean;
}

/** Gets the payload and then the `ServerMeta`. A method's parameters may be narrower than declared, on purpose. */
export type ServerListener = { call(...args: unknown[]): void }["call"];

/** A floor from the server's side: a chair that is always there. */
export interface FloorModeration {
  /** Holders, queue, turns and counts as stored. */
  get(): Promise<Floor>;
  /** Puts a pending request into the queue. @throws RostrumError FLOOR_NOT_REQUESTED, FLOOR_UNKNOWN */
  accept(member: string): Promise<Stored>;
  /** Grants a request, if there is room. @throws RostrumError FLOOR_BUSY, FLOOR_NOT_REQUESTED, FLOOR_UNKNOWN */
  grant(member: string): Promise<Stored>;
  /** Gives the floor to a member who need not have asked. @throws RostrumError FLOOR_BUSY, RECIPIENT_UNKNOWN */
  give(member: string): Promise<Stored>;
  /** Takes a request off the queue. @throws RostrumError FLOOR_NOT_REQUESTED, FLOOR_UNKNOWN */
  deny(member: string, reason?: string): Promise<Stored>;
  /** Takes the floor from its holder. @throws RostrumError FLOOR_NOT_HELD, FLOOR_UNKNOWN */
  revoke(member: string, reason?: string): Promise<Stored>;
  /** Puts a request at a place in the queue, from 1. @throws RostrumError FLOOR_NOT_REQUESTED */
  reorder(member: string, position: number): Promise<Stored>;
  /** Changes how the floor works, for the rest of the session. @throws RostrumError FLOOR_CONFIG_INVALID */
  configure(change: FloorChange): Promise<Stored>;
}

/** What a sync point says of itself. */
export interface PointOptions {
  readonly name?: string;
  readonly data?: unknown;
}

/** Sync points from the server's side (X.215). The returned point is as it stood when it was set. */
export interface SyncModeration {
  /**
   * Marks this place in the log. `confirm`: all members who are here and may are asked to confirm it.
   * @throws RostrumError SYNC_LIMIT, SESSION_ENDED
   */
  minor(options?: PointOptions & { readonly confirm?: boolean }): Promise<SyncPoint>;
  /**
   * Ends a dialogue unit: behind it nothing goes back once it is confirmed, by whom `rule` says (default: the `sync`
   * option's `major`) and within so many milliseconds. Confirmed, the state is saved at once, and the log may be cut there.
   * @throws RostrumError SYNC_PENDING, SYNC_LIMIT, SESSION_ENDED
   */
  major(options?: PointOptions & { readonly rule?: MajorRule; readonly within?: number }): Promise<SyncPoint>;
  /**
   * Takes all back to the state at this point; what was said since is void. 0, or the last confirmed major one: to where
   * the dialogue unit begins.
   * @throws RostrumError SYNC_UNKNOWN, SYNC_SECURED
   */
  restart(serial: Serial, reason?: string): Promise<Stored>;
  /** Takes all back to the last confirmed major point; the next point gets a serial that was never used. */
  abandon(reason?: string): Promise<Stored>;
  /** Takes nothing back; the next point gets this serial, and nothing goes back behind here. */
  set(serial: Serial, reason?: string): Promise<Stored>;
}

/** What the session's state tells of a document. */
export interface DocumentInfo {
  readonly name: string;
  /** Where its content was begun. */
  readonly lineage: Offset;
  /** The last entry that changed it. */
  readonly last: Offset;
  /** Updates, and their bytes, that the store's record has not yet: at most. */
  readonly updates: number;
  readonly bytes: number;
}

/** An update that the server made. */
export interface ServerUpdate {
  /** A number that no other copy of the document has; see `UpdateItem`. */
  readonly replica: number;
  readonly n: number;
  readonly lineage: Offset;
  readonly update: Uint8Array;
}

const noDocuments = (): RostrumError =>
  new RostrumError(
    "FEATURE_MISSING",
    "The server keeps no documents. Give attachSessions the documents option, and a store that has room for them.",
    { feature: "documents" },
  );

export class SessionHandle {
  constructor(
    readonly id: SessionId,
    private readonly hosts: () => Promise<Hosts>,
    private readonly depth: number,
  ) {}

  /** The folded state, as stored. */
  async state(): Promise<SessionState> {
    const host = (await this.hosts()).get(this.id);
    // A tick that has nothing to do answers as soon as the session is loaded and what is before it is stored.
    await this.command({ type: "tick" });
    return host.current;
  }

  async members(): Promise<readonly Member[]> {
    return [...(await this.state()).members.values()].filter(({ presence }) => presence !== "gone");
  }

  /**
   * Stores an event in the session, from the server.
   *
   * @example
   * await sessions.get("standup-42").emit("notice", "five minutes left")
   */
  emit(event: string, ...args: unknown[]): Promise<Stored> {
    return this.emitTo(undefined, event, ...args);
  }

  /** The same, for some members only. */
  emitTo(to: readonly string[] | undefined, event: string, ...args: unknown[]): Promise<Stored> {
    const items: Item[] = [[event, ...args.map((arg) => toPayload(arg, this.depth))]];
    return this.stored({ type: "messages", items, ...(to === undefined ? {} : { to: to.map(memberId) }) });
  }

  readonly volatile: { readonly emit: (event: string, ...args: unknown[]) => void } = {
    /** To those who are here now; not stored. */
    emit: (event, ...args) => {
      const payload = args.map((arg) => toPayload(arg, this.depth));
      // Without a store there is nobody to tell.
      this.hosts().then(
        (hosts) => hosts.get(this.id).relay(null, event, payload, undefined),
        () => {},
      );
    },
  };

  /**
   * Listens to an event from now on. Called once for each stored message; keeps the session loaded until undone.
   *
   * @example
   * const stop = sessions.get("standup-42").on("note", (note, meta) => save(meta.offset, note))
   */
  on(event: string, listener: ServerListener): () => void {
    return this.whenOpen((hosts) =>
      hosts.listen(this.id, (entries, state) => {
        for (const entry of entries) {
          if (entry.type !== "messages") continue;
          entry.items.forEach(([name, ...args], index) => {
            if (name !== event) return;
            const user = entry.by === null ? null : (state.members.get(entry.by)?.user ?? null);
            const meta: ServerMeta = {
              offset: entry.offset + index,
              at: entry.at,
              from: entry.by,
              user,
              private: entry.to !== undefined,
            };
            try {
              listener(...args.map(fromPayload), meta);
            } catch (cause) {
              console.error(`rostrum: a listener of "${event}" threw; the entry counts as delivered.`, cause);
            }
          });
        }
      }),
    );
  }

  floor(name: string): FloorModeration {
    const of = (member: string): { floor: string; member: MemberId } => ({ floor: name, member: memberId(member) });
    const why = (reason: string | undefined): { reason?: string } => (reason === undefined ? {} : { reason });
    return {
      get: async () => floorOf(await this.state(), name),
      accept: (member) => this.stored({ type: "floor-accept", ...of(member) }),
      grant: (member) => this.stored({ type: "floor-grant", ...of(member) }),
      give: (member) => this.stored({ type: "floor-give", ...of(member) }),
      deny: (member, reason) => this.stored({ type: "floor-deny", ...of(member), ...why(reason) }),
      revoke: (member, reason) => this.stored({ type: "floor-revoke", ...of(member), ...why(reason) }),
      reorder: (member, position) => this.stored({ type: "floor-reorder", ...of(member), position }),
      configure: (change) => this.stored({ type: "floor-configure", floor: name, change }),
    };
  }

  /**
   * Proposes a dialog mode or an orderly release to all members. Resolves when the proposal is stored; what comes of it
   * stands in the state.
   */
  propose(subject: Subject, within?: number): Promise<Stored> {
    return this.stored({ type: "propose", subject, ...(within === undefined ? {} : { within }) });
  }

  /** Withdraws whatever is proposed, by whomever. @throws RostrumError PROPOSAL_UNKNOWN */
  withdraw(proposal: Offset): Promise<Stored> {
    return this.stored({ type: "withdraw", proposal });
  }

  /** Sync points from the server's side. It needs no token for them, and its confirmation is never asked for. */
  readonly sync: SyncModeration = {
    minor: ({ confirm, ...about } = {}) =>
      this.point({ type: "sync-minor", ...this.described(about), ...(confirm === true ? { confirm } : {}) }),
    major: ({ rule, within, ...about } = {}) =>
      this.point({
        type: "sync-major",
        ...this.described(about),
        ...(rule === undefined ? {} : { rule }),
        ...(within === undefined ? {} : { within }),
      }),
    restart: (serial, reason) => this.resynchronize({ kind: "restart", serial }, reason),
    abandon: (reason) => this.resynchronize({ kind: "abandon" }, reason),
    set: (serial, reason) => this.resynchronize({ kind: "set", serial }, reason),
  };

  /**
   * The session's activities and transfers: at work, interrupted, or ended and still kept.
   *
   * @example
   * const waiting = (await sessions.get("standup-42").activities()).filter(({ status }) => status === "ended")
   */
  async activities(): Promise<readonly Activity[]> {
    return [...(await this.state()).activities.values()];
  }

  /** Gives an activity up, whoever runs it; a transfer's bytes are removed. @throws RostrumError ACTIVITY_UNKNOWN */
  discard(activity: Offset, reason?: string): Promise<Stored> {
    return this.stored({ type: "activity-discard", activity, ...(reason === undefined ? {} : { reason }) });
  }

  /**
   * The bytes of a transfer, or of a state, from the beginning. While it runs they come as they are confirmed, and the
   * reading ends when it has ended. From then on they stay until this has read them, even if all others have them.
   *
   * @throws RostrumError ACTIVITY_UNKNOWN; TRANSFER_ABORTED if it is given up meanwhile; BLOB_FAILED, BLOB_UNKNOWN;
   * SERVER_BUSY if the session stops meanwhile: read again; FEATURE_MISSING if the store keeps no blobs
   * @example
   * for await (const piece of sessions.get("standup-42").read(activity.id)) hash.update(piece)
   */
  async *read(activity: Offset, { signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array, void> {
    const hosts = await this.hosts();
    if (hosts.transfers === undefined) throw noBlobs();
    // Who listens keeps the session from being put away.
    const unlisten = hosts.listen(this.id, () => {});
    try {
      await this.state();
      const depot = hosts.transfers.depot(this.id);
      if (depot === undefined) throw new RostrumError("SERVER_BUSY", "The session is being loaded; read again.");
      yield* depot.read(activity, signal);
    } finally {
      unlisten();
    }
  }

  /**
   * Listens to this session's transfers that have ended, from now on; keeps the session loaded until undone. See
   * `Sessions.onTransfer`, which hears those of all sessions.
   *
   * @example
   * const stop = session.onTransfer(({ activity, bytes, digest }) => audit(activity.name, bytes, digest))
   */
  onTransfer(listener: TransferListener): () => void {
    return this.whenOpen((hosts) => {
      const unlisten = hosts.listen(this.id, () => {});
      const own: TransferListener = (end) => (end.session === this.id ? listener(end) : undefined);
      hosts.transferListeners.add(own);
      return () => {
        unlisten();
        hosts.transferListeners.delete(own);
      };
    });
  }

  /** The session's documents, without their content. @throws RostrumError FEATURE_MISSING */
  async documents(): Promise<readonly DocumentInfo[]> {
    await this.withDocuments();
    return [...(await this.state()).documents].map(([name, { lineage, last, updates, bytes }]) => ({
      name,
      lineage,
      last,
      updates,
      bytes,
    }));
  }

  /**
   * What a document holds, as updates; `readDoc` of `@rostrum/yjs/server` makes a document of it.
   * @throws RostrumError DOCUMENT_UNKNOWN, SYNC_UNKNOWN, FEATURE_MISSING; SERVER_BUSY, STORE_FAILED: read again
   */
  async readDocument(name: string, options: ReadOptions = {}): Promise<DocumentContent> {
    const host = await this.withDocuments();
    await this.state();
    return new Promise((resolve, reject) => {
      const { documents } = host();
      if (documents === undefined) return reject(noDocuments());
      documents.read(name, options, (content) =>
        content instanceof RostrumError ? reject(content) : resolve(content),
      );
    });
  }

  /**
   * Stores an update of the server's own; `editDoc` of `@rostrum/yjs/server` makes one.
   * @throws RostrumError DOCUMENT_FULL, DOCUMENT_GAP, DOCUMENT_INVALID, DOCUMENT_LIMIT, DOCUMENT_RESTORED, FEATURE_MISSING
   */
  async updateDocument(name: string, { replica, n, lineage, update }: ServerUpdate): Promise<Stored> {
    await this.withDocuments();
    return this.stored({ type: "messages", items: [[documentEvent(name), replica, n, lineage, update]] });
  }

  /**
   * Lets a document begin anew with the state that it, or `from`, had at a sync point (its offset).
   * @throws RostrumError DOCUMENT_UNKNOWN, SYNC_UNKNOWN, DOCUMENT_LIMIT, FEATURE_MISSING
   */
  async restoreDocument(name: string, point: Offset, from?: string): Promise<Stored> {
    await this.withDocuments();
    return this.stored({ type: "document-restore", document: name, point, ...(from === undefined ? {} : { from }) });
  }

  /** The session's host, whichever it is by then. */
  private async withDocuments(): Promise<() => Host<Seat>> {
    const hosts = await this.hosts();
    if (hosts.library === undefined) throw noDocuments();
    return () => hosts.get(this.id);
  }

  /** Puts a member out. It may come back as a new one unless `authenticate` says no. */
  remove(member: string, reason?: string): Promise<Stored> {
    return this.stored({
      type: "remove",
      member: memberId(member),
      how: "removed",
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Ends the session for everybody, for good. */
  end(reason?: string): Promise<Stored> {
    return this.stored({ type: "end", ...(reason === undefined ? {} : { reason }) });
  }

  /** Begins to listen once the store is open, with the session at work; `start` answers its undo. */
  private whenOpen(start: (hosts: Hosts) => () => void): () => void {
    let undo: (() => void) | undefined;
    let undone = false;
    this.hosts().then(
      (hosts) => {
        if (undone) return;
        hosts.get(this.id);
        undo = start(hosts);
      },
      // A store that does not open is told by every call that awaits something.
      () => {},
    );
    return () => {
      undone = true;
      undo?.();
    };
  }

  private described({ name, data }: PointOptions): PointOptions {
    return {
      ...(name === undefined ? {} : { name }),
      ...(data === undefined ? {} : { data: toPayload(data, this.depth) }),
    };
  }

  private async point(command: Extract<MemberCommand, { type: "sync-minor" | "sync-major" }>): Promise<SyncPoint> {
    const { offset } = await this.stored(command);
    const point = (await this.state()).sync.points.find((each) => each.offset === offset);
    if (point === undefined)
      throw new RostrumError("OUTCOME_UNKNOWN", "The sync point was set, but is no longer listed.", { offset });
    return point;
  }

  private resynchronize(
    how: { readonly kind: "restart" | "set"; readonly serial: Serial } | { readonly kind: "abandon" },
    reason: string | undefined,
  ): Promise<Stored> {
    return this.stored({ type: "resynchronize", ...how, ...(reason === undefined ? {} : { reason }) });
  }

  private async stored(command: MemberCommand | ServerCommand): Promise<Stored> {
    const { entries } = await this.command(command);
    const [entry] = entries;
    if (entry === undefined)
      throw new RostrumError("REFUSED", `Nothing came of ${command.type}.`, { command: command.type });
    return { offset: entry.offset, at: entry.at };
  }

  private async command(command: MemberCommand | ServerCommand): Promise<Result> {
    const hosts = await this.hosts();
    return new Promise((resolve, reject) => {
      hosts.get(this.id).submit({ from: null, command }, (result) => {
        if (result instanceof RostrumError) return reject(result);
        const [refusal] = result.refusals;
        if (refusal === undefined) resolve(result);
        else reject(refusal.error);
      });
    });
  }
}
