/** How the session stands, and what it tells of itself: the status line, the badge, who is here, and what happened. */

import type { Session } from "@rostrum/client";
import { find, setText } from "./dom.ts";
import { happened } from "./happened.ts";

type AnySession = Pick<Session, "on" | "status" | "members" | "member" | "sync">;

/** What a member is called. */
export const namesIn =
  (session: AnySession) =>
  (id: string): string =>
    session.members.get().find((member) => member.id === id)?.name ?? "somebody";

/** `noun` is what waits here for the server; without it the page itself tells how much does. */
export const showConnection = (session: AnySession, noun?: string): void => {
  const badge = find("badge", HTMLParagraphElement);
  session.on("resume", ({ outcome, from, replayed, resent, gap, why }) => {
    const words =
      outcome === "resumed"
        ? `resumed from #${from}, ${replayed} entries replayed, ${resent} sent again`
        : outcome === "joined"
          ? `joined, ${replayed} entries of history`
          : `${outcome}${why === undefined ? "" : ` (${why})`}, ${replayed} entries replayed${gap === undefined ? "" : `, #${gap.from} to #${gap.to} are missing`}`;
    badge.textContent = words;
    badge.dataset["outcome"] = outcome;
    badge.hidden = false;
    happened("resume", words);
  });
  session.on("warning", (warning) => happened("info", `${warning.code}: ${warning.message}`));
  session.on("closed", (error) => happened("drop", `closed: ${error.message}`));

  let points = 0;
  session.sync.points.subscribe((list) => {
    for (const { serial, offset } of list.filter((point) => point.offset > points))
      happened("point", `sync point ${serial} at #${offset}`);
    points = list.at(-1)?.offset ?? points;
  });

  const status = find("status", HTMLParagraphElement);
  let phase = "";
  const showStatus = (): void => {
    const now = session.status.get();
    const waiting = now.pending.commands;
    const kept = `${waiting} ${waiting === 1 ? `${noun} is` : `${noun}s are`} kept on this device`;
    const counts = noun !== undefined;
    const words = {
      live: waiting === 0 ? "● Live, everything confirmed" : counts ? `● Saving ${waiting}` : "● Live, saving",
      connecting: "◌ Connecting",
      resuming: waiting === 0 || !counts ? "◌ Coming back" : `◌ Coming back; ${kept}`,
      lost: `▲ Trying to reconnect. You can go on writing${counts ? `; ${waiting === 0 ? "nothing is waiting" : kept}` : ""}.`,
      closed: `✕ ${now.error?.message ?? "Closed"}`,
    }[now.phase];
    // A screen reader is told of changes, not of each number on the way.
    setText(status, words);
    status.dataset["phase"] = now.phase;
    status.dataset["sync"] = now.sync;
    if (phase === "live" && now.phase !== "live") happened("drop", "the connection was lost");
    phase = now.phase;
  };
  session.status.subscribe(showStatus);
  showStatus();

  session.members.subscribe(() => {
    const others = session.members.get().filter(({ id }) => id !== session.member);
    const named = (away: boolean): string =>
      others
        .filter(({ presence }) => (presence === "connected") !== away)
        .map((member) => `, ${member.name ?? "somebody"}`)
        .join("");
    const away = named(true);
    const words = `Here: you${named(false)}${away === "" ? "" : `. Away: ${away.slice(2)}`}`;
    setText(find("company", HTMLParagraphElement), words);
  });
};
