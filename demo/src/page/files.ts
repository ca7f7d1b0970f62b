/** Files between the panes: what goes out, what comes in, and the buttons for both. */

import type { Session, TransferSource, TransferView } from "@rostrum/client";
import { Arrival } from "./arrival.ts";
import { Bar } from "./bar.ts";
import { amount, mega, paced, sample } from "./bytes.ts";
import { find, KeyedList, make, perFrame, setText } from "./dom.ts";
import type { Events } from "./notes.ts";
import { Sending } from "./sending.ts";

/** Bytes a second: a visitor wants time to pull the plug. */
const pace = 4_000_000;

const seedOf = ({ data }: TransferView): number | undefined => {
  const seed = typeof data === "object" && data !== null && "sample" in data ? data.sample : undefined;
  return typeof seed === "number" ? seed : undefined;
};

const isSlow = (): boolean => find("file-slow", HTMLInputElement).checked;

const sourceOf = (file: File, from: number): TransferSource => (isSlow() ? paced(file, pace, from) : file);

/** What a page that was reloaded has again by itself: samples, from their seeds. */
export const transferSource = async (view: TransferView): Promise<TransferSource | undefined> => {
  const seed = seedOf(view);
  return seed === undefined ? undefined : sourceOf(sample(seed, view.size ?? 0), view.bytes);
};

const button = (text: string, testid: string, act: () => void): HTMLButtonElement => {
  const made = make("button", "", text);
  made.type = "button";
  made.dataset["testid"] = testid;
  made.addEventListener("click", act);
  return made;
};

/** A row's elements, by what they show. */
interface Row {
  readonly bar: Bar;
  readonly head: HTMLElement;
  readonly figures: HTMLElement;
  readonly line: HTMLElement;
  readonly buttons: Readonly<Record<string, HTMLElement>>;
}

const rowOf = (element: HTMLElement, name: string, buttons: Row["buttons"]): Row => {
  const bar = new Bar(name);
  const [head, figures, line] = [make("p", "head"), make("p", "figures"), make("p", "line")];
  const row = make("div", "row");
  row.append(...Object.values(buttons));
  element.append(head, bar.element, figures, line, row);
  return { bar, head, figures, line, buttons };
};

export class Files {
  private readonly sendings: Sending[] = [];
  private readonly arrivals: Arrival[] = [];
  private readonly rows = new WeakMap<HTMLElement, Row>();
  private readonly outList: KeyedList<Sending, HTMLLIElement>;
  private readonly inList: KeyedList<Arrival, HTMLLIElement>;
  private readonly draw = perFrame(() => this.show());
  private count = 0;

  constructor(
    private readonly session: Session<Events>,
    private readonly nameOf: (member: string) => string,
  ) {
    const refuge = find("file-sample", HTMLButtonElement);
    this.outList = new KeyedList(
      find("sendings", HTMLUListElement),
      ({ key }) => key,
      (sending) => this.outRow(sending),
      (element, sending) => this.drawOut(element, sending),
      refuge,
    );
    this.inList = new KeyedList(
      find("arrivals", HTMLUListElement),
      ({ key }) => key,
      (arrival) => this.inRow(arrival),
      (element, arrival) => this.drawIn(element, arrival),
      refuge,
    );
    refuge.addEventListener("click", () => {
      const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 1;
      this.send(sample(seed, Number(find("file-size", HTMLSelectElement).value)), { sample: seed });
    });
    const chosen = find("file-choose", HTMLInputElement);
    chosen.addEventListener("change", () => {
      for (const file of chosen.files ?? []) this.send(file);
      chosen.value = "";
    });
    session.transfers.subscribe(() => this.look());
    session.on("transfer", (incoming) => {
      this.arrivals.push(new Arrival(incoming, this.draw));
      this.draw();
    });
    this.look();
  }

  private send(file: File, data?: { readonly sample: number }): void {
    const { session } = this;
    // Those who are here, so that it is known who has it; alone, all who will come.
    const to = session.members.get().flatMap(({ id, user }) => (user === this.user ? [] : [id]));
    const sending = this.list(file.name, file.size);
    sending.follow(
      session.transfers.send(sourceOf(file, 0), {
        name: file.name.slice(0, 120),
        size: file.size,
        ...(file.type === "" ? {} : { type: file.type }),
        ...(to.length === 0 ? {} : { to }),
        ...(data === undefined ? {} : { data }),
      }),
    );
  }

  private get user(): string | undefined {
    return this.session.members.get().find(({ id }) => id === this.session.member)?.user;
  }

  private list(name: string, size: number): Sending {
    this.count += 1;
    const scope = `sent:${this.session.id}`;
    const sending: Sending = new Sending(`out-${this.count}`, name, size, scope, this.draw);
    this.sendings.push(sending);
    this.draw();
    return sending;
  }

  /** What the session knows of, and this page does not yet. */
  private look(): void {
    const { session, sendings } = this;
    const views = session.transfers.get();
    for (const view of views) {
      if (!view.mine || view.status === "ended") continue;
      const outgoing = session.transfers.outgoing(view.id);
      let sending = sendings.find(({ id }) => id === view.id);
      if (sending === undefined && !(outgoing === undefined ? this.isOrphan(view) : this.isRecalled)) continue;
      if (sending === undefined) {
        sending = this.list(view.name, view.size ?? 0);
        sending.recall(view);
      }
      if (outgoing !== undefined) sending.follow(outgoing);
    }
    for (const sending of sendings)
      if (sending.id !== undefined && !views.some(({ id }) => id === sending.id)) sending.gone();
    this.draw();
  }

  /** An earlier life of this page began it, and chose a file for it that this one does not have. */
  private isOrphan(view: TransferView): boolean {
    const { member } = this.session;
    return (
      view.status === "interrupted" && seedOf(view) === undefined && [view.from, view.holder].includes(member ?? null)
    );
  }

  /** One that this page has just begun does not know its id yet. */
  private get isRecalled(): boolean {
    return !this.sendings.some(({ id, isOver }) => id === undefined && !isOver);
  }

  private goOn(sending: Sending, file: File): void {
    if (sending.id === undefined) return;
    const { id, confirmed } = sending;
    sending.follow(this.session.transfers.resume(id, sourceOf(file, confirmed)));
    this.draw();
  }

  private giveUp(sending: Sending): void {
    if (!sending.giveUp() && sending.id !== undefined)
      this.session.activities
        .get(sending.id)
        ?.discard("given up")
        .catch(() => {});
  }

  // ---- showing ----

  private show(): void {
    this.outList.show(this.sendings);
    this.inList.show(this.arrivals);
    find("files-empty", HTMLParagraphElement).hidden = this.sendings.length + this.arrivals.length > 0;
  }

  private remove<T>(from: T[], item: T): void {
    from.splice(from.indexOf(item), 1);
    this.draw();
  }

  private outRow(sending: Sending): HTMLLIElement {
    const item = make("li", "file");
    item.dataset["testid"] = "sending";
    const again = make("label", "button");
    const input = make("input", "visually-hidden");
    input.type = "file";
    input.dataset["testid"] = "choose-again";
    input.addEventListener("change", () => {
      const [file] = input.files ?? [];
      input.value = "";
      if (file !== undefined) this.goOn(sending, file);
    });
    again.append(input, "Choose it again");
    this.rows.set(
      item,
      rowOf(item, `Sending ${sending.name}`, {
        again,
        pause: button("Pause", "pause", () => sending.pause()),
        resume: button("Go on", "resume", () => sending.resume()),
        giveUp: button("Give up", "give-up", () => this.giveUp(sending)),
        remove: button("Remove from the list", "remove", () => this.remove(this.sendings, sending)),
      }),
    );
    return item;
  }

  private drawOut(item: HTMLLIElement, sending: Sending): void {
    const row = this.rows.get(item);
    if (row === undefined) return;
    const { name, size, state, sent, confirmed, resent, points, again, isOver } = sending;
    item.dataset["state"] = state;
    setText(row.head, `↑ ${name}: ${this.stateOf(sending)}`);
    const figures = `sent ${mega(sent)}, confirmed ${mega(confirmed)}, sent again ${mega(resent)} of ${mega(size)} MB`;
    setText(row.figures, figures);
    row.bar.show({ size, safe: confirmed, under: sent, points, again }, figures);
    const lines = [sending.fault ?? this.askFor(sending), this.wentOn(sending), this.endOf(sending)];
    setText(row.line, lines.filter((line) => line !== "").join(" "));
    row.line.dataset["bad"] = String(sending.fault !== undefined);
    const shown: Readonly<Record<string, boolean>> = {
      again: state === "orphan",
      pause: sending.canPause,
      resume: state === "paused",
      giveUp: !isOver,
      remove: isOver,
    };
    for (const [key, element] of Object.entries(row.buttons)) element.hidden = shown[key] !== true;
  }

  private stateOf({ state }: Sending): string {
    const { phase } = this.session.status.get();
    return {
      starting: phase === "live" ? "beginning" : "waits for the connection",
      running: "on its way",
      waiting: phase === "live" ? "waits for the server" : "waits for the connection",
      paused: "paused",
      orphan: "needs the file again",
      done: "all of it is on the server",
      failed: "not sent",
    }[state];
  }

  private askFor({ state, confirmed }: Sending): string {
    if (state !== "orphan") return "";
    return `This page was loaded anew, and a page may not keep a file that was chosen. Choose it again: it goes on at ${mega(confirmed)} MB.`;
  }

  private wentOn({ wentOn, size }: Sending): string {
    if (wentOn === undefined) return "";
    const { at, again } = wentOn;
    const more =
      again === 0 ? "nothing was sent again" : `only ${amount(again)} were sent again, ${amount(at)} were not`;
    return `Went on at ${mega(at)} of ${mega(size)} MB: ${more}.`;
  }

  private endOf({ digest, receivers }: Sending): string {
    if (digest === undefined) return "";
    const who = receivers.length === 0 ? "" : `, ${receivers.map(this.nameOf).join(" and ")} ✓ whole.`;
    return `SHA-256 ${digest.slice(0, 12)}…${who}`;
  }

  private inRow(arrival: Arrival): HTMLLIElement {
    const item = make("li", "file");
    item.dataset["testid"] = "arrival";
    const save = make("a", "button", "Save");
    save.dataset["testid"] = "save";
    save.download = arrival.incoming.name;
    this.rows.set(
      item,
      rowOf(item, `Receiving ${arrival.incoming.name}`, {
        save,
        decline: button("Decline", "decline", () => arrival.decline()),
        remove: button("Remove from the list", "remove", () => {
          arrival.dispose();
          this.remove(this.arrivals, arrival);
        }),
      }),
    );
    return item;
  }

  private drawIn(item: HTMLLIElement, arrival: Arrival): void {
    const row = this.rows.get(item);
    if (row === undefined) return;
    const { state, received, available, size, digest, fault, url, isOver, incoming } = arrival;
    item.dataset["state"] = state;
    item.dataset["digest"] = digest;
    const from = incoming.from === null ? "the server" : this.nameOf(incoming.from);
    const words = {
      coming: "arriving",
      waiting: "waits for more",
      whole: "✓ whole",
      declined: "declined",
      failed: "not received",
    }[state];
    setText(row.head, `↓ ${incoming.name} from ${from}: ${words}`);
    const figures = `received ${mega(received)}, on the server ${mega(available)} of ${mega(size)} MB`;
    setText(row.figures, figures);
    row.bar.show({ size, safe: received, under: available }, figures);
    setText(row.line, fault ?? (digest === "" ? "" : `SHA-256 ${digest.slice(0, 12)}…, as it was sent.`));
    row.line.dataset["bad"] = String(fault !== undefined);
    const { save, decline, remove } = row.buttons;
    if (save instanceof HTMLAnchorElement && url !== undefined) save.href = url;
    if (save !== undefined) save.hidden = url === undefined;
    if (decline !== undefined) decline.hidden = isOver;
    if (remove !== undefined) remove.hidden = !isOver;
  }
}
