/** What has become of the edits: how many wait here, whether the server has them on its disk, whether this page has the others'. */

import { find, setText } from "./dom.ts";
import type { Binding } from "./paper.ts";

export const showSaving = ({ status }: Binding): void => {
  const { loaded, pending, saved, synced, error } = status.get();
  const all = find("saving", HTMLUListElement);
  const chips: Readonly<Record<string, readonly [ok: boolean, text: string]>> = {
    pending: [
      pending === 0,
      pending === 0 ? "Nothing waits here" : `${pending} ${pending === 1 ? "edit waits" : "edits wait"} here`,
    ],
    saved: [saved, saved ? "Saved on the server" : "Not saved yet"],
    synced: [
      synced,
      synced ? "In step with the others" : loaded === false ? "Opening" : "Others' edits may be missing",
    ],
  };
  for (const [name, [ok, text]] of Object.entries(chips)) {
    const chip = all.querySelector<HTMLElement>(`[data-testid="${name}"]`);
    if (chip === null) continue;
    chip.dataset["ok"] = String(ok);
    setText(chip, text);
  }
  Object.assign(all.dataset, { pending, saved, synced, loaded: String(loaded) });
  const fault = find("fault", HTMLParagraphElement);
  fault.hidden = error === undefined;
  setText(fault, error?.message ?? "");
};
