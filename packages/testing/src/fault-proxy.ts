/**
 * A TCP proxy that misbehaves on order: the truest way to break a link in a test, because neither end knows that it is there.
 *
 *     client ──up──► proxy ──up──► target
 *            ◄─down─       ◄─down─
 *
 * It models links, not protocols: bytes in, bytes out, in order, with back-pressure.
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `up` is from the connecting side to the target, `down` the way back. */
export type Direction = "up" | "down";

/** How the link behaves, from `set` until the next `set`. */
export type FaultMode =
  | { readonly kind: "ok" }
  /** Each way takes `delayMs`, plus up to `jitterMs` drawn per chunk. Order is kept, as TCP keeps it. */
  | { readonly kind: "slow"; readonly delayMs: number; readonly jitterMs?: number }
  /**
   * TCP cannot lose bytes: what a lossy link does to it is delay (retransmission) and, when it gets bad, the death of
   * the connection. So each chunk read kills its connection by RST with `resetProbability` (0 to 1), and is otherwise
   * late as in `slow`.
   */
  | { readonly kind: "lossy"; readonly resetProbability: number; readonly delayMs?: number; readonly jitterMs?: number }
  /**
   * A black hole: sockets stay open, bytes vanish, no FIN or RST passes. New connections are accepted and get no answer.
   * With a `direction`, only that way vanishes. A connection that lived through this never heals: when the mode changes
   * it stays open and dead in both directions, as behind a NAT that lost its state, until its peers close it.
   */
  | { readonly kind: "half-open"; readonly direction?: Direction }
  /** Every connection gets RST, and so does every new one, as soon as it is made. */
  | { readonly kind: "off" };

export interface FaultTarget {
  readonly host: string;
  readonly port: number;
}

export interface FaultProxyOptions {
  readonly target: FaultTarget;
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number;
  /** For jitter and loss. The draws repeat with the seed; where TCP ends a chunk does not. Default 1. */
  readonly seed?: number;
}

export interface FaultStats {
  /** Connections accepted so far, those refused by `off` left out. */
  readonly connections: number;
  /** Connections of which at least one side is open now. */
  readonly open: number;
  /** Bytes handed on to the target so far. */
  readonly bytesUp: number;
  /** Bytes handed on to the connecting side so far. */
  readonly bytesDown: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly mode: FaultMode;
  readonly stats: FaultStats;
  /** Takes effect at once, on every open connection and every new one. */
  set(mode: FaultMode): void;
  /** New connections go there; open ones stay where they are. */
  retarget(target: FaultTarget): void;
  /** RST to both sides of every connection, once. The mode stays. */
  cut(): void;
  /** Lets `bytes` more pass in that direction, all connections together, then cuts the one that carried the last of them. */
  cutAfterBytes(bytes: number, direction: Direction): void;
  /** Ends every connection and the listener. Leaves no socket and no timer. */
  close(): Promise<void>;
}

/** Chunks held for their time count against this, per direction; beyond it the source is paused. */
const heldBytesLimit = 1024 * 1024;

/**
 * Starts a proxy before `target`.
 *
 * @example
 * await using proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: 3000 } });
 * const socket = io(proxy.url);
 * proxy.set({ kind: "half-open" }); // nobody notices yet
 */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const random = seededRandom(options.seed ?? 1);
  const connections = new Set<Connection>();
  const bytes = { up: 0, down: 0 };
  const cutAfter: { up?: number; down?: number } = {};
  let accepted = 0;
  let target = options.target;
  let mode: FaultMode = { kind: "ok" };

  const link: Link = {
    fate() {
      if (mode.kind === "slow" || mode.kind === "lossy") {
        const reset = mode.kind === "lossy" && random() < mode.resetProbability;
        return { reset, delayMs: (mode.delayMs ?? 0) + (mode.jitterMs ?? 0) * random() };
      }
      return { reset: false, delayMs: 0 };
    },
    spend(direction, wanted) {
      const left = cutAfter[direction];
      const passed = Math.min(wanted, left ?? wanted);
      bytes[direction] += passed;
      if (left === undefined || wanted < left) {
        if (left !== undefined) cutAfter[direction] = left - wanted;
        return { passed, cut: false };
      }
      delete cutAfter[direction];
      return { passed, cut: true };
    },
  };

  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    if (mode.kind === "off") {
      near.on("error", ignore);
      near.resetAndDestroy();
      return;
    }
    accepted += 1;
    const swallowsAll = mode.kind === "half-open" && mode.direction === undefined;
    const far = swallowsAll ? undefined : connect({ ...target, allowHalfOpen: true, noDelay: true });
    const connection = new Connection(near, far, link, () => connections.delete(connection));
    connections.add(connection);
    if (mode.kind === "half-open") connection.swallow(mode.direction);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;

  const cut = (): void => {
    for (const connection of [...connections]) connection.reset();
  };
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    cut();
    await closed;
  };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    get mode() {
      return mode;
    },
    get stats() {
      return { connections: accepted, open: connections.size, bytesUp: bytes.up, bytesDown: bytes.down };
    },
    set(next) {
      mode = next;
      if (next.kind === "off") cut();
      for (const connection of [...connections]) {
        if (connection.swallowing) connection.swallow();
        if (next.kind === "half-open") connection.swallow(next.direction);
      }
    },
    retarget(next) {
      target = next;
    },
    cut,
    cutAfterBytes(count, direction) {
      cutAfter[direction] = count;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What a connection asks of the proxy about the bytes that it carries. */
interface Link {
  /** Draws what happens to a chunk that was just read. */
  fate(): { readonly reset: boolean; readonly delayMs: number };
  /** Books bytes about to be handed on: how many may pass, and whether the connection is to be cut after them. */
  spend(direction: Direction, wanted: number): { readonly passed: number; readonly cut: boolean };
}

/** Two sockets and the two passages between them; without a far socket, a near one that nobody answers. */
class Connection {
  readonly #sides: readonly Socket[];
  readonly #passages: readonly Passage[];
  readonly #onOver: () => void;
  #over = false;

  constructor(near: Socket, far: Socket | undefined, link: Link, onOver: () => void) {
    const reset = (): void => this.reset();
    this.#onOver = onOver;
    this.#sides = far ? [near, far] : [near];
    this.#passages = far
      ? [new Passage("up", near, far, link, reset), new Passage("down", far, near, link, reset)]
      : [];
    for (const side of this.#sides) {
      side.on("error", ignore); // "close" tells what matters of it
      side.once("close", () => {
        if (this.#sides.every((each) => each.destroyed)) this.#finish();
      });
    }
    if (!far) {
      near.resume();
      near.once("end", () => near.end());
    }
  }

  get swallowing(): boolean {
    return this.#passages.some((passage) => passage.swallowing);
  }

  /** From here on, bytes of that direction vanish, and so does its end; of both, if none is named. */
  swallow(direction?: Direction): void {
    const before = this.#dead;
    for (const passage of this.#passages) {
      if (direction === undefined || passage.direction === direction) passage.swallow();
    }
    if (before || !this.#dead) return;
    // Nothing will ever come for a side that closes: answer its FIN, so that it can go.
    for (const side of this.#sides) {
      if (side.readableEnded) side.end();
      else side.once("end", () => side.end());
    }
  }

  reset(): void {
    for (const passage of this.#passages) passage.swallow();
    for (const side of this.#sides) {
      // While a FIN is on its way out, Node (20) fails to reset and keeps the handle for ever.
      const ending = side.writableEnded && !side.writableFinished;
      if (side.connecting || ending) side.destroy();
      else side.resetAndDestroy();
    }
    this.#finish();
  }

  get #dead(): boolean {
    return this.#passages.every((passage) => passage.swallowing);
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver();
  }
}

interface Chunk {
  readonly bytes: Buffer;
  readonly due: number;
}

/** One direction of one connection: a queue of chunks, each handed on when it is due and the receiver takes it. */
class Passage {
  readonly direction: Direction;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #link: Link;
  readonly #reset: () => void;
  #held: Chunk[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #swallowing = false;

  constructor(direction: Direction, from: Socket, to: Socket, link: Link, reset: () => void) {
    this.direction = direction;
    this.#from = from;
    this.#to = to;
    this.#link = link;
    this.#reset = reset;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.once("end", () => this.#pass());
    from.once("close", (failed: boolean) => {
      if (failed && !this.#swallowing) reset();
    });
    to.on("drain", () => this.#pass());
  }

  get swallowing(): boolean {
    return this.#swallowing;
  }

  swallow(): void {
    this.#swallowing = true;
    clearTimeout(this.#timer);
    this.#held = [];
    this.#from.resume();
  }

  #take(bytes: Buffer): void {
    if (this.#swallowing) return;
    const fate = this.#link.fate();
    if (fate.reset) {
      this.#reset();
      return;
    }
    const due = Math.max(performance.now() + fate.delayMs, this.#held.at(-1)?.due ?? 0);
    this.#held.push({ bytes, due });
    this.#heldBytes += bytes.length;
    this.#pass();
  }

  /** Hands on what is due, as far as the receiver takes it, then sees to the source and the next time to look. */
  #pass(): void {
    if (this.#swallowing) return;
    clearTimeout(this.#timer);
    for (let head = this.#held[0]; head && !this.#to.writableNeedDrain; head = this.#held[0]) {
      const early = head.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.#pass(), early);
        break;
      }
      this.#held.shift();
      this.#heldBytes -= head.bytes.length;
      if (!this.#handOn(head.bytes)) return;
    }
    if (this.#heldBytes > heldBytesLimit || this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
    if (this.#from.readableEnded && this.#held.length === 0) this.#to.end();
  }

  /** False when these were the connection's last bytes. */
  #handOn(bytes: Buffer): boolean {
    const { passed, cut } = this.#link.spend(this.direction, bytes.length);
    if (!cut) {
      this.#to.write(bytes);
      return true;
    }
    this.swallow();
    // RST drops what the kernel has not been given yet, hence only after the write.
    this.#to.write(bytes.subarray(0, passed), () => this.#reset());
    return false;
  }
}

/** Mulberry32: small, fast, and good enough to decide which chunk is unlucky. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function ignore(): void {}
