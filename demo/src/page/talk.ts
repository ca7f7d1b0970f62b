/** The Talk button: held by pointer or by Space, or pressed once by people who can't hold. */

import type { Floor } from "@rostrum/client";
import { find, setText } from "./dom.ts";
import { clock, isEnding } from "./time.ts";
import type { Turn } from "./turn.ts";

/** What has a use of its own for Space. */
const controls = "input, textarea, select, button, summary, a[href], [contenteditable]";

export interface TalkHost {
  /** Why nobody can be given the floor now, in a few words; empty if it can be had. */
  readonly hindrance: () => string;
  readonly tell: (text: string) => void;
}

export class Talk {
  private readonly button = find("talk", HTMLButtonElement);
  private readonly toggle = find("toggle", HTMLInputElement);
  private readonly how = find("talk-how", HTMLSpanElement);
  /** Whether a pointer or a key is down that began this turn. */
  private held = false;

  constructor(
    private readonly floor: Floor,
    private readonly turn: Turn,
    private readonly host: TalkHost,
  ) {
    const { button, toggle } = this;
    button.addEventListener("pointerdown", ({ button: which, pointerId }) => {
      if (which !== 0 || toggle.checked) return;
      button.setPointerCapture(pointerId);
      this.press();
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"])
      button.addEventListener(type, () => this.letGo());
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    // A click of no pointer and no key is a screen reader's: that can't hold either.
    button.addEventListener("click", ({ detail }) => {
      if (toggle.checked || detail === 0) this.flip();
    });
    toggle.addEventListener("change", () => {
      this.held = false;
      this.turn.stop();
    });
    addEventListener("keydown", (event) => {
      if (!this.isTalkKey(event)) return;
      event.preventDefault();
      if (event.repeat) return;
      if (toggle.checked) this.flip();
      else this.press();
    });
    addEventListener("keyup", (event) => {
      // Else the browser makes a click of it.
      if (this.isTalkKey(event)) event.preventDefault();
      if (event.key === " " || event.key === "Enter") this.letGo();
    });
    // A key or a pointer that is let go elsewhere is not seen here.
    addEventListener("blur", () => this.letGo());
  }

  render(): void {
    const { button, toggle } = this;
    const view = this.floor.get();
    const { mine, position } = view;
    const hindrance = this.host.hindrance();
    const cannot = hindrance !== "" && !this.turn.wanted && mine === "none";
    const state = cannot ? "cannot" : mine === "none" && this.turn.wanted ? "asking" : mine;
    const idle = toggle.checked ? "Talk" : "Hold to talk";
    const words: Readonly<Record<typeof state, string>> = {
      none: idle,
      cannot: hindrance,
      asking: "Asking",
      pending: "Waiting for the chair",
      waiting: `Waiting, number ${position}`,
      held: this.onAir(),
    };
    setText(button, words[state]);
    setText(this.how, toggle.checked ? "Press the button or Space; again to stop." : "Hold the button, or Space.");
    button.dataset["state"] = state;
    button.dataset["ending"] = String(mine === "held" && isEnding(view));
    button.setAttribute("aria-disabled", String(cannot));
    if (toggle.checked) button.setAttribute("aria-pressed", String(this.turn.wanted));
    else button.removeAttribute("aria-pressed");
  }

  private onAir(): string {
    if (this.host.hindrance() !== "") return "On air until the lease ends";
    const { holders } = this.floor.get();
    const endsAt = holders[0]?.endsAt;
    return endsAt === undefined ? "On air" : `On air, ${clock(endsAt - Date.now())} left`;
  }

  private press(): void {
    this.held = true;
    // Given by the chair: a press gives it back.
    if (this.turn.wanted) this.turn.stop();
    else this.start();
  }

  private letGo(): void {
    if (!this.held) return;
    this.held = false;
    this.turn.stop();
  }

  private flip(): void {
    if (this.turn.wanted) this.turn.stop();
    else this.start();
  }

  private start(): void {
    const hindrance = this.host.hindrance();
    if (hindrance === "") this.turn.start();
    else this.host.tell(`${hindrance}: nobody can give it to you now.`);
  }

  /** Space anywhere, Enter on the button itself; not where they have another use. */
  private isTalkKey({ key, target, ctrlKey, altKey, metaKey }: KeyboardEvent): boolean {
    if (ctrlKey || altKey || metaKey) return false;
    if (target === this.button) return key === " " || key === "Enter";
    return key === " " && !(target instanceof Element && target.closest(controls) !== null);
  }
}
