/** The pen of a sheet that one writes at a time: who has it, asking for it, putting it down, handing it over. */

import type { Floor, MemberView } from "@rostrum/client";
import { find, KeyedList, make, setText } from "./dom.ts";
import type { Turn } from "./turn.ts";

export interface PenHost {
  readonly turn: Turn;
  readonly nameOf: (member: string) => string;
  readonly members: () => readonly MemberView[];
  readonly self: () => string | undefined;
  readonly live: () => boolean;
}

export class Pen {
  private readonly ask = find("pen-ask", HTMLButtonElement);
  private readonly give = find("pen-give", HTMLFormElement);
  private readonly to = find("pen-to", HTMLSelectElement);
  private readonly options: KeyedList<MemberView, HTMLOptionElement>;

  constructor(
    private readonly floor: Floor,
    private readonly host: PenHost,
  ) {
    this.options = new KeyedList(
      this.to,
      ({ id }) => id,
      ({ id }) => {
        const option = make("option");
        option.value = id;
        return option;
      },
      (option, { id }) => setText(option, host.nameOf(id)),
    );
    this.ask.addEventListener("click", () => {
      const { turn, live } = this.host;
      if (turn.wanted) turn.stop();
      else if (live()) turn.start();
    });
    this.give.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.to.value !== "") this.host.turn.pass(this.to.value);
    });
  }

  /** Who has it, in a sentence. */
  get words(): string {
    const { holders, queue, mine, position } = this.floor.get();
    const [holder] = holders;
    const others = queue
      .filter(({ member }) => member !== this.host.self())
      .map(({ member }) => this.host.nameOf(member));
    const wait =
      others.length === 0 ? "" : ` ${others.join(" and ")} ${others.length === 1 ? "waits" : "wait"} for it.`;
    if (mine === "held") return `You have the pen.${wait}`;
    const has =
      holder === undefined || holder.member === this.host.self()
        ? "Nobody has the pen"
        : `${this.host.nameOf(holder.member)} has the pen`;
    return mine === "waiting" ? `${has}; you are number ${position} in the queue.` : `${has}.${wait}`;
  }

  render(shown: boolean): void {
    const { turn, members, self, live } = this.host;
    const { mine, queue } = this.floor.get();
    this.ask.hidden = !shown;
    this.give.hidden = !shown || mine !== "held";
    setText(
      this.ask,
      mine === "held" ? "Put the pen down" : mine === "waiting" || turn.wanted ? "Ask no more" : "Ask for the pen",
    );
    this.ask.setAttribute("aria-disabled", String(!live() && !turn.wanted));
    // Who waits longest comes first: that is whom it is handed to, most of the time.
    const place = ({ id }: MemberView): number => {
      const found = queue.findIndex(({ member }) => member === id);
      return found === -1 ? queue.length : found;
    };
    const others = members().filter(({ id, presence }) => id !== self() && presence === "connected");
    const { value } = this.to;
    this.options.show([...others].sort((a, b) => place(a) - place(b)));
    if (others.some(({ id }) => id === value)) this.to.value = value;
    const button = find("pen-hand", HTMLButtonElement);
    button.disabled = others.length === 0;
    this.to.disabled = others.length === 0;
  }
}
