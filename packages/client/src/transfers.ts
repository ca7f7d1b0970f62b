/** The transfers of a session: what there is to see, and the way to what carries them, which is loaded when it is needed. */

import {
  type ActivityEntry,
  type Activity as ActivityState,
  type MemberId,
  type Offset,
  RostrumError,
} from "@rostrum/protocol";
import type { Activities, Follower } from "./activities.ts";
import { isMine } from "./activity-view.ts";
import { awaited } from "./awaited.ts";
import { type Derived, derived, type Observable, observable } from "./observable.ts";
import type { Status } from "./status.ts";
import {
  type OutgoingTransfer,
  type SendingProgress,
  type SendOptions,
  type TransferSource,
  type TransferView,
  transferView,
} from "./transfer-view.ts";
import type { Errand } from "./transfers/outgoing.ts";
import type { Porter, PorterHost } from "./transfers/porter.ts";

export interface TransfersHost extends Omit<PorterHost, "waits"> {
  readonly status: Observable<Status>;
  readonly source: ((interrupted: TransferView) => Promise<TransferSource | undefined>) | undefined;
  readonly warn: (error: RostrumError) => void;
}

export class Transfers implements Observable<readonly TransferView[]>, Follower {
  /** All that concern this member, oldest first. */
  readonly get: () => readonly TransferView[];
  readonly subscribe: (listener: (value: readonly TransferView[]) => void) => () => void;
  private readonly view: Derived<readonly TransferView[]>;
  private readonly sending = new Map<Offset, OutgoingTransfer>();
  private loading: Promise<Porter> | undefined;
  private porter: Porter | undefined;
  private closed: RostrumError | undefined;

  constructor(
    private readonly host: TransfersHost,
    activities: Activities,
  ) {
    this.view = derived(() => this.all().map((activity) => transferView(activity, host)));
    this.get = this.view.get;
    this.subscribe = this.view.subscribe;
    activities.followedBy(this);
    host.status.subscribe(() => this.carry());
  }

  /**
   * Sends bytes to members of the session, or to all of it, present and future. They run beside the session, so messages are
   * not held up, and a drop costs at most what follows the last sync point (8 MiB by default). In this page it goes on by
   * itself; after a reload see `resume`.
   *
   * @example
   * const sending = session.transfers.send(input.files[0], { to: [member] })
   * sending.progress.subscribe(({ confirmed, size }) => bar(confirmed / size))
   * await sending.done
   */
  send(source: TransferSource, options: SendOptions = {}): OutgoingTransfer {
    return this.begin({ source, options });
  }

  /**
   * Goes on with a transfer of this user that was interrupted: after a reload or a crash, or on another device. The first
   * bytes of the source are read and compared with what the server has.
   * @throws RostrumError (by rejecting `id`) TRANSFER_SOURCE (another file, or a shorter one), ACTIVITY_RUNNING, ACTIVITY_UNKNOWN,
   * FORBIDDEN
   */
  resume(id: Offset, source: TransferSource): OutgoingTransfer {
    const outgoing = this.begin({ source, id });
    this.sending.set(id, outgoing);
    outgoing.id.catch(() => this.sending.get(id) === outgoing && this.sending.delete(id));
    return outgoing;
  }

  /** What this page sends, or has sent, under that id: also what `transferSource` made it take up by itself. */
  outgoing(id: Offset): OutgoingTransfer | undefined {
    return this.sending.get(id);
  }

  // ---- for the session ----

  /** @internal */
  async putState(point: Offset, state: unknown): Promise<void> {
    return (await this.load()).putState(point, state);
  }

  /** @internal */
  async getState(activity: Offset): Promise<unknown> {
    return (await this.load()).getState(activity);
  }

  /** @internal */
  happened(entry: ActivityEntry, now: ActivityState | undefined): void {
    this.porter?.happened(entry, now);
  }

  /** @internal */
  update(): void {
    const { activities } = this.host.state();
    for (const [id, { progress }] of this.sending) {
      const { state } = progress.get();
      if (!activities.has(id) && (state === "done" || state === "failed")) this.sending.delete(id);
    }
    this.view.changed();
    this.carry();
  }

  /** @internal */
  reset(): void {
    this.porter?.reset();
  }

  /** @internal */
  close(error: RostrumError): void {
    this.closed = error;
    this.porter?.close(error);
  }

  // ---- inside ----

  private all(): readonly ActivityState[] {
    return [...this.host.state().activities.values()].filter(({ kind }) => kind === "transfer");
  }

  /** Whether there is anything to do; what is to be done it knows when it is loaded. */
  private carry(): void {
    if (this.porter !== undefined) return this.porter.update();
    if (this.host.pass() === undefined) return;
    const hears = this.host.hears();
    const self = this.host.self();
    const wanted = this.all().some(
      (activity) => (hears && activity.by !== self) || (activity.status !== "ended" && isMine(activity, this.host)),
    );
    // What cannot be loaded now is tried again at the next occasion.
    if (wanted) this.load().catch(() => {});
  }

  /** @internal What carries bytes, also those of other kinds of activities. */
  load(): Promise<Porter> {
    this.loading ??= import("./transfers/index.ts").then(
      ({ Porter }) => {
        const porter = new Porter({ ...this.host, waits: (activity) => void this.take(activity) });
        this.porter = porter;
        if (this.closed === undefined) porter.update();
        else porter.close(this.closed);
        return porter;
      },
      (cause: unknown) => {
        this.loading = undefined;
        throw new RostrumError(
          "TRANSFER_ABORTED",
          `The code for transfers could not be loaded: ${String(cause)}. Nothing was sent or fetched; try again.`,
          { why: "not loaded" },
          { cause },
        );
      },
    );
    return this.loading;
  }

  /** Asks the app for what an interrupted transfer is to be sent from. */
  private async take(activity: ActivityState): Promise<void> {
    const { source, warn } = this.host;
    if (source === undefined) return;
    try {
      const found = await source(transferView(activity, this.host));
      if (found !== undefined && !this.sending.has(activity.id)) this.resume(activity.id, found);
    } catch (cause) {
      warn(new RostrumError("USAGE", `The transferSource option threw: ${String(cause)}.`, {}, { cause }));
    }
  }

  private begin(errand: Errand): OutgoingTransfer {
    const progress = observable<SendingProgress>({ state: "starting", sent: 0, confirmed: 0, resent: 0 });
    const receivedBy = observable<readonly MemberId[]>([]);
    const work = this.load().then((porter) => porter.carry(errand, { progress, receivedBy }));
    work.catch(() => progress.set({ ...progress.get(), state: "failed" }));
    const then = (act: (outgoing: Awaited<typeof work>) => void): void => void work.then(act).catch(() => {});
    const id = awaited(work.then((outgoing) => outgoing.id));
    const outgoing: OutgoingTransfer = {
      id,
      progress,
      done: awaited(work.then(({ done }) => done)),
      receivedBy,
      pause: () => then((each) => each.pause()),
      resume: () => then((each) => each.resume()),
      abort: (reason) => then((each) => each.abort(reason)),
    };
    id.then((known) => void this.sending.set(known, outgoing)).catch(() => {});
    return outgoing;
  }
}
