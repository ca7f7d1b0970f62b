/** The chair's console: who asks, who speaks, who has spoken, and how the floor is given. */

import type { Floor, FloorTurn, FloorWaiting, MemberView } from "@rostrum/client";
import { particulars } from "./air.ts";
import { find, KeyedList, make, setText } from "./dom.ts";
import { clock } from "./time.ts";

export interface ChairHost {
  readonly members: () => readonly MemberView[];
  readonly self: () => string | undefined;
  readonly take: () => void;
  /** Why the chair can order nothing now; empty if it can. */
  readonly hindrance: () => string;
  readonly tell: (text: string) => void;
}

/** A member as the console lists it. */
interface Person {
  readonly member: MemberView;
  readonly holds: boolean;
  readonly waiting: FloorWaiting | undefined;
}

const ends: Readonly<Record<FloorTurn["ended"], string>> = {
  released: "gave it up",
  passed: "passed it on",
  "hold-limit": "time was over",
  preempted: "gave way",
  revoked: "revoked",
  "taken-over": "taken over",
  grace: "lost the link",
  left: "left",
  removed: "removed",
  configured: "rules changed",
  dialog: "dialog ended",
};

const buttons = [
  ["accept", "Accept"],
  ["grant", "Grant"],
  ["deny", "Deny"],
  ["up", "Up"],
  ["down", "Down"],
  ["give", "Give"],
] as const;
type Verb = (typeof buttons)[number][0];

export class Chair {
  private readonly section = find("console", HTMLElement);
  private readonly record = find("record", HTMLDivElement);
  private readonly plea = find("plea", HTMLDetailsElement);
  private readonly why = find("why", HTMLInputElement);
  private readonly revoke = find("revoke", HTMLButtonElement);
  private readonly take = find("take", HTMLButtonElement);
  private readonly policy = find("policy", HTMLSelectElement);
  private readonly order = find("order", HTMLSelectElement);
  private readonly limit = find("limit", HTMLSelectElement);
  private readonly people: KeyedList<Person, HTMLLIElement>;
  private readonly spoken: KeyedList<{ readonly user: string; readonly ms: number }, HTMLLIElement>;
  private readonly turns: KeyedList<FloorTurn, HTMLLIElement>;

  constructor(
    private readonly floor: Floor,
    private readonly host: ChairHost,
  ) {
    this.people = new KeyedList<Person, HTMLLIElement>(
      find("people", HTMLUListElement),
      ({ member }) => member.id,
      ({ member }) => this.createPerson(member),
      (item, person) => this.updatePerson(item, person),
      find("console-title", HTMLHeadingElement),
    );
    this.spoken = new KeyedList(
      find("spoken", HTMLUListElement),
      ({ user }) => user,
      () => {
        const item = make("li");
        item.append(make("span", "who"), make("span", "bar"), make("span", "ms"));
        return item;
      },
      (item, { user, ms }) => {
        const [who, bar, time] = item.children;
        if (who !== undefined) setText(who, user);
        if (bar instanceof HTMLElement) bar.style.inlineSize = `${Math.round((ms / this.mostSpoken()) * 100)}%`;
        if (time !== undefined) setText(time, clock(ms));
      },
    );
    this.turns = new KeyedList(
      find("turns", HTMLOListElement),
      ({ member, from }) => `${member} ${from}`,
      ({ user, from, to, ended }) => {
        const item = make("li");
        item.append(make("span", "who", user), make("span", "ms", clock(to - from)), make("span", "what", ends[ended]));
        return item;
      },
      () => {},
    );
    onPress(this.revoke, () => {
      const [holder] = floor.get().holders;
      if (holder !== undefined) this.carry(() => floor.revoke(holder.member, this.reason()));
    });
    onPress(this.take, () => host.take());
    this.policy.addEventListener("change", () => {
      const { value } = this.policy;
      if (value === "queue" || value === "first-come" || value === "chair")
        this.carry(() => floor.configure({ policy: value }));
    });
    this.order.addEventListener("change", () => {
      const { value } = this.order;
      if (value === "fifo" || value === "priority" || value === "least-spoken")
        this.carry(() => floor.configure({ order: value }));
    });
    this.limit.addEventListener("change", () => {
      this.carry(() => floor.configure({ maxHold: Number(this.limit.value) || null }));
    });
  }

  render(): void {
    const view = this.floor.get();
    const self = this.host.self();
    this.section.hidden = self === undefined || !view.chairs.some((chair) => chair === self);
    // A chair takes the floor; it need not say why.
    this.plea.hidden = !this.section.hidden;
    if (this.section.hidden) return;
    const [holder] = view.holders;
    const waiting = [...view.queue, ...view.pending];
    const persons = this.host.members().map(
      (member): Person => ({
        member,
        holds: holder?.member === member.id,
        waiting: waiting.find((each) => each.member === member.id),
      }),
    );
    // Who asks comes first: that is what the chair looks for.
    const rank = ({ holds, waiting: request }: Person): number =>
      holds ? 0 : request === undefined ? 1_000_000 : request.status === "pending" ? 1 : 1 + request.position;
    this.people.show([...persons].sort((one, other) => rank(one) - rank(other)));
    const can = this.host.hindrance() === "";
    able(this.revoke, can && holder !== undefined);
    able(this.take, can && holder?.member !== self);
    choose(this.policy, view.policy?.policy ?? "queue");
    choose(this.order, view.policy?.order ?? "fifo");
    choose(this.limit, String(view.policy?.maxHold ?? 0));
    this.record.hidden = view.talk.length === 0 && view.turns.length === 0;
    this.spoken.show(view.talk.slice(0, 6));
    this.turns.show(view.turns.slice(-6).reverse());
  }

  private createPerson({ id, name, user }: MemberView): HTMLLIElement {
    const item = make("li");
    item.dataset["member"] = id;
    item.dataset["name"] = name ?? user;
    const words = make("div", "words");
    words.append(make("span", "who", name ?? user), make("span", "what"));
    const row = make("div", "acts");
    for (const [verb, text] of buttons) {
      const button = make("button", "small", text);
      button.type = "button";
      button.dataset["verb"] = verb;
      button.setAttribute("aria-label", `${text}: ${name ?? user}`);
      onPress(button, () => this.act(verb, id));
      row.append(button);
    }
    item.append(words, row);
    return item;
  }

  private updatePerson(item: HTMLLIElement, { member, holds, waiting }: Person): void {
    const what = item.querySelector(".what");
    if (what !== null) setText(what, standing({ member, holds, waiting }));
    const { queue, holders } = this.floor.get();
    const [length, free] = [queue.length, holders.length === 0];
    const apt: Readonly<Record<Verb, boolean>> = {
      accept: waiting?.status === "pending",
      grant: waiting !== undefined && free,
      deny: waiting !== undefined,
      up: waiting !== undefined && waiting.position > 1,
      down: waiting !== undefined && waiting.position > 0 && waiting.position < length,
      give: waiting === undefined && free && member.presence === "connected",
    };
    // What may be apt again in a moment keeps its place, so that no button slips away under a finger.
    const shown: Readonly<Record<Verb, boolean>> = {
      ...apt,
      grant: waiting !== undefined,
      give: waiting === undefined && !holds,
      up: waiting?.status === "accepted" && length > 1,
      down: waiting?.status === "accepted" && length > 1,
    };
    for (const button of item.querySelectorAll("button")) {
      const verb = button.dataset["verb"] as Verb;
      button.hidden = !shown[verb];
      able(button, apt[verb] && this.host.hindrance() === "");
    }
  }

  private act(verb: Verb, member: string): void {
    const { floor } = this;
    const position = floor.get().queue.find((each) => each.member === member)?.position ?? 0;
    const acts: Readonly<Record<Verb, () => Promise<unknown>>> = {
      accept: () => floor.accept(member),
      grant: () => floor.grant(member),
      deny: () => floor.deny(member, this.reason()),
      up: () => floor.reorder(member, position - 1),
      down: () => floor.reorder(member, position + 1),
      give: () => floor.give(member),
    };
    this.carry(acts[verb]);
  }

  /** Says why an order was refused; what was done shows by itself. None is kept for a server that comes back later. */
  private carry(order: () => Promise<unknown>): void {
    const hindrance = this.host.hindrance();
    const done =
      hindrance === "" ? order() : Promise.reject(new Error(`${hindrance}: the chair can order nothing now.`));
    done.catch((error: unknown) => {
      this.host.tell(error instanceof Error ? error.message : String(error));
      for (const select of [this.policy, this.order, this.limit]) delete select.dataset["shown"];
      this.render();
    });
  }

  private reason(): string | undefined {
    const reason = this.why.value.trim();
    this.why.value = "";
    return reason === "" ? undefined : reason;
  }

  private mostSpoken(): number {
    return Math.max(1, ...this.floor.get().talk.map(({ ms }) => ms));
  }
}

const standing = ({ member, holds, waiting }: Person): string => {
  if (holds) return "on air";
  if (waiting !== undefined) {
    const place = waiting.status === "pending" ? "asks for the floor" : `waits, number ${waiting.position}`;
    return [place, particulars(waiting)].filter((part) => part !== "").join(", ");
  }
  return member.presence === "dropped" ? "away" : "listens";
};

/** Not `disabled`: that would take the focus from whoever uses the keyboard. */
const able = (button: HTMLButtonElement, can: boolean): void => button.setAttribute("aria-disabled", String(!can));

const onPress = (button: HTMLButtonElement, act: () => void): void =>
  button.addEventListener("click", () => button.getAttribute("aria-disabled") === "true" || act());

/** Shows a setting when it has become another, and so leaves alone what is being chosen. */
const choose = (select: HTMLSelectElement, value: string): void => {
  if (select.dataset["shown"] === value) return;
  select.dataset["shown"] = value;
  select.value = value;
  if (select.value === value) return;
  const option = make("option", "", `${Number(value) / 1_000} s`);
  option.value = value;
  select.append(option);
  select.value = value;
};
