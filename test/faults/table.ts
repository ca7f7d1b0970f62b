/** Prints what was counted, so that a reader can judge it without knowing this folder. */

import { cases, type FaultCase } from "./cases.ts";
import type { Numbers } from "./play.ts";

/** What came of one column of one case. */
export type Cell =
  | { readonly kind: "played"; readonly numbers: Numbers }
  | { readonly kind: "skipped"; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

export interface Row {
  readonly fault: FaultCase;
  readonly plain?: Cell;
  readonly rostrum?: Cell;
}

const rules = `
lost     numbered messages that the receiving app never handled. ↑ page to server, ↓ server to page. Batches of 5 each way
         before, during and after the fault; silence of 2.5 s after the last batch ends the wait. In "reload-with-state"
         ↓ counts what the page's state does not have at the end.
doubled  times beyond the first that an app handled a number.
live     ms from the moment that link, server or page is back until a fresh message has passed each way. Includes the
         client's reconnection delay, as shipped, and where nobody has noticed the fault, its detection (heartbeats every 2 s,
         2 s for an answer, in both columns; shipped are 25 s and 20 s by Socket.IO, 10 s and 5 s by Rostrum).
plain    Socket.IO with connection state recovery, as its documentation sets it up; the page's app sends by emitWithAck, and
         sends again what was rejected only where the row says so. What was rejected but handled is not counted as lost.
both     transports: ["websocket"], servers and pages are processes of their own (reload, crash, duplicate: tabs of Chromium),
         a fault proxy between them.`;

export function table(rows: readonly Row[]): string {
  const head = ["#", "case", "plain lost", "doubled", "live", "rostrum lost", "doubled", "live", "outcome"];
  const numberOf = ({ fault }: Row): number => cases.indexOf(fault) + 1;
  const lines = rows.map((row) => [
    String(numberOf(row)),
    row.fault.name,
    ...cells(row.plain),
    ...cells(row.rostrum),
    outcome(row.rostrum),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const print = (line: readonly string[]): string =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const notes = rows.flatMap((row) => notesOf(row, numberOf(row)));
  return [
    print(head),
    print(widths.map((width) => "-".repeat(width))),
    ...lines.map(print),
    "",
    "What was played:",
    ...notes,
    rules,
  ].join("\n");
}

export interface JsonRow {
  readonly case: string;
  readonly plain: { readonly lost: number; readonly doubled: number; readonly liveMs: number } | null;
  readonly rostrum: {
    readonly lost: number;
    readonly doubled: number;
    readonly liveMs: number;
    readonly outcome: string | null;
  } | null;
}

export function json(rows: readonly Row[]): JsonRow[] {
  return rows.map((row) => {
    const plain = sums(row.plain);
    const rostrum = sums(row.rostrum);
    return {
      case: row.fault.name,
      plain,
      rostrum: rostrum && {
        ...rostrum,
        outcome: row.rostrum?.kind === "played" ? (row.rostrum.numbers.outcome ?? null) : null,
      },
    };
  });
}

function sums(cell: Cell | undefined): JsonRow["plain"] {
  if (cell?.kind !== "played") return null;
  const { up, down, liveMs } = cell.numbers;
  return { lost: up.lost + down.lost, doubled: up.doubled + down.doubled, liveMs };
}

function cells(cell: Cell | undefined): [string, string, string] {
  if (!cell) return ["", "", ""];
  if (cell.kind !== "played") return [cell.kind, "", ""];
  const { up, down, liveMs } = cell.numbers;
  return [bothWays(up.lost, down.lost), bothWays(up.doubled, down.doubled), String(liveMs)];
}

function bothWays(up: number, down: number): string {
  return up + down === 0 ? "0" : `${up + down} (${up}↑ ${down}↓)`;
}

function outcome(cell: Cell | undefined): string {
  return cell?.kind === "played" ? (cell.numbers.outcome ?? "") : "";
}

function notesOf({ fault, plain, rostrum }: Row, number: number): string[] {
  const { adapter, nodes, retries, note } = fault.plain;
  const setup = [adapter === "memory" ? "in-memory adapter" : adapter, nodes === 1 ? "one node" : "two nodes"];
  if (retries !== undefined) setup.push(`retries: ${retries}`);
  const lines = [`${String(number).padStart(2)}  ${fault.title}${fault.page === "browser" ? " [Chromium]" : ""}`];
  if (plain) lines.push(`      plain: ${[setup.join(", "), note, excuse(plain)].filter(Boolean).join("; ")}`);
  if (rostrum && (fault.rostrum.note ?? excuse(rostrum))) {
    lines.push(`      rostrum: ${[fault.rostrum.note, excuse(rostrum)].filter(Boolean).join("; ")}`);
  }
  return lines;
}

function excuse(cell: Cell): string | undefined {
  return cell.kind === "played" ? undefined : `${cell.kind}: ${cell.why}`;
}
