/** Messages that came back, because everybody had gone back before they were stored. Whoever wrote them decides. */

import { find, KeyedList, make } from "./dom.ts";
import type { Note } from "./notes.ts";

export interface Answers {
  readonly again: (note: Note) => void;
  readonly drop: (note: Note) => void;
}

export const showReturned = ({ again, drop }: Answers): ((notes: readonly Note[]) => void) => {
  const box = find("returned", HTMLElement);
  const list = new KeyedList<Note, HTMLLIElement>(
    find("returned-list", HTMLUListElement),
    ({ id }) => id,
    (note) => {
      const item = make("li");
      const words = make("span", "what", note.text);
      const button = (text: string, testid: string, act: (note: Note) => void): HTMLButtonElement => {
        const made = make("button", "", text);
        made.type = "button";
        made.dataset["testid"] = testid;
        made.setAttribute("aria-label", `${text}: ${note.text}`);
        made.addEventListener("click", () => act(note));
        return made;
      };
      item.append(words, button("Send again", "again", again), button("Drop", "drop", drop));
      return item;
    },
    () => {},
    find("text", HTMLInputElement),
  );
  return (notes) => {
    box.hidden = notes.length === 0;
    list.show(notes);
  };
};
