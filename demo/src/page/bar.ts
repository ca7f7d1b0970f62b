/** How far a transfer is, as a bar: what is safe, what is under way, what went twice, and the sync points. */

import { make } from "./dom.ts";

export interface Shares {
  readonly size: number;
  /** Up to here nothing can be lost. */
  readonly safe: number;
  /** Up to here it is under way. */
  readonly under: number;
  readonly points?: readonly number[];
  readonly again?: readonly (readonly [from: number, to: number])[];
}

export class Bar {
  readonly element = make("div", "bar");
  private readonly under = make("span", "under");
  private readonly safe = make("span", "safe");
  private readonly marks = make("span", "marks");
  private shown = "";

  constructor(label: string) {
    this.element.setAttribute("role", "progressbar");
    this.element.setAttribute("aria-label", label);
    this.element.setAttribute("aria-valuemin", "0");
    this.element.setAttribute("aria-valuemax", "100");
    this.element.append(this.under, this.safe, this.marks);
  }

  show({ size, safe, under, points = [], again = [] }: Shares, words: string): void {
    const share = (bytes: number): string => `${size === 0 ? 100 : Math.min(100, (bytes / size) * 100)}%`;
    this.element.setAttribute("aria-valuenow", String(Math.floor(size === 0 ? 100 : (safe / size) * 100)));
    this.element.setAttribute("aria-valuetext", words);
    this.safe.style.width = share(safe);
    this.under.style.width = share(Math.max(safe, under));
    const marks = JSON.stringify([points, again]);
    if (marks === this.shown) return;
    this.shown = marks;
    this.marks.replaceChildren(
      ...again.map(([from, to]) => {
        const mark = make("span", "again");
        mark.style.left = share(from);
        mark.style.width = share(to - from);
        return mark;
      }),
      ...points
        .filter((at) => at > 0 && at < size)
        .map((at) => {
          const mark = make("span", "point");
          mark.style.left = share(at);
          return mark;
        }),
    );
  }
}
