/** This member's own wish for the floor: asked for, held, given up. Knows no button. */

import { type Floor, type Grant, type RequestOptions, RostrumError } from "@rostrum/client";

export interface TurnHost {
  /** What goes with the request. */
  readonly plea: () => Pick<RequestOptions, "reason" | "priority">;
  /** Something that this member should be told. */
  readonly tell: (text: string) => void;
  readonly self: () => string | undefined;
  /** Whether the session's server is there. */
  readonly live: () => boolean;
  readonly changed: () => void;
  /** What the floor is called here; "the floor" if nothing is said. */
  readonly thing?: string;
  /** What is said when it comes unasked. */
  readonly given?: string;
  /** Whether it is kept over a reload. */
  readonly keeps?: boolean;
}

export class Turn {
  private wish: AbortController | undefined;
  /** Until the page is up, a floor that is held is what an earlier life of it left behind. */
  private settled = false;

  constructor(
    private readonly floor: Floor,
    private readonly host: TurnHost,
  ) {
    floor.subscribe(() => this.adopt());
  }

  /** Whether this member wants the floor or has it. */
  get wanted(): boolean {
    return this.wish !== undefined;
  }

  start(): void {
    if (this.wish !== undefined) return;
    const wish = this.begin();
    this.follow(wish, this.floor.request({ ...this.host.plea(), signal: wish.signal }));
  }

  /** The chair's way: without a request, ending whoever has it. */
  take(): void {
    if (this.floor.get().mine === "held") return;
    this.stop();
    const wish = this.begin();
    this.follow(wish, this.floor.take({ signal: wish.signal }));
  }

  /** Takes the request back, or gives the floor up. */
  stop(): void {
    const { wish } = this;
    this.wish = undefined;
    wish?.abort(new Error("no longer wanted"));
    this.host.changed();
  }

  /** Gives it to another member, who need not have asked. */
  pass(member: string): void {
    this.floor
      .request()
      .then((grant) => grant.pass(member))
      .catch((error: unknown) => this.host.tell(this.why(error, "It could not be handed over.")));
  }

  /**
   * Takes up what an earlier life of this page held or asked for, or gives it back: nobody holds the button now that had
   * to be held.
   */
  settle(): void {
    this.settled = true;
    if (this.floor.get().mine === "none" || this.wish !== undefined) return;
    const wish = this.begin();
    this.follow(wish, this.floor.request({ signal: wish.signal }));
    if (this.host.keeps !== true) this.stop();
  }

  private begin(): AbortController {
    const wish = new AbortController();
    this.wish = wish;
    this.host.changed();
    return wish;
  }

  /** The floor is mine, and I did not ask: the chair gave it, or an earlier life of this page left it behind. */
  private adopt(): void {
    const { mine, holders } = this.floor.get();
    if (this.wish !== undefined || !this.settled || mine !== "held") return;
    const leftBehind = holders.some(
      ({ member, since }) => member === this.host.self() && since < performance.timeOrigin,
    );
    const wish = this.begin();
    this.follow(wish, this.floor.request());
    if (leftBehind && this.host.keeps !== true) this.stop();
    else this.host.tell(this.host.given ?? "The chair gave you the floor. Press Talk to give it back.");
  }

  private follow(wish: AbortController, asked: Promise<Grant>): void {
    asked.then(
      (grant) => {
        if (wish.signal.aborted) return void grant.release().catch(() => {});
        wish.signal.addEventListener("abort", () => void grant.release().catch(() => {}));
        grant.lost.addEventListener("abort", () => this.over(wish, this.lost(grant.lost.reason)));
        grant.ending.addEventListener("abort", () => {
          if (this.wish === wish) this.host.tell(soon(grant.ending.reason));
        });
        this.host.changed();
      },
      (error: unknown) => this.over(wish, this.why(error, "You were not granted the floor.")),
    );
  }

  private lost(reason: unknown): string {
    if (this.host.live()) return this.why(reason, "You no longer have the floor.");
    return this.host.thing === undefined
      ? "Your lease has ended while the server is away: nobody hears you now."
      : this.named("Your lease has ended while the server is away: the floor may be somebody else's by now.");
  }

  private why(error: unknown, otherwise: string): string {
    return this.named(why(error, otherwise));
  }

  private named(text: string): string {
    const { thing } = this.host;
    return thing === undefined ? text : text.replaceAll("the floor", thing);
  }

  private over(wish: AbortController, text: string): void {
    if (this.wish !== wish) return;
    this.wish = undefined;
    this.host.tell(text);
    this.host.changed();
  }
}

const ends: Readonly<Record<string, string>> = {
  "hold-limit": "Your time is over.",
  preempted: "Somebody with a higher priority takes the floor.",
  revoked: "The chair takes the floor from you.",
  "taken-over": "The chair takes the floor over.",
  grace: "Your link was down for too long: the floor is gone.",
  configured: "The rules have changed: the floor is gone.",
  passed: "You have handed the floor over.",
};
const refusals: Readonly<Record<string, string>> = {
  FLOOR_BUSY: "Somebody else has the floor, and nobody can wait for it.",
  FLOOR_QUEUE_FULL: "Too many people wait for the floor already.",
  FLOOR_CANCELLED: "Your request was taken back.",
};

const soon = (error: unknown): string =>
  error instanceof RostrumError && error.details["reason"] === "preempted"
    ? "Somebody with a higher priority waits: finish soon."
    : "Your time ends soon.";

/** An outcome in words for people. */
const why = (error: unknown, otherwise: string): string => {
  if (!(error instanceof RostrumError)) return otherwise;
  const { code, details } = error;
  const reason = typeof details["reason"] === "string" ? details["reason"] : "";
  if (code === "FLOOR_DENIED") return reason === "" ? "Your request was denied." : `Your request was denied: ${reason}`;
  const words = ends[reason] ?? refusals[code] ?? otherwise;
  return typeof details["note"] === "string" ? `${words} The reason: ${details["note"]}` : words;
};
