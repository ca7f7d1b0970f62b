/**
 * Where sockets come in: reads frames, asks the app who it is, paces each member, and hands what is left to the session's
 * host. Nothing that a client can send gets past here unread.
 */

import { randomUUID } from "node:crypto";
import {
  type DocumentOpenFrame,
  features,
  fromPacket,
  memberId,
  type OpenFrame,
  parseFrame,
  parsePacket,
  type ReadFrame,
  RostrumError,
  type SessionId,
  toWire,
  type UserId,
  userId,
  versions,
  wireEvent,
} from "@rostrum/protocol";
import createDebug from "debug";
import type { Namespace, Socket } from "socket.io";
import { type Hosts, noBlobs } from "./hosts.ts";
import type { AuthenticateContext, Identity, Settings } from "./options.ts";
import { Pace, type Seat } from "./seat.ts";
import { readToken } from "./token.ts";
import { SocketLanes } from "./transfers/socket-lanes.ts";
import type { Transfers } from "./transfers/transfers.ts";

const debug: createDebug.Debugger = createDebug("rostrum:gateway");

/** Refused frames after which a connection is closed: it does not speak this protocol. */
const patience = 100;
/** Most sessions on one connection, and most that may be opening at once. */
const maxSeats = 100;

/** Why a signal fired; made once, because making an error costs more than firing one. */
const noLonger = new Error("the connection no longer has the session");

interface Place extends Seat {
  readonly pace: Pace;
  reauthTimer: NodeJS.Timeout | undefined;
}

/** Of lenient base64: what is wrong in it is wrong in the update, which is looked at as such. */
const fromText = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

export class Gateway {
  private readonly perUser = new Map<UserId, number>();
  private draining: { readonly until: number; readonly spread: number } | undefined;
  private readonly undo: () => void;
  /** What this server has of what the protocol knows. */
  private readonly offered: readonly string[];
  /** Once the store is open. */
  private ready: Hosts | undefined;

  constructor(
    private readonly nsp: Namespace,
    private readonly settings: Settings,
    private readonly hosts: Promise<Hosts>,
    private readonly secret: Promise<Uint8Array>,
  ) {
    hosts.then(
      (ready) => (this.ready = ready),
      // Told to each who opens a session.
      () => {},
    );
    const connect = (socket: Socket): void => this.accept(socket);
    nsp.on("connection", connect);
    this.offered = features.filter(
      (feature) =>
        (feature !== "documents" || settings.documents !== undefined) &&
        (feature !== "transfers" || settings.blobs !== undefined),
    );
    this.undo = () => void nsp.off("connection", connect);
    for (const socket of nsp.sockets.values()) this.accept(socket);
  }

  /** Tells everybody to come back elsewhere, each at another moment within `spread` milliseconds. */
  drain(until: number, spread: number): void {
    this.draining = { until, spread };
    for (const socket of this.nsp.sockets.values()) {
      socket.emit(wireEvent, [{ type: "drain", wait: Math.floor(Math.random() * spread) }]);
    }
  }

  /** How many connections still have a session. */
  get attached(): number {
    let sum = 0;
    for (const count of this.perUser.values()) sum += count;
    return sum;
  }

  close(): void {
    this.undo();
  }

  /** @throws RostrumError SERVER_BUSY, FEATURE_MISSING */
  private transfers(): Transfers {
    if (this.ready === undefined) throw new RostrumError("SERVER_BUSY", "The server's store is not open yet.");
    if (this.ready.transfers === undefined) throw noBlobs();
    return this.ready.transfers;
  }

  private accept(socket: Socket): void {
    const places = new Map<SessionId, Place>();
    const lanes = new SocketLanes(socket, () => this.transfers(), this.settings.limits);
    let refused = 0;
    const refuse = (error: RostrumError, session: unknown, seq: unknown = 0): void => {
      refused += 1;
      debug("%s: refused a frame: %s", socket.id, error.message);
      const at = Number.isSafeInteger(seq) ? (seq as number) : 0;
      const frame = {
        type: "refused",
        session: typeof session === "string" ? session.slice(0, 128) : "",
        seq: at,
        count: at > 0 ? 1 : 0,
        error: toWire(error),
      };
      socket.emit(wireEvent, [frame]);
      if (refused > patience) socket.disconnect(true);
    };
    const onPacket = (packet: unknown, holes?: unknown, bytes?: unknown): void => {
      let frames: readonly unknown[];
      try {
        frames = parsePacket(fromPacket(packet, holes, bytes));
      } catch (error) {
        return refuse(error as RostrumError, "");
      }
      for (const raw of frames) {
        if (socket.disconnected) return;
        try {
          this.take(socket, places, lanes, parseFrame(raw, this.settings.limits, fromText));
        } catch (error) {
          if (!(error instanceof RostrumError)) {
            // A fault of ours must cost one connection, not the process.
            debug("%s: a frame made the gateway throw: %o", socket.id, error);
            socket.disconnect(true);
            return;
          }
          const { session, seq } = (typeof raw === "object" && raw !== null ? raw : {}) as {
            session?: unknown;
            seq?: unknown;
          };
          refuse(error, session, seq);
        }
      }
    };
    socket.on(wireEvent, onPacket);
    socket.once("disconnect", () => {
      for (const place of places.values()) this.leave(place);
      places.clear();
      lanes.close();
    });
    if (this.draining !== undefined) socket.emit(wireEvent, [{ type: "drain", wait: 0 }]);
  }

  private take(socket: Socket, places: Map<SessionId, Place>, lanes: SocketLanes, frame: ReadFrame): void {
    switch (frame.type) {
      case "ping":
        socket.emit(wireEvent, [{ type: "pong", n: frame.n, at: Date.now() }]);
        return;
      case "open":
        this.open(socket, places, frame).catch((error: unknown) => {
          debug("%s: an open failed: %o", socket.id, error);
          socket.disconnect(true);
        });
        return;
      case "lane":
      case "upload":
      case "chunk":
      case "finish":
      case "fetch":
        return lanes.take(frame);
      default:
    }
    const place = places.get(frame.session);
    if (place?.host === undefined || place.gone.signal.aborted) {
      // The session is not (or no longer) open on this connection: the client has been told, or asked too early.
      return;
    }
    switch (frame.type) {
      case "commands":
        // What is said of transfers themselves holds up nobody.
        if (frame.commands.some(({ type }) => !type.startsWith("activity-"))) this.ready?.transfers?.traffic.seen();
        if (!place.pace.take(frame)) {
          const { windowCommands } = this.settings.limits;
          this.shut(
            place,
            places,
            new RostrumError(
              "WINDOW_EXCEEDED",
              `More than ${windowCommands} commands were under way at once; the session was closed on this connection.`,
              { limit: windowCommands },
            ),
          );
        }
        return;
      case "processed":
        place.host.audience.processed(place, frame.offset);
        return;
      case "renew":
        place.host.renew(place, frame.n);
        return;
      case "volatile":
        if (place.member !== undefined) place.host.relay(place.member, frame.event, frame.args, frame.to, place);
        return;
      case "auth":
        void this.renew(place, places, frame.auth);
        return;
      case "document-open":
        if (this.settings.documents === undefined) this.refuseDocument(socket, frame);
        else place.host.openDocument(place, frame);
        return;
      case "document-close":
        place.host.closeDocument(place, frame.document);
        return;
      case "detach":
        places.delete(frame.session);
        this.leave(place);
        return;
      default:
        frame satisfies never;
    }
  }

  private refuseDocument(socket: Socket, { session, document, point }: DocumentOpenFrame): void {
    const error = new RostrumError(
      "FEATURE_MISSING",
      `The server keeps no documents; "${document}" was not opened. Give attachSessions the documents option.`,
      { feature: "documents" },
    );
    const which = { session, document, ...(point === undefined ? {} : { point }) };
    socket.emit(wireEvent, [{ type: "document-refused", ...which, error: toWire(error) }]);
  }

  private async open(socket: Socket, places: Map<SessionId, Place>, frame: OpenFrame): Promise<void> {
    const { session } = frame;
    const refuse = (error: RostrumError, retryAfter?: number): void => {
      debug("%s: open of %s refused: %s", socket.id, session, error.code);
      const wait = retryAfter === undefined ? {} : { retryAfter };
      socket.emit(wireEvent, [{ type: "closed", session, error: toWire(error), ...wait }]);
    };
    if (this.draining !== undefined) {
      const { until, spread } = this.draining;
      return refuse(
        new RostrumError("SERVER_DRAINING", "The server is going away; come back in a moment."),
        Math.max(0, until - Date.now()) + Math.floor(Math.random() * spread),
      );
    }
    const version = versions.find((offered) => frame.versions.includes(offered));
    if (version === undefined) {
      return refuse(
        new RostrumError(
          "VERSION_MISMATCH",
          `The client speaks protocol ${frame.versions.join(", ")}, the server ${versions.join(", ")}. Update the older one.`,
          { server: versions.join(","), client: frame.versions.join(",") },
        ),
      );
    }
    const missing = frame.required.find((feature) => !this.offered.includes(feature));
    if (missing !== undefined) {
      return refuse(
        new RostrumError("FEATURE_MISSING", `The client needs "${missing}", which this server does not have.`, {
          feature: missing,
        }),
      );
    }
    if (places.size >= maxSeats && !places.has(session)) {
      return refuse(
        new RostrumError("USER_LIMIT", `One connection may open ${maxSeats} sessions at once.`, { limit: maxSeats }),
      );
    }
    const before = places.get(session);
    if (before !== undefined) this.leave(before);
    const gone = new AbortController();
    const stub = { session, gone } as Place;
    // Holds the place while the app is asked, so that a second open of the same session supersedes the first.
    const opening: Place = {
      ...stub,
      socket,
      host: undefined,
      member: undefined,
      expiresAt: undefined,
      reauthTimer: undefined,
      user: userId(""),
      limits: this.settings.limits,
      features: this.offered.filter((feature) => frame.features.includes(feature)),
      version,
      pace: new Pace(1, 1, 0, () => {}),
    };
    places.set(session, opening);
    let identity: Identity;
    try {
      identity = await this.identify(socket, frame, gone.signal);
    } catch (error) {
      if (places.get(session) === opening) places.delete(session);
      return refuse(error as RostrumError);
    }
    let ready: readonly [Hosts, Uint8Array];
    try {
      ready = await Promise.all([this.hosts, this.secret]);
    } catch (cause) {
      if (places.get(session) === opening) places.delete(session);
      const failed = new RostrumError(
        "STORE_FAILED",
        "The server's store did not open; try again later.",
        {},
        { cause },
      );
      return refuse(cause instanceof RostrumError ? cause : failed);
    }
    const [hosts, secret] = ready;
    if (gone.signal.aborted || places.get(session) !== opening) return;
    const user = userId(identity.user);
    const present = this.perUser.get(user) ?? 0;
    if (present >= this.settings.sessionsPerUser) {
      places.delete(session);
      return refuse(
        new RostrumError(
          "USER_LIMIT",
          `The user has ${present} members on this server, the limit is ${this.settings.sessionsPerUser}.`,
          { members: present, limit: this.settings.sessionsPerUser },
        ),
      );
    }
    this.perUser.set(user, present + 1);
    const host = hosts.get(session);
    const place: Place = {
      ...opening,
      user,
      host,
      pace: new Pace(
        this.settings.rate,
        this.settings.burst,
        this.settings.limits.windowCommands,
        ({ seq, commands }, answered) => host.commands(place, seq, commands, answered),
      ),
    };
    places.set(session, place);
    this.expect(place, places, identity);
    const { roles = ["member"], name } = identity;
    const token = frame.resume;
    const genuine =
      token === undefined
        ? undefined
        : readToken(secret, { session, birth: frame.cursor?.birth ?? "", member: token.member, user }, token.token);
    host.attach({
      connection: place,
      join: {
        type: "join",
        member: memberId(randomUUID()),
        user,
        roles,
        node: hosts.node,
        instance: frame.instance,
        ...(name === undefined ? {} : { name }),
      },
      resume: token === undefined || genuine === undefined ? undefined : { member: token.member, incarnation: genuine },
      cursor: frame.cursor,
      ...(frame.documents === undefined ? {} : { documents: frame.documents }),
      history: frame.history,
      accepted: (member) => {
        place.member = member;
        return !gone.signal.aborted && places.get(session) === place;
      },
      refused: (error) => {
        if (places.get(session) === place) places.delete(session);
        this.leave(place);
        if (!socket.disconnected) refuse(error);
      },
    });
  }

  private async identify(socket: Socket, frame: OpenFrame, gone: AbortSignal): Promise<Identity> {
    const { authenticate } = this.settings;
    if (authenticate === undefined) return { user: `guest:${frame.instance}` };
    return this.ask(socket, authenticate, gone, {
      auth: frame.auth,
      session: frame.session,
      resume: frame.resume !== undefined,
    });
  }

  private async ask(
    socket: Socket,
    authenticate: NonNullable<Settings["authenticate"]>,
    gone: AbortSignal,
    about: Pick<AuthenticateContext, "auth" | "session" | "resume">,
  ): Promise<Identity> {
    const { authenticateWithin } = this.settings;
    const late = AbortSignal.timeout(authenticateWithin);
    const signal = AbortSignal.any([gone, late]);
    try {
      const identity = await new Promise<Identity | null>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        Promise.resolve(authenticate({ ...about, handshake: socket.handshake, signal })).then(resolve, reject);
      });
      if (
        identity === null ||
        typeof identity !== "object" ||
        typeof identity.user !== "string" ||
        identity.user === ""
      ) {
        throw new RostrumError("AUTH_REFUSED", "The app did not accept who you are; you were not let in.");
      }
      return identity;
    } catch (cause) {
      if (cause instanceof RostrumError) throw cause;
      debug("authenticate failed: %o", cause);
      throw new RostrumError(
        "AUTH_FAILED",
        late.aborted
          ? `authenticate took longer than ${authenticateWithin} ms; try again.`
          : "authenticate failed on the server; try again.",
        { within: authenticateWithin },
        { cause },
      );
    }
  }

  /** Asks for a fresh auth before the present one runs out, and lets the member go if none comes. */
  private expect(place: Place, places: Map<SessionId, Place>, { expiresAt }: Identity): void {
    clearTimeout(place.reauthTimer);
    place.expiresAt = expiresAt;
    if (expiresAt === undefined) return;
    const lead = Math.min(30_000, Math.max(0, expiresAt - Date.now()) / 2);
    const remind = Math.max(0, expiresAt - lead - Date.now());
    place.reauthTimer = setTimeout(
      () => {
        place.socket.emit(wireEvent, [{ type: "reauth", session: place.session, by: expiresAt }]);
        place.reauthTimer = setTimeout(
          () =>
            this.shut(
              place,
              places,
              new RostrumError("AUTH_EXPIRED", "The authentication ran out and no fresh one came; sign in again.", {
                expiresAt,
              }),
            ),
          Math.max(0, expiresAt - Date.now()) + this.settings.authGrace,
        );
      },
      Math.min(remind, 2_000_000_000),
    );
  }

  private async renew(place: Place, places: Map<SessionId, Place>, auth: unknown): Promise<void> {
    const { authenticate } = this.settings;
    if (authenticate === undefined) return;
    try {
      const identity = await this.ask(place.socket, authenticate, place.gone.signal, {
        auth,
        session: place.session,
        resume: true,
      });
      if (place.gone.signal.aborted) return;
      if (identity.user !== place.user)
        throw new RostrumError("FORBIDDEN", "The fresh auth is another user's.", { permission: "resume" });
      this.expect(place, places, identity);
    } catch (error) {
      // A passing failure leaves the timer running: the client may answer again until then.
      if (!(error as RostrumError).retryable) this.shut(place, places, error as RostrumError);
    }
  }

  /** Closes the session on this connection from the server's side. */
  private shut(place: Place, places: Map<SessionId, Place>, error: RostrumError): void {
    if (places.get(place.session) === place) places.delete(place.session);
    if (!place.gone.signal.aborted) {
      place.socket.emit(wireEvent, [{ type: "closed", session: place.session, error: toWire(error) }]);
    }
    this.leave(place);
  }

  private readonly left = new WeakSet<AbortController>();

  private leave(place: Place): void {
    clearTimeout(place.reauthTimer);
    place.gone.abort(noLonger);
    place.pace.stop();
    if (this.left.has(place.gone)) return;
    this.left.add(place.gone);
    if (place.host === undefined) return;
    place.host.detach(place);
    const count = (this.perUser.get(place.user) ?? 1) - 1;
    if (count > 0) this.perUser.set(place.user, count);
    else this.perUser.delete(place.user);
  }
}
