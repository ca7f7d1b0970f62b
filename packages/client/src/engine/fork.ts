/** What becomes of what waits here when the log turns out to be another one. */

import {
  documentOf,
  type MemberCommand,
  type Offset,
  type Outcome,
  type SessionState,
  type UpdateItem,
} from "@rostrum/protocol";
import type { Outgoing } from "./outbox.ts";
import type { Unsecured } from "./unsecured.ts";

/** What both logs have in common, if this is another one than the client has seen. */
export const forkIn = (outcome: Outcome): Offset | undefined => {
  if (outcome.kind !== "reset" || outcome.why === "member-unknown") return undefined;
  return outcome.why === "fork" ? (outcome.fork ?? 0) : 0;
};

/** What is before this is secured. */
export const securedIn = ({ points }: SessionState["sync"]): Offset =>
  points.findLast(({ kind, status }) => kind === "major" && status === "confirmed")?.offset ?? 0;

/** Whether a command names something that is behind the fork, so that it means nothing, or another thing, in the log that is. */
export const isOfLost = (command: MemberCommand, fork: Offset): boolean => {
  if ("activity" in command) return command.activity > fork || ("run" in command && command.run > fork);
  if ("proposal" in command) return command.proposal > fork;
  if (command.type === "activity-start") return (command.point ?? 0) > fork;
  return command.type === "sync-confirm" || command.type === "resynchronize";
};

/** The command as if it had been made in this generation. */
export const madeIn = (command: MemberCommand, generation: number): MemberCommand => {
  switch (command.type) {
    case "messages":
    case "sync-minor":
    case "sync-major":
    case "exception":
      return generation === (command.generation ?? 0) ? command : { ...command, generation };
    default:
      return command;
  }
};

/** The updates of documents among them. */
export const updatesIn = (commands: readonly { readonly command: MemberCommand }[]): readonly UpdateItem[] =>
  commands.flatMap(({ command }) =>
    command.type === "messages"
      ? (command.items.filter(([event]) => documentOf(event) !== undefined) as UpdateItem[])
      : [],
  );

/** It is sent under the generation that the log has now: the one under which it was sent first may be lost as well. */
export const again = ({ seq, command, bytes }: Unsecured, generation: number): Outgoing => ({
  seq,
  command: madeIn(command, generation),
  bytes,
  sentAt: -Infinity,
  settle: undefined,
});
