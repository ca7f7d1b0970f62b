/** The few things that every page here does with the DOM. */

/** The element of that id, of that kind. */
export const find = <T extends HTMLElement>(id: string, kind: new () => T): T => {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
};

export const make = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] => {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  if (text !== "") element.textContent = text;
  return element;
};

/** Sets a text only if it is another: what has not changed is neither laid out nor read out again. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text;
};

/**
 * Shows items as children that stay the same elements as long as their keys do, so that a render takes the focus from
 * nobody. Where the focused child itself is gone, the focus goes to `refuge`, not to the top of the page.
 */
export class KeyedList<T, E extends HTMLElement> {
  private readonly shown = new Map<string, E>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly key: (item: T) => string,
    private readonly create: (item: T) => E,
    private readonly update: (element: E, item: T) => void,
    private readonly refuge?: HTMLElement,
  ) {}

  show(items: readonly T[]): void {
    const focused = document.activeElement;
    const hadFocus = focused !== null && this.parent.contains(focused);
    const wanted = new Set(items.map(this.key));
    for (const [key, element] of this.shown) {
      if (wanted.has(key)) continue;
      element.remove();
      this.shown.delete(key);
    }
    items.forEach((item, index) => {
      const key = this.key(item);
      const element = this.shown.get(key) ?? this.create(item);
      this.shown.set(key, element);
      const there = this.parent.children[index];
      if (there !== element) this.parent.insertBefore(element, there ?? null);
      this.update(element, item);
    });
    if (!hadFocus || document.activeElement === focused) return;
    // An element that was moved has lost the focus by that.
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
    else this.refuge?.focus({ preventScroll: true });
  }
}

/** Draws once for each display frame, however often it is asked. */
export const perFrame = (draw: () => void): (() => void) => {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      draw();
    });
  };
};
