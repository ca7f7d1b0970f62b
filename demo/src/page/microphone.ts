/** The floor of the chat page: hold to talk, or press once. */

import type { Grant, Session } from "@rostrum/client";
import { find } from "./dom.ts";
import { happened } from "./happened.ts";
import type { Events } from "./notes.ts";

export const microphone = (session: Session<Events>, name: string, nameOf: (member: string) => string): void => {
  const mic = session.floor("mic");
  const talk = find("talk", HTMLButtonElement);
  const toggle = find("toggle", HTMLInputElement);
  const floorText = find("floor", HTMLParagraphElement);
  let wish: AbortController | undefined;
  let onAir: ReturnType<typeof setInterval> | undefined;

  const show = (): void => {
    const { holders, queue, mine, position } = mic.get();
    const [holder] = holders;
    const speaks =
      holder === undefined
        ? "Nobody has the floor."
        : mine === "held"
          ? "You have the floor."
          : `${nameOf(holder.member)} has the floor.`;
    const waits = queue.length === 0 ? "" : ` Waiting: ${queue.map(({ member }) => nameOf(member)).join(", ")}.`;
    const stale = session.status.get().phase === "live" ? "" : " (as last heard)";
    floorText.textContent = `${speaks}${waits}${stale}`;
    talk.dataset["mine"] = mine;
    talk.textContent =
      mine === "held"
        ? "On air"
        : mine === "waiting"
          ? `Waiting, number ${position}`
          : toggle.checked
            ? "Talk"
            : "Hold to talk";
  };
  mic.subscribe(show);
  session.members.subscribe(show);
  session.status.subscribe(show);

  const stop = (): void => {
    clearInterval(onAir);
    onAir = undefined;
    wish?.abort(new Error("no longer wanted"));
    wish = undefined;
  };
  const start = (): void => {
    if (wish !== undefined) return;
    const mine = new AbortController();
    wish = mine;
    mic.request({ signal: mine.signal }).then(
      (grant: Grant) => {
        if (mine.signal.aborted) return void grant.release();
        happened("info", `the floor is yours, fence ${grant.fence}`);
        const say = (): void => void session.emit("talk", name).catch(() => {});
        say();
        onAir = setInterval(say, 1_000);
        mine.signal.addEventListener("abort", () => void grant.release());
        grant.lost.addEventListener("abort", () => {
          if (wish === mine) {
            happened("drop", "the floor was lost");
            stop();
          }
        });
      },
      (error: unknown) => {
        if (wish === mine) wish = undefined;
        if (!mine.signal.aborted) happened("drop", error instanceof Error ? error.message : String(error));
      },
    );
  };

  talk.addEventListener("pointerdown", (event) => {
    if (toggle.checked) return;
    talk.setPointerCapture(event.pointerId);
    start();
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"])
    talk.addEventListener(type, () => toggle.checked || stop());
  talk.addEventListener("keydown", (event) => {
    if (toggle.checked || event.repeat || (event.key !== " " && event.key !== "Enter")) return;
    event.preventDefault();
    start();
  });
  talk.addEventListener("keyup", (event) => {
    if (!toggle.checked && (event.key === " " || event.key === "Enter")) stop();
  });
  talk.addEventListener("blur", () => toggle.checked || stop());
  talk.addEventListener("click", () => {
    if (toggle.checked) wish === undefined ? start() : stop();
  });
  toggle.addEventListener("change", () => {
    stop();
    show();
  });
  show();
};
