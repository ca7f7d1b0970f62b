/** The session's sync points along its log: set, seen, and gone back to, by everybody or by this page alone. */

import type { RostrumError, Session, SyncPoint } from "@rostrum/client";
import { find, setText } from "./dom.ts";
import { excuse } from "./excuse.ts";
import type { Events } from "./notes.ts";
import { Rail, type Stop as RailStop } from "./rail.ts";

export interface TimelineHost {
  readonly session: Session<Events>;
  readonly name: string;
  readonly nameOf: (member: string) => string;
  /** How many messages stand behind an offset. */
  readonly since: (offset: number) => number;
  /** This page alone is about to go back. */
  readonly rewinding: () => void;
}

/** A point as it is shown. The beginning of the session is one, too. */
interface Stop extends RailStop {
  readonly serial: number;
  readonly offset: number;
  readonly kind: "beginning" | "minor" | "major";
  readonly status: "beginning" | SyncPoint["status"];
  readonly title: string;
  readonly by: string;
  /** In a sentence. */
  readonly long: string;
  /** Whether it lies before the last secured point. */
  readonly secured: boolean;
}

const plural = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`;

/** What the rail shows of a stop; `short` is in a few words what `long` says in a sentence. */
const shown = (stop: Omit<Stop, "parts" | "data">, short: string): Stop => {
  const { kind, status, secured, title, by, offset, long } = stop;
  return {
    ...stop,
    parts: { title, by: by === "" ? "" : `${by}, #${offset}`, short, long },
    data: { kind, status, secured: String(secured) },
  };
};

const beginning = (secured: boolean): Stop =>
  shown(
    {
      key: "beginning",
      serial: 0,
      offset: 0,
      kind: "beginning",
      status: "beginning",
      title: "Beginning",
      by: "",
      long: `Where the session began${secured ? ". What came after is secured: the session does not go back here any more" : ""}.`,
      secured,
    },
    secured ? "secured" : "",
  );

export class Timeline {
  private readonly list = find("stops", HTMLDivElement);
  private readonly card = find("stop", HTMLElement);
  private readonly all = find("back-all", HTMLButtonElement);
  private readonly alone = find("back-alone", HTMLButtonElement);
  private readonly said = find("stops-said", HTMLParagraphElement);
  private readonly label = find("stop-name", HTMLInputElement);
  private readonly rail: Rail<Stop>;
  private readonly told = new WeakSet<Error>();

  constructor(private readonly host: TimelineHost) {
    const { list, card, label: refuge } = this;
    this.rail = new Rail({ rail: find("rail", HTMLDivElement), list, card, refuge, chosen: () => this.show() });
    const { session } = host;
    find("mark", HTMLButtonElement).addEventListener("click", () => this.mark());
    find("secure", HTMLButtonElement).addEventListener("click", () => void this.secure());
    this.label.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.mark();
    });
    this.all.addEventListener("click", () => this.back());
    this.alone.addEventListener("click", () => this.backAlone());
    find("stop-close", HTMLButtonElement).addEventListener("click", () => this.rail.choose(undefined));
    session.sync.points.subscribe(() => this.show());
    session.members.subscribe(() => this.show());
    this.show();
  }

  /** Draws what is known now. */
  show(): void {
    const points = this.host.session.sync.points.get();
    const base = points.findLast(({ kind, status }) => kind === "major" && status === "confirmed");
    const stops = [beginning(base !== undefined), ...points.map((point) => this.stopOf(point, base))];
    this.list.dataset["empty"] = String(points.length === 0);
    find("stops-empty", HTMLParagraphElement).hidden = points.length > 0;
    this.rail.show(stops);
    const since = this.host.since(stops.findLast(({ status }) => status !== "void")?.offset ?? 0);
    setText(
      find("stops-now", HTMLSpanElement),
      since === 0 ? "now" : `now, ${plural(since, "message", "messages")} on`,
    );
    this.showCard();
  }

  /** Why something was not done. Once for each error, however it comes to be known. */
  fault(error: RostrumError): void {
    if (this.told.has(error)) return;
    this.told.add(error);
    this.say(excuse(error), true);
  }

  say(text: string, bad = false): void {
    setText(this.said, text);
    this.said.dataset["bad"] = String(bad);
  }

  // ---- setting ----

  private named(): { readonly name?: string; readonly data: { readonly by: string } } {
    const name = this.label.value.trim();
    this.label.value = "";
    return { data: { by: this.host.name }, ...(name === "" ? {} : { name }) };
  }

  private mark(): void {
    const { session } = this.host;
    this.say(this.later("The point is set when the connection is back."));
    session.sync.minor({ ...this.named(), share: true }).then(
      ({ serial }) => this.say(`Point ${serial} is marked.`),
      (error: RostrumError) => this.fault(error),
    );
  }

  private async secure(): Promise<void> {
    const { session } = this.host;
    this.say(this.later("The point is set when the connection is back.", "Waiting for everybody to have come so far."));
    try {
      const result = await session.sync.major(this.named());
      const { serial } = result.point;
      if (result.outcome === "confirmed") this.say(`Secured: from now on nobody goes back before point ${serial}.`);
      else if (result.outcome === "void") this.say(`Everybody went back before point ${serial} was secured.`, true);
      else
        this.say(`Point ${serial} secures nothing: ${this.names(result.missing)} had not come so far in time.`, true);
    } catch (error) {
      this.fault(error as RostrumError);
    }
  }

  private later(away: string, here = ""): string {
    return this.host.session.status.get().phase === "live" ? here : away;
  }

  // ---- going back ----

  private back(): void {
    const { stop } = this.rail;
    if (stop === undefined) return;
    this.say(this.later("Everybody goes back when the connection is back, unless somebody was first."));
    this.rail.choose(undefined);
    this.host.session.sync.restart(stop.serial).then(
      () => {},
      (error: RostrumError) => this.fault(error),
    );
  }

  private backAlone(): void {
    const { stop } = this.rail;
    if (stop === undefined) return;
    const { session, rewinding, since } = this.host;
    const count = since(stop.offset);
    rewinding();
    this.rail.choose(undefined);
    session.sync.restore(stop.serial).then(
      () =>
        this.say(
          `This page alone went back to ${stop.title}; ${plural(count, "message was", "messages were")} played again.`,
        ),
      (error: RostrumError) => this.fault(error),
    );
  }

  // ---- showing ----

  private showCard(): void {
    const { card, all, alone } = this;
    const { stop } = this.rail;
    card.hidden = stop === undefined;
    if (stop === undefined) return;
    const count = this.host.since(stop.offset);
    const isBase = stop.kind === "major" && stop.status === "confirmed";
    setText(find("stop-title", HTMLElement), stop.by === "" ? stop.title : `${stop.title}, by ${stop.by}`);
    const back = `Going back here makes ${count === 0 ? "no message" : plural(count, "message", "messages")} void, for everybody.`;
    setText(
      find("stop-text", HTMLElement),
      stop.status === "void" || (stop.secured && !isBase) ? stop.long : `${stop.long} ${back}`,
    );
    all.hidden = stop.status === "void" || (stop.secured && !isBase);
    alone.hidden = stop.status === "void" || stop.kind === "beginning";
  }

  private stopOf(point: SyncPoint, base: SyncPoint | undefined): Stop {
    const { serial, kind, offset, status, name, data, by } = point;
    const written = typeof data === "object" && data !== null && "by" in data ? data.by : undefined;
    const secured = base !== undefined && offset <= base.offset && status !== "void";
    const isBase = base?.offset === offset;
    const { short, long } = this.wordsOf(point, secured && !isBase ? base : undefined);
    return shown(
      {
        key: String(offset),
        serial,
        offset,
        kind,
        status,
        title: name ?? `Point ${serial}`,
        by: by === null ? "the server" : typeof written === "string" ? written : this.host.nameOf(by),
        long,
        secured,
      },
      short,
    );
  }

  private wordsOf(
    point: SyncPoint,
    beforeBase: SyncPoint | undefined,
  ): { readonly short: string; readonly long: string } {
    const { kind, status, need = 0, waiting = [], missing = [] } = point;
    if (status === "void") return { short: "void", long: "Void: everybody went back to before it." };
    if (beforeBase !== undefined) {
      const long = `Before point ${beforeBase.serial}, which is secured: the session does not go back here any more.`;
      return { short: "secured", long };
    }
    switch (status) {
      case "set":
        return { short: "set", long: "A mark to come back to." };
      case "open":
        return { short: `open, ${need} missing`, long: `Open: waits until ${this.names(waiting)} has come so far.` };
      case "confirmed":
        return kind === "major"
          ? { short: "confirmed", long: "Secured: everybody has what came before, and nobody goes back before it." }
          : { short: "confirmed", long: "A mark that everybody has come to." };
      case "unconfirmed":
        return { short: "unconfirmed", long: `Not secured: ${this.names(missing)} had not come so far in time.` };
      default:
        return status satisfies never;
    }
  }

  private names(members: readonly string[]): string {
    return members.length === 0 ? "somebody" : members.map(this.host.nameOf).join(" and ");
  }
}
