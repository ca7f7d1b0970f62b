/**
 * The mesh: one RTCPeerConnection to each other member, by perfect negotiation. Signals travel through the session as private
 * messages: stored, in order, each once. Knows nothing of floors, and nothing of what is on the page.
 */

type Description = Pick<RTCSessionDescriptionInit, "type" | "sdp">;

/**
 * `life` names one life of the sender's side towards the receiver, `for` the receiver's life that it is meant for. A page
 * that was reloaded has a new life: what was sent for an earlier one is not for it. Only a greeting may lack `for`.
 */
export interface Signal {
  readonly life: string;
  readonly for?: string;
  readonly description?: Description;
  readonly candidate?: RTCIceCandidateInit;
}

export interface CallHost {
  /** This member's id. */
  readonly self: () => string | undefined;
  readonly send: (member: string, signal: Signal) => void;
  /** A member's track has come; the answer is called when its connection is gone. */
  readonly track: (member: string, track: MediaStreamTrack) => () => void;
  /** A connection came, went, or changed its state. */
  readonly changed: () => void;
}

export class Call {
  private readonly peers = new Map<string, Peer>();
  /** This side's life towards each member. It ends when the member leaves: then this side forgets the connection. */
  private readonly lives = new Map<string, string>();
  private stream: MediaStream | undefined;

  constructor(private readonly host: CallHost) {}

  /** Who is in the session now, whether dropped or not: media does not need the session's server. */
  present(members: readonly string[]): void {
    const others = new Set(members.filter((member) => member !== this.host.self()));
    for (const member of this.lives.keys()) {
      if (others.has(member)) continue;
      this.lives.delete(member);
      this.hangUp(member);
    }
    for (const member of others) {
      if (this.lives.has(member)) continue;
      this.host.send(member, { life: this.lifeFor(member) });
    }
  }

  /** Takes a signal. Whether it is for this life, and of the other side's present one, is looked at here. */
  signal(from: string, signal: Signal): void {
    if (this.host.self() === undefined || from === this.host.self()) return;
    if (signal.for !== undefined && signal.for !== this.lives.get(from)) return;
    const life = this.lifeFor(from);
    if (this.peers.get(from)?.theirs !== signal.life) {
      // The log's order makes the last greeting the present one; an older one is for nobody, and its life never answers.
      this.hangUp(from);
      this.peers.set(from, this.connect(from, life, signal.life));
      if (signal.for === undefined) this.host.send(from, { life, for: signal.life });
      this.host.changed();
    } else if (signal.for === undefined) {
      this.host.send(from, { life, for: signal.life });
    }
    this.peers.get(from)?.receive(signal);
  }

  /** What this member sends to everybody. May come late: people take their time to allow a microphone. */
  share(stream: MediaStream): void {
    this.stream = stream;
    for (const peer of this.peers.values()) peer.share(stream);
  }

  /** Member to connection, for what shows or measures them. */
  connections(): ReadonlyMap<string, RTCPeerConnection> {
    return new Map([...this.peers].map(([member, { connection }]) => [member, connection]));
  }

  close(): void {
    for (const member of [...this.peers.keys()]) this.hangUp(member);
    this.lives.clear();
  }

  private lifeFor(member: string): string {
    const known = this.lives.get(member) ?? crypto.randomUUID();
    this.lives.set(member, known);
    return known;
  }

  private connect(member: string, life: string, theirs: string): Peer {
    const peer = new Peer(theirs, {
      // Both sides must come to opposite answers, without a word between them.
      polite: (this.host.self() ?? "") < member,
      send: (signal) => this.host.send(member, { life, for: theirs, ...signal }),
      track: (track) => this.host.track(member, track),
      changed: () => this.host.changed(),
    });
    if (this.stream !== undefined) peer.share(this.stream);
    return peer;
  }

  private hangUp(member: string): void {
    const peer = this.peers.get(member);
    if (peer === undefined) return;
    this.peers.delete(member);
    peer.close();
    this.host.changed();
  }
}

interface PeerHost {
  readonly polite: boolean;
  readonly send: (signal: Pick<Signal, "description" | "candidate">) => void;
  readonly track: (track: MediaStreamTrack) => () => void;
  readonly changed: () => void;
}

/** One connection, between one life here and one life there. Perfect negotiation as in the WebRTC specification. */
class Peer {
  readonly connection = new RTCPeerConnection();
  private readonly undo: (() => void)[] = [];
  private offering = false;
  private ignoring = false;
  private answering = false;
  /** Signals are taken one after the other: a candidate never before the description that it belongs to. */
  private work: Promise<void> = Promise.resolve();
  private stream: MediaStream | undefined;
  /**
   * The impolite side makes the first offer, whether or not it has anything to send yet, and the polite one waits for it:
   * Chromium can be left gathering candidates for ever where a first offer is rolled back. Later ones may collide.
   */
  private opened: boolean;

  constructor(
    /** The other side's life. */
    readonly theirs: string,
    private readonly host: PeerHost,
  ) {
    const { connection } = this;
    connection.addEventListener("negotiationneeded", () => void this.offer());
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate !== null) this.host.send({ candidate: candidate.toJSON() });
    });
    connection.addEventListener("connectionstatechange", () => {
      // The offer that this leads to is kept while the session is away, and sent when it is back.
      if (connection.connectionState === "failed") connection.restartIce();
      this.host.changed();
    });
    connection.addEventListener("track", ({ track }) => this.undo.push(this.host.track(track)));
    this.opened = !host.polite;
    if (this.opened) for (const kind of ["audio", "video"]) connection.addTransceiver(kind, { direction: "recvonly" });
  }

  share(stream: MediaStream): void {
    this.stream = stream;
    if (!this.opened) return;
    const sent = this.connection.getSenders().map(({ track }) => track);
    for (const track of stream.getTracks()) if (!sent.includes(track)) this.connection.addTrack(track, stream);
  }

  receive({ description, candidate }: Signal): void {
    this.work = this.work
      .then(() => (description !== undefined ? this.described(description) : this.candidate(candidate)))
      .catch((error: unknown) => {
        if (this.connection.signalingState !== "closed") console.warn("call: a signal could not be used", error);
      });
  }

  close(): void {
    this.connection.close();
    for (const each of this.undo.splice(0)) each();
  }

  private async offer(): Promise<void> {
    this.offering = true;
    try {
      await this.connection.setLocalDescription();
      this.tell();
    } catch (error) {
      if (this.connection.signalingState !== "closed") console.warn("call: no offer could be made", error);
    } finally {
      this.offering = false;
    }
  }

  private async described(description: Description): Promise<void> {
    const { connection } = this;
    const ready = !this.offering && (connection.signalingState === "stable" || this.answering);
    const collision = description.type === "offer" && !ready;
    this.ignoring = collision && !this.host.polite;
    if (this.ignoring) return;
    this.answering = description.type === "answer";
    try {
      await connection.setRemoteDescription(description);
    } finally {
      this.answering = false;
    }
    if (description.type !== "offer") return;
    this.opened = true;
    if (this.stream !== undefined) this.share(this.stream);
    await connection.setLocalDescription();
    this.tell();
  }

  private async candidate(candidate: RTCIceCandidateInit | undefined): Promise<void> {
    if (candidate === undefined) return;
    // Candidates of an offer that was ignored belong to nothing here.
    await this.connection.addIceCandidate(candidate).catch((error: unknown) => {
      if (!this.ignoring) throw error;
    });
  }

  private tell(): void {
    const description = this.connection.localDescription;
    if (description !== null) this.host.send({ description: { type: description.type, sdp: description.sdp } });
  }
}
