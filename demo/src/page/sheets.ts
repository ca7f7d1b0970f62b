/** Which sheets there are, and which one is looked at. Copies are listed in a document of their own: so everybody has the list. */

import { find, KeyedList, make, setText } from "./dom.ts";
import type { Binding } from "./paper.ts";

export interface Sheet {
  /** The document's name. */
  readonly name: string;
  readonly title: string;
  /** Only whoever has the pen writes here. */
  readonly pen?: true;
}

const notes: Sheet = { name: "notes", title: "Notes" };
const first: readonly Sheet[] = [notes, { name: "minutes", title: "Minutes", pen: true }];

const isTitle = (value: unknown): value is string => typeof value === "string";

export class Sheets {
  private readonly list: KeyedList<Sheet, HTMLLabelElement>;
  private chosen = sessionStorage.getItem("sheet") ?? "notes";

  constructor(
    private readonly index: Binding,
    /** What there is to say of a sheet that is not looked at. */
    news: (name: string) => string,
    private readonly changed: () => void,
  ) {
    this.list = new KeyedList(
      find("sheets-list", HTMLSpanElement),
      ({ name }) => name,
      ({ name }) => this.item(name),
      (element, { name, title }) => {
        const [input, text] = [element.querySelector("input"), element.querySelector("span")];
        if (input !== null) input.checked = name === this.current.name;
        if (text !== null) setText(text, `${title}${news(name)}`);
      },
    );
    this.watch();
    index.on("replaced", () => this.watch());
  }

  get all(): readonly Sheet[] {
    const copies = [...this.titles.entries()].flatMap(([name, title]): Sheet[] =>
      isTitle(title) ? [{ name, title }] : [],
    );
    return [...first, ...copies.sort((a, b) => a.title.localeCompare(b.title))];
  }

  add({ name, title }: Sheet): void {
    this.titles.set(name, title);
  }

  /** The one that is looked at; a copy is not there before the list of copies is. */
  get current(): Sheet {
    return this.all.find(({ name }) => name === this.chosen) ?? notes;
  }

  choose(name: string): void {
    this.chosen = name;
    sessionStorage.setItem("sheet", name);
    this.changed();
  }

  render(): void {
    this.list.show(this.all);
  }

  private get titles() {
    return this.index.doc.getMap<unknown>("titles");
  }

  private watch(): void {
    this.titles.observe(() => this.changed());
    this.changed();
  }

  private item(name: string): HTMLLabelElement {
    const label = make("label");
    const input = make("input");
    input.type = "radio";
    input.name = "sheet";
    input.dataset["testid"] = `sheet-${name}`;
    input.addEventListener("change", () => this.choose(name));
    label.append(input, make("span"));
    return label;
  }
}
