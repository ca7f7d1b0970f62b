/** Appends to a blob and flushes, until it is killed or refused, and says what was acknowledged. */

import { RostrumError, sessionId } from "@rostrum/protocol";
import { fileBlobs } from "@rostrum/server";
import { piece } from "./piece.ts";

/** `refused`: the code; the size is the writer's after it. */
export interface Said {
  readonly size: number;
  readonly refused?: string;
}

const [folder = "", length = ""] = process.argv.slice(2);
const writer = await fileBlobs(folder).write(sessionId("s"), "b", 0);
const say = (said: Said): void => void process.send?.(said);
const most = 100_000_000;
try {
  while (writer.size < most) {
    await writer.append(piece(writer.size, Number(length)));
    await writer.flush();
    say({ size: writer.size });
  }
} catch (error) {
  if (!(error instanceof RostrumError)) throw error;
  say({ size: writer.size, refused: error.code });
}
