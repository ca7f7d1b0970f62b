/**
 * One session at work: takes commands, decides them in batches, appends each batch under the condition that nobody else
 * changed who may do what, folds what was stored and hands it to the audience. It has no I/O of its own: everything it
 * does goes out through `HostEffects`, everything that comes back comes in by a call. So it runs in the simulated world
 * as it runs here.
 */

import {
  beginDeciding,
  type Deciding,
  type DocumentOpenFrame,
  deadlines,
  decided,
  decideInto,
  type Entry,
  type Envelope,
  emptyState,
  foldAll,
  fromRecord,
  grantOf,
  guardOf,
  isControl,
  lastOffset,
  lastShared,
  type MemberCommand,
  type MemberId,
  may,
  type Offset,
  type Refusal,
  RostrumError,
  type ServerCommand,
  type ServerFrame,
  type SessionConfig,
  type SessionId,
  type SessionState,
  seqSpan,
  type Time,
  toRecord,
  type Unreadable,
} from "@rostrum/protocol";
import { type Arrival, Audience, type AudienceEffects } from "./audience.ts";
import { Documents, type DocumentsHost } from "./documents/documents.ts";
import type { DocumentEffects } from "./documents/effects.ts";
import { Openings } from "./documents/openings.ts";
import type { Done } from "./documents/task.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { type Retention, trimLine } from "./retention.ts";
import type { Appended, Condition, Loaded, Mark, Snapshot } from "./store.ts";

/** What a host does to the world. Every `done` is called once, later or at once. */
export interface HostEffects<C> extends AudienceEffects<C> {
  now(): Time;
  /** Milliseconds of a clock that never jumps: by it leases are watched. */
  elapsed(): number;
  load(done: (result: Loaded | RostrumError) => void): void;
  append(condition: Condition, entries: readonly Entry[], done: (result: Appended | RostrumError) => void): void;
  snapshot(snapshot: Snapshot, done: (error: RostrumError | undefined) => void): void;
  trim(below: Offset): void;
  /**
   * Runs `then` once all that has arrived by now has been handed over: the batch is what one turn brought. `last` is how
   * much the one before it had.
   */
  defer(then: () => void, last: number): void;
  /** Sets the host's only alarm; `Infinity` clears it. The host's `wake` is due then. */
  alarm(at: Time): void;
  /** Whether the server process with this node id still runs. */
  alive(node: string): boolean;
  newBirth(): string;
  newMember(): MemberId;
  /** The session is loaded: from here on `stored` tells what changes. */
  loaded(state: SessionState): void;
  /** Entries that were stored, for the app on this server. */
  stored(entries: readonly Entry[], state: SessionState): void;
  /** The host has failed and must be thrown away; the next one loads anew. */
  failed(error: RostrumError): void;
  /** Absent: sessions have no documents. */
  readonly documents?: DocumentEffects<C>;
}

export interface HostOptions {
  readonly session: SessionId;
  /** Id of this server process. */
  readonly node: string;
  readonly config: SessionConfig;
  readonly retention: Retention;
  /** Offsets after which the folded state is saved. */
  readonly snapshotEvery: number;
  /** Milliseconds after which a lost connection counts as a drop that the others are told of. */
  readonly flicker: number;
  /** The app's own say on a member's command, before the rules. Answers a refusal, or nothing. */
  readonly authorize?: (member: MemberId, command: MemberCommand, state: SessionState) => RostrumError | undefined;
}

/** A command in the queue, and who waits for its result. */
interface Work {
  readonly envelope: Envelope;
  /** Called when the batch is stored (with the entries that this command led to) or when it was refused. */
  readonly answer: (result: Result | RostrumError) => void;
}

export interface Result {
  readonly entries: readonly Entry[];
  readonly refusals: readonly Refusal[];
}

/** A member whose connection was lost, and when, by the wall's clock. */
interface Absence {
  readonly incarnation: number;
  readonly since: Time;
}

const hostFailed = (): RostrumError =>
  new RostrumError("SERVER_BUSY", "The session is being loaded anew after a failure; nothing was done. Try again.");

/** Others wrote, saved and trimmed faster than we read: only the snapshot leads on from here. */
const overtaken = (): RostrumError =>
  new RostrumError("SERVER_BUSY", "The session went on elsewhere faster than this server followed; it is loaded anew.");

const awareness = "@aware/";

/** The document that a volatile event is about, and whose followers alone get it. */
const awarenessOf = (event: string): string | undefined =>
  event.startsWith(awareness) ? event.slice(awareness.length) : undefined;

const errorOf = (result: Result | RostrumError): RostrumError | undefined =>
  result instanceof RostrumError ? result : result.refusals[0]?.error;

/** Whether a major sync point was confirmed (X.215: the end of a dialogue unit). */
const securesUnit = (entries: readonly Entry[], { sync }: SessionState): boolean =>
  entries.some(
    (entry) =>
      entry.type === "sync-settled" &&
      entry.outcome === "confirmed" &&
      sync.points.some(({ serial, kind, status }) => serial === entry.serial && kind === "major" && status !== "void"),
  );

export class Host<C> {
  readonly audience: Audience<C>;
  private state: SessionState;
  private queue: Work[] = [];
  /** What the host is busy with. Only `idle` starts a batch. */
  private phase: "loading" | "idle" | "deferred" | "appending" | "catching-up" | "failed" = "loading";
  private marks: readonly Mark[] = [];
  private bytes = 0;
  private saved: Offset = 0;
  private saving = false;
  /** A major point was confirmed while a snapshot from before it is being saved. */
  private saveAgain = false;
  private deadline: Time = Infinity;
  /** Members of ours that lost their connection, and when. Told to the others only after the flicker. */
  private readonly absent = new Map<MemberId, Absence>();
  private readonly leases: LeaseWatch;
  /** Absent: the session has no documents. */
  readonly documents: Documents<C> | undefined;
  private readonly openings: Openings<C> | undefined;
  /** Commands that wait for a document's head, and what their members said after them. */
  private held: Work[] = [];

  constructor(
    private readonly options: HostOptions,
    private readonly effects: HostEffects<C>,
  ) {
    this.state = emptyState(options.session);
    this.epoch = effects.newBirth();
    this.audience = new Audience(options.session, effects);
    this.leases = new LeaseWatch(effects);
    if (effects.documents !== undefined) {
      this.documents = new Documents(this.forDocuments(), effects.documents);
      this.openings = new Openings(
        options.session,
        this.documents,
        {
          rolesOf: (connection) => this.audience.rolesOf(connection, this.state),
          follow: (connection, document) => this.audience.follow(connection, document),
          followed: (connection) => this.audience.followed(connection),
          send: (connection, frame) => effects.send([connection], frame),
          chunkBytes: (connection) => effects.terms(connection).limits.chunkBytes,
        },
        () => this.audience.first,
      );
    }
    effects.load((loaded) => {
      if (loaded instanceof RostrumError) this.fail(loaded);
      else this.restore(loaded);
    });
  }

  /** The state as stored. */
  get current(): SessionState {
    return this.state;
  }

  /** Nobody is attached, nothing is under way, nobody is expected back within the flicker. */
  get resting(): boolean {
    return (
      this.phase === "idle" &&
      this.queue.length === 0 &&
      this.audience.size === 0 &&
      this.absent.size === 0 &&
      this.leases.wait() === Infinity &&
      !this.saving &&
      this.held.length === 0 &&
      (this.documents?.resting ?? true) &&
      (this.openings?.resting ?? true)
    );
  }

  /** `answer` is called when what the command led to is durable, or was refused, or when the host fails. */
  submit(envelope: Envelope, answer: (result: Result | RostrumError) => void = () => {}): void {
    if (this.phase === "failed") return answer(hostFailed());
    this.queue.push({ envelope, answer });
    if (this.phase === "idle") this.plan();
  }

  /** Takes a connection up: as the member its token names, or as a new one. */
  attach(arrival: Arrival<C>, current = false): void {
    if (this.phase === "failed") return arrival.refused(hostFailed());
    if (this.phase === "loading") {
      this.waiting.push(arrival);
      return;
    }
    const { resume, cursor, join } = arrival;
    const known = resume === undefined ? undefined : this.state.members.get(resume.member)?.incarnation;
    if (resume !== undefined && !current && (known === undefined || known < resume.incarnation)) {
      // The token is genuine and newer than what we know: another node made it, and we have not read that far.
      this.onceCurrent.push(() => this.attach(arrival, true));
      this.behind = true;
      if (this.phase === "idle") this.resume();
      return;
    }
    if (resume !== undefined && (cursor === undefined || cursor.birth === this.state.birth)) {
      this.takeUp(arrival, resume.member, resume.incarnation);
      return;
    }
    this.submit({ from: null, command: join }, (result) => this.admitted(arrival, result));
  }

  /** What came of a join or a resume. */
  private admitted(arrival: Arrival<C>, result: Result | RostrumError): void {
    const error = errorOf(result);
    if (error !== undefined) {
      if (error.code === "TOKEN_REUSED" && arrival.resume !== undefined)
        this.audience.warn(arrival.resume.member, error);
      arrival.refused(error);
      return;
    }
    const [entry] = result instanceof RostrumError ? [] : result.entries;
    if (entry?.type === "joined") this.welcome(arrival, entry.member, 1);
    if (entry?.type === "resumed") this.welcome(arrival, entry.member, entry.incarnation);
  }

  private readonly waiting: Arrival<C>[] = [];

  private takeUp(arrival: Arrival<C>, member: MemberId, incarnation: number): void {
    const { user, name, roles } = arrival.join;
    const command: ServerCommand = {
      type: "resume",
      member,
      user,
      roles,
      incarnation,
      confirmed: this.audience.confirmedOf(member, this.state),
      node: this.options.node,
      ...(name === undefined ? {} : { name }),
    };
    this.submit({ from: null, command }, (result) => this.admitted(arrival, result));
  }

  private welcome(arrival: Arrival<C>, member: MemberId, incarnation: number): void {
    const current = this.state.members.get(member)?.incarnation;
    if (current !== incarnation) {
      // Somebody else took the member up in the same batch, or it left again: this connection was never it.
      arrival.refused(
        new RostrumError("REPLACED", "The member was taken up by another connection; this one was closed.", {
          incarnation: current ?? 0,
        }),
      );
      return;
    }
    this.absent.delete(member);
    if (arrival.accepted(member)) this.audience.admit(arrival, member, incarnation, this.state);
    else this.miss(member, incarnation, this.effects.now());
  }

  /** Commands of an attached member, in the order of their seqs. */
  commands(connection: C, seq: number, commands: readonly (MemberCommand | Unreadable)[], answered: () => void): void {
    const from = this.audience.confirm(connection);
    if (from === undefined) return answered();
    let open = commands.length;
    let next = seq;
    for (const command of commands) {
      const first = next;
      next += seqSpan(command);
      if (command.type === "unreadable") {
        this.audience.refuse(connection, { seq: first, count: command.span, error: command.error });
        open -= 1;
        if (open === 0) answered();
        continue;
      }
      this.submit({ from: { ...from, seq: first }, command }, (result) => {
        if (!(result instanceof RostrumError)) {
          for (const refusal of result.refusals) {
            // Who no longer speaks for the member has not used up a seq of it: the present incarnation sends it again.
            if (refusal.error.code === "REPLACED" || refusal.error.code === "MEMBER_UNKNOWN")
              this.audience.drop(connection, refusal.error);
            else this.audience.refuse(connection, refusal);
          }
        }
        open -= 1;
        if (open === 0) answered();
      });
    }
  }

  /**
   * Answers where the log ends, once that is known to be so: a member counts the leases of its grants from the moment in
   * which it asked. Another node may have written what we have not read.
   */
  renew(connection: C, n: number): void {
    if (this.phase === "failed" || this.audience.memberOf(connection) === undefined) return;
    // One reading answers all who asked before it began, however many and however often.
    this.renewals.set(connection, n);
    if (!this.renewing) this.answerRenewals();
  }

  private answerRenewals(): void {
    const asked = [...this.renewals];
    this.renewals.clear();
    this.renewing = asked.length > 0;
    if (!this.renewing) return;
    this.readToTheEnd(this.state.head, (head) => {
      if (head === undefined) {
        this.renewing = false;
        return;
      }
      for (const [connection, n] of asked) this.audience.renewed(connection, n, head);
      this.answerRenewals();
    });
  }

  /** Where the log ends, `undefined` if that cannot be known now. A page that is not empty may not be the last. */
  private readToTheEnd(after: Offset, done: (head: Offset | undefined) => void): void {
    this.effects.read(after, 1_000, (entries) => {
      if (entries instanceof RostrumError || this.phase === "failed") return done(undefined);
      const last = entries.at(-1);
      if (last === undefined) return done(Math.max(after, this.state.head));
      this.followed(entries);
      this.readToTheEnd(lastOffset(last), done);
    });
  }

  private readonly renewals = new Map<C, number>();
  private renewing = false;

  /** Opens a document for an attached member, or answers why not. */
  openDocument(connection: C, frame: DocumentOpenFrame): void {
    if (this.phase === "failed" || this.audience.memberOf(connection) === undefined) return;
    this.openings?.open(connection, frame);
  }

  closeDocument(connection: C, document: string): void {
    this.openings?.close(connection, document);
    this.audience.unfollow(connection, document);
  }

  private forDocuments(): DocumentsHost {
    const answering = (done: Done<void>) => (result: Result | RostrumError) =>
      done(result instanceof RostrumError ? result : result.refusals[0]?.error);
    const host = this;
    return {
      get state() {
        return host.state;
      },
      now: () => this.effects.now(),
      read: (after, limit, done) => {
        const recent = this.audience.recent(after);
        if (recent === undefined) this.effects.read(after, limit, done);
        else done(recent);
      },
      announce: (document, saved, done) =>
        this.submit({ from: null, command: { type: "document-saved", document, ...saved } }, answering(done)),
      store: (item, done) => this.submit({ from: null, command: { type: "messages", items: [item] } }, answering(done)),
      ready: () => {
        this.queue = [...this.held.splice(0), ...this.queue];
        if (this.phase === "idle" && this.queue.length > 0) this.plan();
      },
      failed: (error) => this.fail(error),
      alarm: () => this.setAlarm(),
    };
  }

  /** What may be decided now. Whose update waits for its document waits with all that it said after it; others go on. */
  private takeQueue(): readonly Work[] {
    const { documents, queue } = this;
    this.queue = [];
    if (documents === undefined) return queue;
    const waiting = new Set(this.held.map(({ envelope }) => envelope.from?.member));
    return queue.filter((work) => {
      const { from, command } = work.envelope;
      if ((from === null || !waiting.has(from.member)) && documents.isReady(command)) return true;
      this.held.push(work);
      if (from !== null) waiting.add(from.member);
      return false;
    });
  }

  /** Passes on what is not logged: at once, to those who are here, or not at all. */
  relay(
    from: MemberId | null,
    event: string,
    args: readonly unknown[],
    to: readonly MemberId[] | undefined,
    sender?: C,
  ): void {
    const { config, members } = this.state;
    const guard = guardOf(this.state, event);
    if (from !== null) {
      const roles = members.get(from)?.roles ?? [];
      if (!may(config, roles, "volatile", event)) return;
      const document = awarenessOf(event);
      if (document !== undefined && !may(config, roles, "read", document)) return;
      if (guard !== undefined && grantOf(this.state, guard, from) === undefined) return;
    }
    const frame: ServerFrame = { type: "volatile-event", session: this.options.session, from, event, args };
    const document = awarenessOf(event);
    if (document !== undefined) this.audience.tellFollowers(document, frame, sender, to);
    else if (to === undefined) this.effects.broadcast(frame, sender === undefined ? [] : [sender]);
    else this.effects.send(this.audience.connectionsOf(to), frame);
  }

  /** The connection is gone. Its member is expected back; it counts as dropped after the flicker. */
  detach(connection: C): void {
    this.openings?.gone(connection);
    const left = this.audience.dismiss(connection);
    if (left !== undefined) this.miss(left.member, left.incarnation, this.effects.now());
  }

  private miss(member: MemberId, incarnation: number, since: Time): void {
    if (this.state.members.get(member)?.presence !== "connected") return;
    this.absent.set(member, { incarnation, since });
    this.leases.missed(member, incarnation);
    this.setAlarm();
  }

  /** The alarm rang. */
  wake(): void {
    if (this.phase === "loading" || this.phase === "failed") return;
    const now = this.effects.now();
    for (const [member, { incarnation, since }] of this.absent) {
      if (since + this.options.flicker > now) continue;
      this.absent.delete(member);
      this.submit({ from: null, command: { type: "drop", member, incarnation, since } });
    }
    if (this.deadline <= now) {
      // Until the tick is stored the deadline stands in the past; the alarm must not ring for it again.
      this.deadline = Infinity;
      this.submit({ from: null, command: { type: "tick" } }, () => {
        this.deadline = deadlines(this.state).next;
        this.setAlarm();
      });
    }
    for (const lease of this.leases.due()) {
      const { floor, fence, from } = lease;
      this.submit({ from: null, command: { type: "lapse", floor, fence, from } });
    }
    if (this.documents !== undefined && this.documents.next <= now) this.documents.tick();
    this.setAlarm();
  }

  /** Some server process died: its members are ours to miss. */
  nodesChanged(): void {
    const now = this.effects.now();
    for (const member of this.state.members.values()) {
      const lost = member.presence === "connected" && !this.audience.has(member.id) && !this.absent.has(member.id);
      if (lost && (member.node === this.options.node || !this.effects.alive(member.node))) {
        this.miss(member.id, member.incarnation, now);
      }
    }
  }

  private setAlarm(): void {
    let at = Math.min(this.deadline, this.documents?.next ?? Infinity);
    for (const { since } of this.absent.values()) at = Math.min(at, since + this.options.flicker);
    // Two clocks do not run alike: a wait of a fraction could be one of many.
    this.effects.alarm(Math.min(at, this.effects.now() + Math.ceil(this.leases.wait())));
  }

  /** Entries that somebody appended. Perhaps ours, perhaps late, perhaps with a hole before them. */
  followed(entries: readonly Entry[]): void {
    const news = entries.filter((entry) => entry.offset > this.state.head);
    const [first] = news;
    if (first === undefined || this.phase === "failed") return;
    const undisturbed = this.phase === "idle" || this.phase === "deferred";
    if (undisturbed && first.offset === this.state.head + 1) this.advance(news, foldAll(this.state, news));
    else {
      this.behind = true;
      if (this.phase === "idle") this.resume();
    }
  }

  private readonly onceCurrent: (() => void)[] = [];

  /** Others appended while we were busy: read on before anything else. */
  private behind = false;

  private restore(loaded: Loaded): void {
    if (loaded.snapshot !== undefined) {
      this.state = fromRecord(loaded.snapshot.state);
      this.marks = loaded.snapshot.marks;
      this.bytes = this.marks.at(-1)?.bytes ?? 0;
      this.saved = this.state.head;
    }
    this.audience.begin(loaded.first, this.state.head);
    if (loaded.head === 0) {
      const { session, config } = this.options;
      const birth = this.effects.newBirth();
      this.queue.unshift({
        envelope: { from: null, command: { type: "open", session, birth, config } },
        answer: () => {},
      });
      this.loaded();
    } else this.catchUp(() => this.loaded());
  }

  private loaded(): void {
    if (this.state.head > 0 && JSON.stringify(this.state.config) !== JSON.stringify(this.options.config)) {
      this.queue.push({
        envelope: { from: null, command: { type: "configure", config: this.options.config } },
        answer: () => {},
      });
    }
    this.lookAhead();
    this.phase = "idle";
    this.effects.loaded(this.state);
    this.nodesChanged();
    this.documents?.begun();
    for (const arrival of this.waiting.splice(0)) {
      // The birth of a new log is known only when its first entry is stored.
      if (this.state.head === 0) this.submit({ from: null, command: { type: "tick" } }, () => this.attach(arrival));
      else this.attach(arrival);
    }
    // Who came with a token newer than the log has us reading on already.
    if (this.phase === "idle") this.resume();
    this.setAlarm();
  }

  /** Reads on from our head until the log has no more. */
  private catchUp(then: () => void): void {
    // While loading, nobody may be judged by a state that is not yet whole.
    if (this.phase !== "loading") this.phase = "catching-up";
    this.effects.read(this.state.head, 1_000, (entries) => {
      if (entries instanceof RostrumError) return this.fail(entries);
      const news = entries.filter((entry) => entry.offset > this.state.head);
      const [first] = news;
      if (first === undefined) return then();
      if (first.offset !== this.state.head + 1) return this.fail(overtaken());
      this.advance(news, foldAll(this.state, news));
      this.catchUp(then);
    });
  }

  private resume(): void {
    if (this.behind) {
      this.behind = false;
      return this.catchUp(() => {
        this.phase = "idle";
        for (const then of this.onceCurrent.splice(0)) then();
        if (this.phase === "idle") this.resume();
      });
    }
    this.phase = "idle";
    if (this.queue.length > 0) this.plan();
  }

  private plan(): void {
    this.phase = "deferred";
    this.effects.defer(() => this.decide(), this.lastBatch);
  }

  private lastBatch = 0;
  /** Whether the log says that this host writes it. The first batch that stores something does. */
  private begun = false;
  private readonly epoch: string;

  private decide(): void {
    if (this.phase !== "deferred") return;
    const batch = this.takeQueue();
    this.lastBatch = batch.length;
    const deciding = beginDeciding(this.state, this.effects.now(), this.documents?.begin());
    if (!this.begun) decideInto(deciding, { from: null, command: { type: "begin-epoch", epoch: this.epoch } });
    const nothing = deciding.entries.length;
    let results: readonly Result[];
    try {
      results = batch.map(({ envelope }): Result => {
        const from = deciding.entries.length;
        const vetoed = this.veto(envelope, deciding);
        const refusals = vetoed === undefined ? decideInto(deciding, envelope) : [vetoed];
        return { entries: deciding.entries.slice(from), refusals };
      });
    } catch (cause) {
      // A fault in a rule must not store half a decision, nor end the process: the session is loaded anew.
      const error = new RostrumError(
        "SERVER_BUSY",
        `A rule failed: ${String(cause)}. Nothing of its batch was stored.`,
        {},
        { cause },
      );
      for (const work of batch) work.answer(error);
      return this.fail(error);
    }
    const { state, entries } = decided(deciding);
    const answer = (moved = 0): void =>
      batch.forEach((work, index) => {
        const { entries: led = [], refusals = [] } = results[index] ?? {};
        work.answer({
          entries: moved === 0 ? led : led.map((entry) => ({ ...entry, offset: entry.offset + moved })),
          refusals,
        });
      });
    if (entries.length === nothing) {
      this.phase = "idle";
      answer();
      if (this.phase === "idle") this.resume();
      return;
    }
    this.phase = "appending";
    const { control, head } = this.state;
    const condition = entries.some(isControl) ? { control, head } : { control };
    this.effects.append(condition, entries, (appended) => {
      if (this.phase !== "appending") return;
      if (appended instanceof RostrumError) {
        for (const work of batch) work.answer(appended);
        return this.fail(appended);
      }
      if (!appended.ok) {
        // What is held back was said after it.
        this.queue = [...batch, ...this.held.splice(0), ...this.queue];
        return this.catchUp(() => (this.state.head === head ? this.fail(overtaken()) : this.resume()));
      }
      this.begun = true;
      this.bytes += appended.bytes;
      if (appended.first === head + 1) {
        this.advance(entries, state);
        answer();
        this.resume();
      } else {
        // Others' messages came in between; ours were moved up behind them. The log tells both.
        this.catchUp(() => {
          answer(appended.first - head - 1);
          this.resume();
        });
      }
    });
  }

  private veto({ from, command }: Envelope, deciding: Deciding): Refusal | undefined {
    if (from === null || this.options.authorize === undefined) return undefined;
    const error = this.options.authorize(from.member, command as MemberCommand, deciding.state);
    const count = command.type === "messages" ? command.items.length : 1;
    return error === undefined ? undefined : { seq: from.seq, count, error };
  }

  /** What has to happen by time, as the state stands. */
  private lookAhead(): void {
    const { next, leases } = deadlines(this.state);
    this.deadline = next;
    this.leases.follow(leases, this.state.members);
  }

  /** These entries are in the log: make them ours and tell everybody. */
  private advance(entries: readonly Entry[], state: SessionState): void {
    const before = this.state;
    const { control } = before;
    this.state = state;
    if (state.control !== control) {
      this.lookAhead();
      this.setAlarm();
      for (const entry of entries) if (entry.type === "left") this.audience.expel(entry);
      for (const entry of entries)
        if (entry.type === "resumed") this.audience.supersede(entry.member, entry.incarnation);
    }
    this.audience.extend(entries, state);
    // While loading nothing is known of any document yet.
    if (this.phase !== "loading") this.documents?.advance(entries, before, state);
    // What is read while loading was stored, and told, in an earlier life of the host.
    if (this.phase !== "loading") this.effects.stored(entries, state);
    // A confirmed major point is what members may go back to: it has to outlive the log before it.
    const secures = securesUnit(entries, state);
    if (secures && this.saving) this.saveAgain = true;
    if (secures || state.head - this.saved >= this.options.snapshotEvery) this.save();
  }

  /** Saves the folded state, then lets go of what retention no longer wants, never above what is saved. */
  save(done: () => void = () => {}): void {
    if (this.saving || this.state.head === this.saved || this.phase === "failed") return done();
    this.saving = true;
    const { head, at } = this.state;
    const marks = [...this.marks, { offset: head, at, bytes: this.bytes }];
    const below = this.trimLine(marks);
    const kept = marks.filter((mark) => mark.offset >= below - 1);
    this.effects.snapshot({ state: toRecord(this.state), marks: kept }, (error) => {
      this.saving = false;
      const again = this.saveAgain;
      this.saveAgain = false;
      if (error === undefined) {
        this.saved = head;
        this.marks = kept;
        if (below > this.audience.first) {
          this.audience.trimmed(below);
          this.effects.trim(below);
        }
        if (again) this.save();
      }
      done();
    });
  }

  /**
   * The state that newcomers take up is of no use without what came after it: so the log is not cut above it, until that is
   * twice what is to be kept.
   */
  private trimLine(marks: readonly Mark[]): Offset {
    const { retention } = this.options;
    const now = this.effects.now();
    const wanted = trimLine(marks, retention, now);
    const line = this.documents?.keep(wanted) ?? wanted;
    const shared = lastShared(this.state.sync);
    if (shared === undefined || line <= shared.offset + 1) return line;
    const { count, bytes, age } = retention;
    return trimLine(marks, { count: 2 * count, bytes: 2 * bytes, age: 2 * age }, now) <= shared.offset + 1
      ? shared.offset + 1
      : line;
  }

  /** The store's answer is unknown: forget everything, let the members come back to a host that loads anew. */
  private fail(error: RostrumError): void {
    if (this.phase === "failed") return;
    this.phase = "failed";
    for (const work of [...this.held.splice(0), ...this.queue.splice(0)]) work.answer(error);
    this.documents?.stop(error);
    this.effects.alarm(Infinity);
    for (const arrival of this.waiting.splice(0)) arrival.refused(error);
    for (const then of this.onceCurrent.splice(0)) then();
    this.audience.disband(error);
    this.effects.failed(error);
  }

  /** Lets everybody go, because the server goes. */
  disband(error: RostrumError): void {
    this.fail(error);
  }
}
