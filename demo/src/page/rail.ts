/** Points along a line, the last one newest: one is chosen, by pointer or by keys, and a card tells more of it. */

import { KeyedList, make, setText } from "./dom.ts";

export interface Stop {
  readonly key: string;
  /** What each of its parts says, by the part's class. */
  readonly parts: Readonly<Record<string, string>>;
  /** How it looks. */
  readonly data: Readonly<Record<string, string>>;
}

export interface RailHost {
  readonly rail: HTMLElement;
  readonly list: HTMLElement;
  readonly card: HTMLElement;
  /** Where the focus goes if the focused stop is gone. */
  readonly refuge: HTMLElement;
  /** Another is chosen, or none. */
  readonly chosen: () => void;
}

export class Rail<T extends Stop> {
  private readonly items: KeyedList<T, HTMLDivElement>;
  private stops: readonly T[] = [];
  private picked: string | undefined;
  /** Which one the tab key comes to. */
  private current = "";

  constructor(private readonly host: RailHost) {
    this.items = new KeyedList(
      host.list,
      ({ key }) => key,
      (stop) => this.item(stop),
      (element, stop) => this.draw(element, stop),
      host.refuge,
    );
    host.list.addEventListener("keydown", (event) => this.key(event));
  }

  /** The stop that is chosen. */
  get stop(): T | undefined {
    return this.stops.find(({ key }) => key === this.picked);
  }

  show(stops: readonly T[]): void {
    const { stops: before, host } = this;
    this.stops = stops;
    if (!stops.some(({ key }) => key === this.current)) this.current = stops.at(-1)?.key ?? "";
    if (!stops.some(({ key }) => key === this.picked)) this.picked = undefined;
    this.items.show(stops);
    if (before.length < stops.length && this.picked === undefined) host.rail.scrollLeft = host.rail.scrollWidth;
  }

  choose(key: string | undefined): void {
    const { picked: before, host } = this;
    this.picked = key;
    if (key !== undefined) this.current = key;
    // The card is hidden by this, and the focus with it.
    const focused = host.card.contains(document.activeElement);
    host.chosen();
    if (key === undefined && before !== undefined && focused) this.focus(before);
  }

  private focus(key: string): void {
    this.current = key;
    this.items.show(this.stops);
    const element = this.host.list.querySelector<HTMLElement>(`[data-key="${key}"]`);
    element?.focus();
    element?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  private key(event: KeyboardEvent): void {
    const at = this.stops.findIndex(({ key }) => key === this.current);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.stops.length - 1 }[event.key];
    if (event.key === "Escape") this.choose(undefined);
    else if (event.key === "Enter" || event.key === " ") this.choose(this.current);
    else if (to === undefined) return;
    else this.focus(this.stops[Math.min(Math.max(to, 0), this.stops.length - 1)]?.key ?? "");
    event.preventDefault();
  }

  private item({ key, parts }: T): HTMLDivElement {
    const element = make("div", "stop");
    element.setAttribute("role", "option");
    element.dataset["key"] = key;
    element.append(make("span", "dot"));
    for (const part of Object.keys(parts))
      element.append(make("span", part === "long" ? "long visually-hidden" : part));
    element.addEventListener("click", () => this.choose(this.picked === key ? undefined : key));
    return element;
  }

  private draw(element: HTMLDivElement, { key, parts, data }: T): void {
    Object.assign(element.dataset, data);
    element.tabIndex = key === this.current ? 0 : -1;
    element.setAttribute("aria-selected", String(key === this.picked));
    for (const [part, text] of Object.entries(parts)) {
      const span = element.querySelector(`.${part}`);
      if (span !== null) setText(span, text);
    }
  }
}
