/**
 * One session as a client has it: outbox, cursor and phases. No I/O: frames, storage, clock and handlers are at its rim,
 * so it runs in the simulated world as it runs here.
 */

import {
  type ClosedFrame,
  defaultLimits,
  documentIn,
  type EntriesFrame,
  type Entry,
  emptyState,
  features,
  foldAll,
  fromRecord,
  fromWire,
  type Grant,
  type Item,
  isControl,
  isVoid,
  type Limits,
  lastOffset,
  lastShared,
  type MemberCommand,
  type MemberId,
  measure,
  type Offset,
  type OpenedFrame,
  RostrumError,
  type Seq,
  type ServerFrame,
  type SessionState,
  type StoredFrame,
  span,
  toldEpochs,
  type UpdateItem,
  versions,
} from "@rostrum/protocol";
import { Delivery, entryAfter } from "./delivery.ts";
import type { Extension } from "./extension.ts";
import { again, forkIn, isOfLost, madeIn, securedIn, updatesIn } from "./fork.ts";
import type { HoldingNews } from "./holdings.ts";
import { Outbox, type Outgoing, type Settle } from "./outbox.ts";
import { type Checkpoint, format, type Gap, type Kept, type Meta } from "./record.ts";
import { Shelf } from "./shelf.ts";
import { Tenure } from "./tenure.ts";
import type { EngineEffects, EngineOptions, Phase } from "./terms.ts";
import { Secured } from "./unsecured.ts";

/** How long an `open` may go without an answer while the connection lives. */
const openWithin = 20_000;
const reserveStep = 10_000;

export class Engine {
  phase: Phase = { kind: "loading" };
  state: SessionState;
  member: MemberId | undefined;
  limits: Limits = defaultLimits;
  extension: Extension | undefined;
  /** What the server offers besides. */
  features: readonly string[] = [];
  readonly outbox: Outbox = new Outbox();
  /** Told up to here. */
  received: Offset = 0;
  /** Told up to here once, in the present log: the app may have gone back alone since. */
  private seen: Offset = 0;
  private instance: string;
  private token: string | undefined;
  private birth: string | undefined;
  /** Offset of the entry that made us this member; 0: not known. */
  private born: Offset = 0;
  /** What the server said when it did not know us any more. */
  private disowned: RostrumError | undefined;
  private gap: Gap | undefined;
  private unsaved: Gap | undefined;
  private nextSeq: Seq = 1;
  private reserved: Seq = reserveStep;
  /** Seqs below this are reserved on disk: a page that dies after sending one will not use it again. */
  private reservedOnDisk: Seq = 0;
  private loaded = false;
  private connected = false;
  private releasing = false;
  private persistent = true;

  private credited: Offset = 0;

  private readonly delivery: Delivery;
  private readonly shelf: Shelf;
  private readonly secured: Secured;
  private savedAt = 0;
  private tailBytes = 0;
  /** Refusals that the app is told of when they are on the disk. */
  private untold: (() => void)[] = [];
  private readonly tenure = new Tenure();
  private openedWith = 0;
  private phaseAlarm = Infinity;
  private committing = false;
  private flushing = false;

  constructor(
    private readonly options: EngineOptions,
    private readonly effects: EngineEffects,
  ) {
    this.state = emptyState(options.session);
    this.instance = effects.newInstance();
    this.delivery = new Delivery(
      options,
      effects,
      () => this.state,
      (entry) => this.handled(entry),
      () => this.idle(),
      () => this.persist(),
    );
    this.shelf = new Shelf(this.delivery.checkpoints);
    this.secured = new Secured(options.secureMessages, options.secureBytes, (seq) => void this.shelf.decided(seq));
  }

  /** The handlers have run up to here. */
  get processed(): Offset {
    return this.delivery.processed;
  }

  /** The app's state as it was at an offset, if it is kept here. */
  stateAt(offset: Offset): Checkpoint | undefined {
    return this.delivery.checkpoints.at(offset);
  }

  // ---- what comes in ----

  /** What the device kept, or `undefined`. Until this is called nothing is sent. */
  load(kept: Kept | undefined): void {
    if (this.loaded) return;
    this.loaded = true;
    this.savedAt = this.effects.now();
    if (this.phase.kind !== "loading") {
      if (!this.ended) return;
      this.shelf.discard(kept);
      return this.persist();
    }
    // What was emitted before the disk was read comes after what is on it.
    const early = this.outbox.all();
    if (kept !== undefined) this.takeUp(kept, early);
    else this.delivery.begin(undefined);
    this.phase = { kind: "apart" };
    this.shelf.touch();
    this.persist();
    this.proceed();
    if (this.connected) this.open();
    this.effects.changed();
  }

  private takeUp(kept: Kept, early: readonly Outgoing[]): void {
    const { meta, view, outbox } = kept;
    this.instance = meta.instance;
    this.member = meta.member;
    this.born = meta.born;
    this.token = meta.token;
    this.birth = meta.birth;
    this.received = meta.received;
    this.seen = Math.max(meta.seen ?? 0, meta.received);
    if (view !== undefined) this.state = fromRecord(view);
    this.gap = meta.gap;
    this.unsaved = meta.unsaved;
    this.secured.dropped = meta.dropped;
    this.restated = meta.restated;
    const last = outbox.at(-1);
    this.nextSeq = Math.max(meta.reserved, last === undefined ? 1 : last.seq + 1);
    this.reserved = this.nextSeq + reserveStep;
    for (const { seq } of early) this.outbox.settle(seq);
    this.shelf.forgetCommands();
    for (const { seq, command: said, offset } of this.shelf.load(kept)) {
      const command =
        this.restated !== undefined && seq < this.restated.below ? madeIn(said, this.restated.generation) : said;
      const bytes = command.type === "messages" ? measure(command.items, this.limits.depth + 2) : 0;
      if (offset !== undefined) {
        this.secured.keep({ seq, offset, command, bytes });
        continue;
      }
      this.outbox.add({ seq, command, bytes, sentAt: -Infinity, settle: undefined });
      this.tell(this.tenure.foresee(command));
    }
    this.delivery.begin(kept);
    // It was made before the app had any state: it belongs to what it has now.
    for (const { command, bytes, settle } of early)
      this.enqueue(madeIn(command, this.delivery.generation), bytes, settle);
    this.goBackIfMissed(this.received);
    const awaited = this.state.sync.points.find(({ offset, state }) => offset === meta.awaited && state !== undefined);
    if (awaited !== undefined) this.delivery.takeUp(awaited);
  }

  /** The app has missed how the session went back, up to an offset. */
  private goBackIfMissed(upTo: Offset): void {
    const missed = this.delivery.missed(this.state.sync, upTo);
    if (missed === undefined) return;
    const { last, least } = missed;
    this.delivery.goBackWith({ ...last, type: "resynchronized", at: this.state.at, by: null }, least);
  }

  /** There is a connection. */
  connect(): void {
    this.connected = true;
    if (this.phase.kind === "apart") this.open();
  }

  /** The connection is gone. */
  disconnect(): void {
    this.connected = false;
    if (this.phase.kind === "loading" || this.phase.kind === "closed") return;
    this.phase = { kind: "apart" };
    this.tenure.disconnected();
    this.setAlarm(Infinity);
    this.effects.changed();
  }

  frame(frame: ServerFrame): void {
    if (this.phase.kind === "loading" || this.phase.kind === "closed" || !this.connected) return;
    switch (frame.type) {
      case "opened":
        if (this.phase.kind === "opening") this.opened(frame);
        break;
      case "view":
        if (this.phase.kind === "viewing") {
          const { opened } = this.phase;
          const view = fromRecord(frame.view);
          this.adopt(opened, view);
          this.state = view;
          this.settleIn(opened);
        }
        break;
      case "entries":
        this.entries(frame, frame.entries);
        break;
      case "stored":
        this.stored(frame);
        break;
      case "refused": {
        const error = fromWire(frame.error);
        if (frame.count === 0) this.effects.warn(error);
        for (let seq = frame.seq; seq < frame.seq + frame.count; seq += 1) this.refuse(seq, error);
        this.effects.changed();
        break;
      }
      case "volatile-event":
        if (this.phase.kind === "live") this.effects.volatile(frame.from, frame.event, frame.args);
        break;
      case "document-state":
      case "document-refused":
        if (this.phase.kind !== "live" && this.phase.kind !== "catching-up") break;
        // It may run ahead of the entries: should the log lose its end there, it concerns us.
        if (frame.type === "document-state" && frame.upTo > this.seen) {
          this.seen = frame.upTo;
          this.shelf.touch();
        }
        this.extension?.frame(frame);
        break;
      case "renewed":
        if (this.tenure.answered(frame.n, frame.head, frame.at)) this.review();
        break;
      case "closed":
        this.shut(frame);
        break;
      case "reauth":
        this.effects.auth("expiring", (auth) =>
          this.effects.send([{ type: "auth", session: this.options.session, auth }]),
        );
        break;
      default:
    }
    this.flush();
    this.persist();
  }

  /** The alarm rang. */
  wake(): void {
    const now = this.effects.now();
    if (this.phase.kind === "apart" && this.phase.retryAt !== undefined && this.phase.retryAt <= now && this.connected)
      this.open();
    else if (this.phase.kind === "opening" && this.phase.since + openWithin <= now) this.effects.reconnect();
    this.review();
    this.setAlarm(this.phaseAlarm);
  }

  /**
   * Takes a message into the outbox. What a floor guards is sent under the grant that is held now: should that be over
   * when the message arrives, it is refused, even if the floor is held again by then.
   * @throws RostrumError FLOOR_NOT_HELD, CLOSED, OUTBOX_FULL; then nothing was taken.
   */
  message(item: Item, to: readonly MemberId[] | undefined, bytes: number, settle: Settle): Seq {
    const fence = this.tenure.fenceFor(item[0], { state: this.state, self: this.member });
    return this.submit(
      {
        type: "messages",
        items: [item],
        ...(to === undefined ? {} : { to }),
        ...(fence === undefined ? {} : { fence }),
        ...this.under(),
      },
      bytes,
      settle,
    );
  }

  /**
   * Takes an update of a document into the outbox. It belongs to the session as it is known here, wherever the app's handlers are.
   * @throws RostrumError FLOOR_NOT_HELD, CLOSED, OUTBOX_FULL; then nothing was taken.
   */
  update(item: UpdateItem, asks = false): void {
    const fence = asks ? undefined : this.tenure.fenceFor(item[0], { state: this.state, self: this.member });
    const { generation } = this.state.sync;
    const command: MemberCommand = {
      type: "messages",
      items: [item],
      ...(fence === undefined ? {} : { fence }),
      ...(generation === 0 ? {} : { generation }),
    };
    this.submit(command, measure(item, 2), { queued: noted, stored: noted, refused: noted });
  }

  /**
   * Takes back the update that was taken last, if no connection was ever given it: more can then be said in its place. Answers
   * whether it was taken back.
   */
  withdraw(item: UpdateItem): boolean {
    const { newest } = this.outbox;
    const isIt = newest?.command.type === "messages" && newest.command.items[0] === item;
    if (!isIt || newest.sentAt !== undefined) return false;
    this.outbox.settle(newest.seq);
    this.shelf.decided(newest.seq);
    return true;
  }

  /** The grant under which this member may act on the floor now, if it may. */
  grantOn(floor: string): Grant | undefined {
    return this.tenure.on(floor);
  }

  /**
   * Takes a command into the outbox. It is persisted, sent when it can be, and settled once.
   * @throws RostrumError CLOSED, OUTBOX_FULL; then nothing was taken.
   */
  submit(command: MemberCommand, bytes: number, settle: Settle): Seq {
    if (this.phase.kind === "closed") throw this.phase.error;
    if (this.releasing) throw new RostrumError("CLOSED", "The session is being released; nothing more can be sent.");
    // A floor is not released, nor a point set, before what was done until now.
    if (command.type !== "messages") this.extension?.gathered();
    const { outboxCommands, outboxBytes } = this.options;
    if (this.outbox.size >= outboxCommands || (this.outbox.size > 0 && this.outbox.bytes + bytes > outboxBytes)) {
      throw new RostrumError(
        "OUTBOX_FULL",
        `${this.outbox.size} commands (${this.outbox.bytes} bytes) wait here, the limits are ${outboxCommands} and ${outboxBytes}; this one was not taken. Wait for the others, or raise the limits.`,
        { commands: this.outbox.size, bytes: this.outbox.bytes },
      );
    }
    const { seq } = this.enqueue(command, bytes, settle);
    this.tell(this.tenure.foresee(command));
    if (!this.flushing) {
      this.flushing = true;
      this.effects.defer(() => {
        this.flushing = false;
        this.flush();
        this.persist();
        this.effects.changed();
      });
    }
    return seq;
  }

  /** Sends what is not to be kept, if there is somebody to hear it. */
  sendVolatile(event: string, args: readonly unknown[], to: readonly MemberId[] | undefined): boolean {
    if (this.phase.kind !== "live") return false;
    this.effects.send([
      { type: "volatile", session: this.options.session, event, args, ...(to === undefined ? {} : { to }) },
    ]);
    return true;
  }

  /** Orderly: what is in the outbox goes first, then the member leaves. */
  release(settle: Settle): void {
    this.submit({ type: "release" }, 0, settle);
    this.releasing = true;
    this.letGo(new RostrumError("CLOSED", "The session is being released, and with it what was held."));
  }

  /** What was held is over here. */
  private letGo(error: RostrumError): void {
    this.tell(this.tenure.letGo(error));
  }

  private tell(news: readonly HoldingNews[]): void {
    for (const each of news) this.effects.holding(each);
  }

  /** At once: what is in the outbox is given up. */
  abort(reason: string | undefined): void {
    if (this.over) return;
    const live = this.phase.kind === "live" || this.phase.kind === "catching-up";
    if (live) {
      const command: MemberCommand = { type: "abort", ...(reason === undefined ? {} : { reason }) };
      this.effects.send([{ type: "commands", session: this.options.session, seq: this.nextSeq, commands: [command] }]);
    }
    // Perhaps an open is under way: nobody is here any more to be taken up.
    else if (this.connected) this.effects.send([{ type: "detach", session: this.options.session }]);
    this.end(new RostrumError("ABORTED", `The session was aborted here: ${reason ?? "no reason given"}.`));
  }

  /** Lets go of the session on this device without leaving it: it can be resumed later. */
  close(error: RostrumError): void {
    if (this.over) return;
    this.extension?.gathered();
    this.over = true;
    if (this.connected) this.effects.send([{ type: "detach", session: this.options.session }]);
    for (const outgoing of this.outbox.all()) outgoing.settle?.refused(error);
    this.phase = { kind: "closed", error };
    this.letGo(error);
    this.setAlarm(Infinity);
    this.effects.changed();
  }

  /** The generation in which the app's state is, as the commands say it that depend on it. */
  under(): { readonly generation?: number } {
    const { generation } = this.delivery;
    return generation === 0 ? {} : { generation };
  }

  /** What a second connection shows to speak for this member; `undefined` while there is none. */
  get pass(): { readonly birth: string; readonly member: MemberId; readonly token: string } | undefined {
    const { birth, member, token } = this;
    return birth === undefined || member === undefined || token === undefined ? undefined : { birth, member, token };
  }

  /** The page may be gone any moment: what there is goes out, and to the disk, behind what is being written there. */
  leave(): void {
    this.extension?.gathered();
    this.saveCheckpoint();
    this.flush();
    this.committing = false;
    this.persist();
  }

  /** Asks the app for its state now and keeps it. */
  saveCheckpoint(atPoint = false): void {
    if (!this.options.keepsState || !this.delivery.isSettled || this.phase.kind === "loading" || this.ended) return;
    this.delivery.save(atPoint);
    this.savedAt = this.effects.now();
    this.forgetTail();
    this.shelf.touch();
    this.persist();
  }

  /**
   * Goes back to a checkpoint, alone: the app gets that state, and then what came after it once more, `known` being how far
   * it had been before.
   */
  goBackTo(checkpoint: Checkpoint, known: Offset = this.processed): void {
    this.delivery.goBackTo(checkpoint, known);
    this.received = checkpoint.offset;
    this.forgetTail();
    this.shelf.touch();
    this.persist();
    if (this.connected && this.phase.kind !== "closed" && this.phase.kind !== "loading") this.open();
  }

  // ---- opening ----

  private open(): void {
    const since = this.effects.now();
    const phase: Phase = { kind: "opening", since };
    this.phase = phase;
    this.setAlarm(since + openWithin);
    this.effects.auth("open", (auth) => {
      if (this.phase !== phase) return;
      this.openedWith = this.effects.now();
      const { session, history, required } = this.options;
      const documents = this.extension?.follows() ?? [];
      this.effects.send([
        {
          type: "open",
          session,
          versions,
          features,
          required,
          instance: this.instance,
          ...(auth === undefined ? {} : { auth }),
          ...(this.member === undefined || this.token === undefined
            ? {}
            : { resume: { member: this.member, token: this.token } }),
          ...(this.birth === undefined
            ? {}
            : { cursor: { birth: this.birth, offset: this.received, seen: this.seen, epochs: this.epochs } }),
          ...(history === undefined ? {} : { history }),
          ...(documents.length === 0 ? {} : { documents }),
        },
      ]);
    });
    this.effects.changed();
  }

  /** The last epochs of the log as it is known here, by what was told or by the view. */
  private get epochs(): SessionState["epochs"] {
    return this.state.epochs.filter(({ from }) => from <= this.seen).slice(-toldEpochs);
  }

  private opened(frame: OpenedFrame): void {
    this.setAlarm(Infinity);
    if (frame.outcome.kind === "resumed") {
      this.adopt(frame, this.state);
      this.afterEntries();
    } else this.phase = { kind: "viewing", opened: frame };
    this.effects.changed();
  }

  /** From here on we are who the server says, where it says. */
  private adopt(frame: OpenedFrame, view: SessionState): void {
    const { outcome } = frame;
    const from = outcome.kind === "joined" ? frame.start : this.received;
    const other = this.member !== frame.member;
    const fresh = this.birth === undefined;
    const { generation } = view.sync;
    const fork = forkIn(outcome);
    // What was made before there was any state belongs to the first that there is.
    if (fresh && generation > 0) this.restate(generation, () => false);
    if (fork !== undefined) this.restate(generation, (command) => isOfLost(command, fork));
    const reclaimed = this.reclaim(frame, other, generation);
    this.secured.without((offset) => isVoid(view.sync, offset));
    this.secured.upTo(securedIn(view.sync));
    const back = this.placeOf(frame, fresh);
    if (other) this.born = view.members.get(frame.member)?.changed ?? 0;
    this.birth = frame.birth;
    this.member = frame.member;
    this.token = frame.token;
    this.limits = frame.limits;
    this.features = frame.features;
    this.received = frame.start;
    this.seen = fork === undefined ? Math.max(this.seen, view.head, frame.start) : view.head;
    this.credited = frame.start;
    this.nextSeq = Math.max(this.nextSeq, frame.seq + 1);
    // Kept until the app has been told: the page may die before that.
    if ("gap" in outcome && outcome.gap !== undefined)
      this.gap = { from: this.gap?.from ?? outcome.gap.from, to: outcome.gap.to };
    this.tokenOnDisk = false;
    this.tenure.opened(this.openedWith, frame.head, frame.at);
    const resent = this.outbox.rewind(frame.seq);
    this.phase = { kind: "catching-up", opened: frame, from, resent, replayed: 0, back, reclaimed };
    this.extension?.opened(outcome, frame.thinned ?? 0);
    this.shelf.touch();
  }

  /**
   * Where the app's state goes, seen from where it was: on as it is, back to what the log still has of it, or to nothing. What
   * lies in the log of another life means nothing any more.
   */
  private placeOf({ outcome, start, birth }: OpenedFrame, fresh: boolean): Checkpoint | undefined {
    const anew = outcome.kind === "reset" && (outcome.why !== "member-unknown" || this.birth !== birth);
    if (anew) {
      this.tell(this.tenure.begunAnew());
      this.confirmed = unconfirmed;
      const { checkpoints } = this.delivery;
      const fork = outcome.why === "fork" ? (outcome.fork ?? 0) : -1;
      checkpoints.forgetAfter(fork);
      const back = checkpoints.upTo(fork);
      if (back === undefined) this.delivery.startAnew(start);
      this.forgetTail();
      return back;
    }
    if (fresh) this.delivery.processed = start;
    return undefined;
  }

  /** After a state of the session was taken over as a whole: how the app comes to its own. */
  private settleIn({ outcome, start }: OpenedFrame): void {
    const { phase } = this;
    if (phase.kind !== "catching-up") return;
    if (phase.back !== undefined) {
      // The log is the one that the checkpoint was made in: from there on it is told once more.
      this.report();
      return this.goBackTo(phase.back, 0);
    }
    const { sync } = this.state;
    const isNew = outcome.kind === "joined" || (outcome.kind === "reset" && outcome.why !== "member-unknown");
    if (isNew) this.delivery.generation = sync.generation;
    else this.goBackIfMissed("gap" in outcome ? (outcome.gap?.to ?? 0) : 0);
    const shared = this.options.keepsState ? lastShared(sync) : undefined;
    const behind = outcome.kind === "snapshot" ? outcome.gap.to : start;
    // A newcomer's history may begin with the very point: its cursor stands there, and it has nothing yet.
    if (shared !== undefined && shared.offset >= behind && (isNew || shared.offset > this.processed))
      this.delivery.takeUp(shared);
    this.afterEntries();
    this.proceed();
  }

  /**
   * What the server had stored and has no more is sent again, under the seqs it had: so it is there once, whether it was lost
   * or only said to be.
   */
  private reclaim(frame: OpenedFrame, other: boolean, generation: number): number {
    const fork = forkIn(frame.outcome);
    if (this.disowned !== undefined && (fork === undefined || this.born === 0 || this.born <= fork))
      this.giveUpSent(this.disowned);
    this.disowned = undefined;
    if (fork === undefined && other) return 0;
    const { born } = this;
    // The seqs tell what a member has stored since it is one; behind a fork all is lost, unless it was sent again already.
    const lost = this.secured.lost(({ seq, offset }) =>
      fork === undefined ? seq > frame.seq && offset > born : offset > fork && (other || seq > frame.seq),
    );
    if (lost.length > 0) {
      // What an update was made on may be lost as well, and only its document knows when it can be sent.
      const updates = this.extension === undefined ? [] : updatesIn(lost);
      const rest = updates.length === 0 ? lost : lost.filter(({ command }) => documentIn(command) === undefined);
      this.shelf.lost(rest.map(({ seq }) => seq));
      this.outbox.takeBack(rest.map((message) => again(message, generation)));
      if (updates.length > 0) {
        for (const each of lost) if (!rest.includes(each)) this.shelf.decided(each.seq);
        this.extension?.lost(updates);
      }
    }
    const to = fork === undefined ? undefined : this.secured.forked(fork);
    // Kept until the app has been told: there may be another fork before that.
    if (fork !== undefined && to !== undefined) {
      const from = Math.min(fork + 1, this.unsaved?.from ?? Infinity);
      this.unsaved = { from, to: Math.max(to, this.unsaved?.to ?? 0) };
    }
    return lost.length;
  }

  /** See `restate`. */
  private restated: Meta["restated"];

  /**
   * What waits here was made of a log, or of no log, that is not the one to which it is sent. Messages and points go there all
   * the same, under its generation; what names something that is not in it comes back to the app.
   */
  private restate(generation: number, isOfLost: (command: MemberCommand) => boolean): void {
    this.restated = { below: this.nextSeq, generation };
    for (const { seq, command } of this.outbox.all()) {
      if (!isOfLost(command)) {
        this.outbox.change(seq, madeIn(command, generation));
        continue;
      }
      const message = "The log that this refers to was lost, and an older copy took its place; nothing was done.";
      this.refuse(seq, new RostrumError("RESYNCHRONIZED", message, { current: generation }));
    }
  }

  /** The token is on disk: only then may the server be told that it arrived, which makes the one before useless. */
  private tokenOnDisk = false;

  private shut({ error: wire, retryAfter }: ClosedFrame): void {
    const error = fromWire(wire);
    const isSent = this.outbox.all().some(({ command, sentAt }) => command.type === "release" && sentAt !== undefined);
    if (this.releasing && isSent && (error.code === "MEMBER_UNKNOWN" || error.code === "CLOSED")) {
      // The answer to the release was lost, not the release.
      return this.end(new RostrumError("CLOSED", "The session was released."), true);
    }
    if (error.code === "MEMBER_UNKNOWN" || error.code === "TOKEN_REUSED") {
      this.loseIdentity(error);
      this.open();
      return;
    }
    // The server says `CLOSED` to who has left, or was put out, before it has been told so by the log.
    if (error.code === "SESSION_ENDED" || error.code === "CLOSED")
      return this.end(error, error.details["how"] === "released", false);
    // A late open of a connection that we had given up took the member over. Our token is newer, so we take it back; if
    // somebody else really has the member, the server says so.
    if (!error.retryable && error.code !== "REPLACED") return this.stop(error);
    const retryAt = this.effects.now() + Math.max(retryAfter ?? 1_000, 50);
    this.phase = { kind: "apart", retryAt };
    this.setAlarm(retryAt);
    this.effects.changed();
  }

  /** The server does not know us as the member we were. Why, and what that means for what it got, the next answer tells. */
  private loseIdentity(cause: RostrumError): void {
    this.member = this.token = undefined;
    this.instance = this.effects.newInstance();
    this.disowned = cause;
    this.shelf.touch();
  }

  /** What was sent under the name that we had: whether it was stored, nobody can tell. */
  private giveUpSent(cause: RostrumError): void {
    for (const { seq, sentAt } of this.outbox.all()) {
      if (sentAt === undefined) continue;
      const error = new RostrumError(
        "OUTCOME_UNKNOWN",
        `The member was lost (${cause.code}) before command ${seq} was confirmed; whether it was stored is not known.`,
        { seq, code: cause.code },
      );
      this.effects.warn(error);
      this.refuse(seq, error);
    }
  }

  // ---- entries ----

  private entries({ after: from, upTo }: EntriesFrame, entries: readonly Entry[]): void {
    if (this.phase.kind !== "catching-up" && this.phase.kind !== "live") return;
    if (upTo < this.received) return;
    if (from > this.received) {
      // Something is missing in between. It can't be, and if it is, asking again is right.
      this.open();
      return;
    }
    const news = entries
      .filter((entry) => lastOffset(entry) > this.received)
      .map((entry) => entryAfter(entry, this.received));
    this.take(news, upTo);
  }

  /** Our own messages came back without their payload: we have it. */
  private stored({ session, after: from, upTo, stored }: StoredFrame): void {
    const entries: Entry[] = [];
    for (const { seq, count, offset, at } of stored) {
      if (offset + count - 1 <= this.received) continue;
      const items: Item[] = [];
      for (let index = 0; index < count; index += 1) {
        const command = this.outbox.get(seq + index)?.command;
        if (command?.type !== "messages") return this.open();
        items.push(...command.items);
      }
      entries.push({ type: "messages", by: this.member ?? null, seq, offset, at, items });
    }
    this.entries({ type: "entries", session, after: from, upTo, entries }, entries);
  }

  private take(news: readonly Entry[], upTo: Offset): void {
    const before = this.state.head;
    const foldable = news.filter((entry) => entry.offset > before);
    if (foldable.length > 0) this.state = foldAll(this.state, foldable);
    this.received = upTo;
    this.seen = Math.max(this.seen, upTo);
    for (const entry of foldable) {
      if (!isControl(entry)) continue;
      this.tenure.folded(entry, this.member);
      this.effects.folded(entry);
    }
    for (const entry of news) {
      const isUpdate = documentIn(entry) !== undefined;
      if (this.phase.kind === "catching-up" && entry.type === "messages" && !isUpdate)
        this.phase.replayed += entry.items.length;
      if ("by" in entry && entry.by !== null && entry.by === this.member && entry.seq !== undefined) {
        this.tenure.echoed(this.outbox.get(entry.seq)?.sentAt, entry.at);
        for (let index = 0; index < span(entry); index += 1) {
          const stored = { offset: entry.offset + index, at: entry.at };
          const outgoing = this.settled(entry.seq + index, stored.offset);
          if (outgoing === undefined) {
            if (this.secured.moved(entry.seq + index, stored.offset))
              this.shelf.stored(entry.seq + index, stored.offset);
            continue;
          }
          this.decided(outgoing.command);
          outgoing.settle?.stored(stored);
        }
      }
      this.delivery.push(entry);
      if (isUpdate || isControl(entry)) this.extension?.entry(entry);
      // A document keeps its own.
      if (isUpdate) continue;
      this.shelf.addEntry(entry);
      if (this.options.keepsState && entry.type === "messages")
        this.tailBytes += measure(entry.items, this.limits.depth + 2);
    }
    this.extension?.told(upTo);
    // What is settled by an entry may have come before it in the same frame.
    for (const entry of foldable) this.secure(entry);
    this.shelf.touch();
    if (this.tenure.isDue(this.state)) this.review();
    this.afterEntries();
    this.proceed();
    const left = news.find((entry) => entry.type === "left" && entry.member === this.member);
    if (left?.type === "left") {
      this.end(
        new RostrumError("CLOSED", `The session was left: ${left.how}.`, {
          how: left.how,
          reason: left.reason ?? null,
        }),
        left.how === "released",
      );
    }
    this.effects.changed();
  }

  /** Whether we have been told everything that was there when we were taken up. */
  private afterEntries(): void {
    const { phase } = this;
    if (phase.kind !== "catching-up" || this.received < phase.opened.head) return;
    const { outcome, seq: confirmed } = phase.opened;
    // What the server counts as ours but did not show us: it was refused and the answer was lost, or it fell into the gap. An
    // update may also be what the log was thinned of; its document can send it again and be told.
    for (const { seq, command } of this.outbox.all()) {
      if (seq > confirmed) break;
      const error =
        outcome.kind === "resumed" && this.gap === undefined && documentIn(command) === undefined
          ? new RostrumError("REFUSED", `Command ${seq} was refused; the reason was lost with the connection.`, { seq })
          : new RostrumError(
              "OUTCOME_UNKNOWN",
              `Command ${seq} reached the server, but the log no longer tells whether it was stored.`,
              { seq },
            );
      this.refuse(seq, error);
    }
    this.report();
    this.phase = { kind: "live" };
    this.review();
    this.gap = undefined;
    this.shelf.touch();
    this.confirmProcessed();
    this.effects.changed();
  }

  /** Tells the app how the session came back. */
  private report(): void {
    const { phase } = this;
    if (phase.kind !== "catching-up") return;
    const { opened, from, replayed, resent, reclaimed } = phase;
    const { unsaved } = this;
    this.unsaved = undefined;
    const { outcome } = opened;
    this.effects.resumed({
      outcome: outcome.kind,
      from,
      replayed,
      resent,
      reclaimed,
      ...(unsaved === undefined ? {} : { unsaved }),
      ...(this.gap === undefined ? {} : { gap: this.gap }),
      ...(outcome.kind === "reset" ? { why: outcome.why } : {}),
      ...("fork" in outcome && outcome.fork !== undefined ? { fork: outcome.fork } : {}),
    });
  }

  /** A confirmed major point secures what is before it; what a resynchronization voids is not to come again. */
  private secure(entry: Entry): void {
    const { sync } = this.state;
    if (entry.type === "sync-settled" && entry.outcome === "confirmed") this.secured.upTo(securedIn(sync));
    else if (entry.type === "resynchronized") this.secured.without((offset) => isVoid(sync, offset));
  }

  /** Runs handlers one entry after the other; the cursor follows them. */
  private proceed(): void {
    this.delivery.run(() => this.phase.kind === "closed");
  }

  /** The handlers have had everything. */
  private idle(): void {
    // What lies between the last entry and here concerned others only.
    if (this.received > this.processed && (this.phase.kind === "catching-up" || this.phase.kind === "live")) {
      this.delivery.processed = this.received;
      this.shelf.touch();
      this.credit();
    }
    // An app that keeps no state here has no use for a tail that its handlers have seen.
    if (this.shelf.tailLength > 0 && !this.options.keepsState) this.forgetTail();
  }

  /** Tells the server how far the handlers are, so that it may send as much again. */
  private credit(): void {
    if (this.phase.kind !== "live" && this.phase.kind !== "catching-up") return;
    if (!this.tokenOnDisk || this.processed - this.credited < this.limits.creditEntries / 4) return;
    this.credited = this.processed;
    this.effects.send([{ type: "processed", session: this.options.session, offset: this.processed }]);
  }

  private handled(entry: Entry | undefined): void {
    this.shelf.touch();
    if (entry === undefined) return;
    this.credit();
    const atPoint = entry.type === "sync-point" || (entry.type === "resynchronized" && entry.kind === "set");
    if (atPoint || entry.type === "resynchronized" || this.isCheckpointDue) this.saveCheckpoint(atPoint);
    if (entry.type === "sync-point") {
      this.confirmProcessed();
      this.effects.reached(entry.offset);
    }
  }

  private get isCheckpointDue(): boolean {
    const { checkpointEntries, checkpointBytes, checkpointTime } = this.options;
    return (
      this.shelf.tailLength >= checkpointEntries ||
      this.tailBytes >= checkpointBytes ||
      this.effects.now() - this.savedAt >= checkpointTime
    );
  }

  /** The last confirmation that was sent, and in which generation: in another it has to be sent again. */
  private confirmed: { readonly generation: number; readonly offset: Offset } = unconfirmed;

  /**
   * Confirms the last point that the handlers have come to and that waits for us, and with it all before it. Where the app's
   * state is kept, it is confirmed when it is on the disk.
   */
  private confirmProcessed(): void {
    const { member } = this;
    if (!this.options.confirms || member === undefined || this.phase.kind !== "live" || this.releasing) return;
    const upTo = this.options.keepsState && this.persistent ? this.checkpointOnDisk : this.processed;
    const { points, generation } = this.state.sync;
    const point = points.findLast(({ offset, waiting }) => offset <= upTo && waiting?.includes(member) === true);
    const { confirmed } = this;
    if (point === undefined || (confirmed.generation === generation && confirmed.offset >= point.offset)) return;
    this.confirmed = { generation, offset: point.offset };
    const command: MemberCommand = {
      type: "sync-confirm",
      serial: point.serial,
      ...(generation === 0 ? {} : { generation }),
    };
    try {
      this.submit(command, 64, { queued: noted, stored: noted, refused: noted });
    } catch {
      // No room in the outbox: the next point confirms this one too.
      this.confirmed = unconfirmed;
    }
  }

  /** Up to where the disk has the app's state, as it goes on now. */
  private get checkpointOnDisk(): Offset {
    return this.written.life === this.delivery.life ? this.written.offset : 0;
  }

  private written: { readonly life: number; readonly offset: Offset } = { life: 0, offset: 0 };

  // ---- going out ----

  private enqueue(command: MemberCommand, bytes: number, settle: Settle | undefined): Outgoing {
    const seq = this.nextSeq;
    this.nextSeq += 1;
    if (this.nextSeq > this.reserved - reserveStep / 2) {
      this.reserved = this.nextSeq + reserveStep;
      this.shelf.touch();
    }
    const outgoing: Outgoing = { seq, command, bytes, sentAt: undefined, settle };
    this.outbox.add(outgoing);
    this.shelf.addCommand(outgoing);
    return outgoing;
  }

  private flush(): void {
    if (this.phase.kind !== "live" || !this.tokenOnDisk) return;
    const frames = this.outbox.take(this.options.session, this.limits, this.reservedOnDisk, this.effects.now());
    if (frames.length > 0) this.effects.send(frames);
  }

  /** `offset`: where it was stored, if it was. */
  private settled(seq: Seq, offset?: Offset): Outgoing | undefined {
    const outgoing = this.outbox.settle(seq);
    if (outgoing === undefined) return undefined;
    const { command, bytes } = outgoing;
    if (offset === undefined || command.type !== "messages" || this.options.secureMessages === 0) {
      // What is not kept from the first is as lost with the log as what was let go later.
      if (offset !== undefined && command.type === "messages")
        this.secured.dropped = Math.max(this.secured.dropped, offset);
      this.shelf.decided(seq);
    } else {
      this.shelf.stored(seq, offset);
      this.secured.keep({ seq, offset, command, bytes });
    }
    return outgoing;
  }

  /** It was refused, and stays so: what is on the disk must not be sent by a later life of the page. */
  private refuse(seq: Seq, error: RostrumError): void {
    const outgoing = this.outbox.settle(seq);
    if (outgoing === undefined) return;
    const kept = this.shelf.decided(seq) && this.persistent;
    this.decided(outgoing.command, error);
    const tell = (): void => {
      outgoing.settle?.refused(error);
      this.effects.refused(error, outgoing.command);
    };
    // An update's refusal is kept by its document, and that goes to the disk before this does.
    if (kept && documentIn(outgoing.command) === undefined) this.untold.push(tell);
    else tell();
  }

  /** It cannot go on until somebody acts: what is on the disk stays there, what waits goes on waiting. */
  private stop(error: RostrumError): void {
    this.phase = { kind: "closed", error };
    this.letGo(error);
    this.setAlarm(Infinity);
    this.effects.changed();
  }

  /** Tries again what stopped with an error, for instance after the user has signed in anew. */
  retry(): void {
    if (this.phase.kind === "closed" && !this.over) this.phase = { kind: "apart" };
    if (this.phase.kind === "apart" && this.connected) this.open();
  }

  /** Left, aborted, ended or closed here: nothing brings this engine back. */
  private over = false;

  get isOver(): boolean {
    return this.over;
  }

  /**
   * It is over, for good. `released`: as it was asked for. `told`: the log has told everything up to there, so that what it did
   * not tell of was not stored.
   */
  private end(error: RostrumError, released = false, told = !released): void {
    if (this.over) return;
    this.over = true;
    this.phase = { kind: "closed", error };
    // A release comes after everything else, so all that was sent has been decided; only the answers are lost.
    const unknown = (seq: Seq): RostrumError =>
      new RostrumError("OUTCOME_UNKNOWN", `The answer to command ${seq} was lost, as the session was over first.`, {
        seq,
      });
    for (const { seq, command, sentAt, settle } of this.outbox.all()) {
      this.settled(seq);
      if (released && command.type === "release") {
        settle?.stored({ offset: this.received, at: this.state.at });
        continue;
      }
      const why = !told && sentAt !== undefined ? unknown(seq) : error;
      settle?.refused(why);
      this.effects.refused(why, command);
    }
    this.letGo(error);
    this.setAlarm(Infinity);
    this.forgetTail();
    this.ended = true;
    this.persist();
    this.effects.changed();
  }

  /** Nothing of it is kept on the device any more. */
  get isForgotten(): boolean {
    return this.ended;
  }

  private ended = false;
  /** Nothing of it is kept any more; a handler that finishes late must not bring something back. */
  private wiped = false;

  // ---- floors ----

  /** The latest that the server's clock can show now; `undefined` before it was heard of. */
  get serverTime(): number | undefined {
    return this.tenure.serverTime(this.effects.now());
  }

  /** What we hold, as things stand now, and what has to be asked to go on believing it. */
  private review(): void {
    if (this.phase.kind === "closed" || this.phase.kind === "loading") return;
    const { news, over, ask, doubt } = this.tenure.review({
      state: this.state,
      self: this.member,
      received: this.received,
      now: this.effects.now(),
      live: this.phase.kind === "live",
      open: () => this.undecided(),
    });
    if (doubt) this.effects.doubt();
    if (ask !== undefined) this.effects.send([{ type: "renew", session: this.options.session, n: ask }]);
    this.setAlarm(this.phaseAlarm);
    this.tell(news);
    for (const { floor, fence } of over) this.confirm(floor, fence);
  }

  private decided(command: MemberCommand, error?: RostrumError): void {
    if (command.type === "release" && error !== undefined) this.releasing = false;
    this.tenure.decided(command, error, () => this.undecided());
    // An entry that came of it is reviewed with the others of its frame.
    if (error !== undefined) this.review();
  }

  private undecided(): readonly MemberCommand[] {
    return this.outbox.all().map(({ command }) => command);
  }

  /** The server is told that a grant is over here: only then is its place free before the lease is. */
  private confirm(floor: string, fence: Offset): void {
    if (this.releasing || this.over) return;
    try {
      this.submit({ type: "floor-release", floor, fence }, 64, { queued: noted, stored: noted, refused: noted });
    } catch {
      // No room in the outbox: it is tried again.
    }
  }

  /** The engine has one alarm, for what its phase waits for and for what it holds. */
  private setAlarm(phaseAlarm: number): void {
    this.phaseAlarm = phaseAlarm;
    this.effects.alarm(Math.min(phaseAlarm, this.tenure.next(this.phase.kind === "live")));
  }

  // ---- the disk ----

  private forgetTail(): void {
    this.tailBytes = 0;
    this.shelf.forgetTail(this.delivery.pending.filter((entry) => documentIn(entry) === undefined));
  }

  /** Writes what has changed as one transaction; what changes meanwhile goes into the next. */
  private persist(): void {
    if (this.committing || !this.loaded) return;
    if (this.ended && this.wiped) return;
    if (this.ended) {
      this.shelf.wipe();
      this.wiped = true;
    } else if (this.phase.kind === "closed" && this.shelf.isClean) return;
    const refusals = this.untold;
    this.untold = [];
    const tell = (): void => {
      for (const refusal of refusals) refusal();
    };
    const writing = this.shelf.write(
      (seq) => this.outbox.get(seq) !== undefined || this.secured.get(seq) !== undefined,
      this.state,
      () => this.meta(),
    );
    if (writing === undefined) return tell();
    this.committing = true;
    const { reserved, token } = this;
    const written = { life: this.delivery.life, offset: this.delivery.checkpoints.latest?.offset ?? 0 };
    this.effects.commit(writing.transaction, (error) => {
      this.committing = false;
      if (error !== undefined && this.persistent) {
        // From here on this page works from memory, and says so.
        this.persistent = false;
        this.effects.warn(error);
      }
      this.reservedOnDisk = Math.max(this.reservedOnDisk, this.persistent ? reserved : Infinity);
      if (token === this.token && token !== undefined) this.tokenOnDisk = true;
      if (this.persistent) for (const { settle } of writing.queued) settle?.queued();
      tell();
      this.written = written;
      this.confirmProcessed();
      this.flush();
      this.credit();
      this.persist();
    });
  }

  private meta(): Meta {
    return {
      format,
      instance: this.instance,
      member: this.member,
      born: this.born,
      token: this.token,
      birth: this.birth,
      received: this.received,
      seen: this.seen,
      processed: this.processed,
      generation: this.delivery.generation,
      checkpoint: this.delivery.checkpoints.key,
      dropped: this.secured.dropped,
      awaited: this.delivery.awaited,
      restated: this.restated,
      gap: this.gap,
      unsaved: this.unsaved,
      reserved: this.reserved,
    };
  }
}

const noted = (): void => {};

const unconfirmed = { generation: -1, offset: 0 } as const;
