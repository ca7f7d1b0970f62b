/** Edits that were not accepted. They are nobody's but the writer's, who looks at them and decides. */

import { ChangeSet } from "@codemirror/state";
import { edits, type Piece, pieces, showPieces, summary } from "./difference.ts";
import { find, KeyedList, make, setText } from "./dom.ts";
import { edited } from "./edited.ts";
import { type Binding, textOf } from "./paper.ts";

type Draft = ReturnType<Binding["drafts"]["get"]>[number];

export interface DraftsHost {
  /** Does the edits over again, as new ones. */
  readonly edit: (changes: ChangeSet) => void;
  readonly say: (text: string) => void;
}

const reasons: Readonly<Record<string, string>> = {
  FLOOR_NOT_HELD: "you did not have the pen any more",
  FORBIDDEN: "you may not write here",
  RESYNCHRONIZED: "everybody went back to an earlier version first",
};

const piecesOf = (draft: Draft): readonly Piece[] => {
  const view = draft.view();
  const all = edited(view, draft.update);
  view.destroy();
  return all;
};

/** What they did where they were made, moved to where that is now. */
const again = (all: readonly Piece[], now: string): ChangeSet => {
  const base = all.map(({ value, added }) => (added ? "" : value)).join("");
  const since = ChangeSet.of([...edits(pieces(base, now, "character"))], base.length);
  return ChangeSet.of([...edits(all)], base.length).map(since);
};

export class Drafts {
  private readonly box = find("drafts", HTMLElement);
  private readonly list: KeyedList<Draft, HTMLLIElement>;
  private readonly known = new WeakMap<Draft, readonly Piece[]>();
  private readonly drawn = new WeakMap<HTMLElement, Draft>();
  private shown: Binding | undefined;

  constructor(private readonly host: DraftsHost) {
    this.list = new KeyedList(
      find("drafts-list", HTMLUListElement),
      ({ id }) => id,
      (draft) => this.item(draft),
      (element, draft) => this.draw(element, draft),
      find("drafts-title", HTMLElement),
    );
  }

  /** Of that document. */
  show(binding: Binding): void {
    const drafts = binding.drafts.get();
    // The lists of two documents share no elements: an id is one document's.
    if (this.shown !== binding) this.list.show([]);
    this.shown = binding;
    this.box.hidden = drafts.length === 0;
    this.list.show(drafts);
  }

  private get now(): string {
    return this.shown === undefined ? "" : textOf(this.shown.doc).toString();
  }

  private item(draft: Draft): HTMLLIElement {
    const item = make("li", "draft");
    item.dataset["testid"] = "draft";
    const about = make("p", "about");
    const pane = make("section", "difference");
    pane.tabIndex = 0;
    pane.setAttribute("aria-label", "What was not accepted, where it was written");
    const row = make("div", "row");
    const button = (text: string, testid: string, act: () => void): void => {
      const made = make("button", "small", text);
      made.type = "button";
      made.dataset["testid"] = testid;
      made.addEventListener("click", act);
      row.append(made);
    };
    button("Put it back", "draft-again", () => this.again(draft));
    button("Copy the words", "draft-copy", () => this.copy(draft));
    button("Throw it away", "draft-drop", () => {
      draft.discard();
      this.host.say("The draft was thrown away.");
    });
    item.append(about, pane, row);
    return item;
  }

  private pieces(draft: Draft): readonly Piece[] {
    const all = this.known.get(draft) ?? piecesOf(draft);
    this.known.set(draft, all);
    return all;
  }

  private draw(element: HTMLLIElement, draft: Draft): void {
    const again = element.querySelector<HTMLButtonElement>("[data-testid='draft-again']");
    if (again !== null) again.disabled = this.shown?.writable.get().can !== true;
    if (this.drawn.get(element) === draft) return;
    this.drawn.set(element, draft);
    const all = this.pieces(draft);
    const at = new Date(draft.at).toLocaleTimeString([], { hour12: false });
    const why = reasons[draft.code] ?? draft.reason;
    const about = element.querySelector(".about");
    if (about !== null) setText(about, `Not accepted at ${at}, because ${why}: ${summary(all)}.`);
    const pane = element.querySelector<HTMLElement>(".difference");
    if (pane !== null) showPieces(pane, all);
  }

  private again(draft: Draft): void {
    this.host.edit(again(this.pieces(draft), this.now));
    draft.discard();
    this.host.say("It is written again, as new edits.");
  }

  private copy(draft: Draft): void {
    const words = this.pieces(draft)
      .filter(({ added }) => added)
      .map(({ value }) => value)
      .join("\n");
    navigator.clipboard.writeText(words).then(
      () => this.host.say("What you had written is on the clipboard."),
      () => this.host.say("The browser does not let this page copy: select it, and copy it by hand."),
    );
  }
}
