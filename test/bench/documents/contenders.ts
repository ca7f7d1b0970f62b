/** Who takes part. */

import type { Contender } from "./contender.ts";
import { hocuspocus } from "./hocuspocus.ts";
import { rostrum } from "./rostrum.ts";
import { ySocketIo } from "./y-socket-io.ts";
import { yWebsocket } from "./y-websocket.ts";

export const contenders: readonly Contender[] = [rostrum, hocuspocus, yWebsocket, ySocketIo];

export const contenderNamed = (name: string | undefined): Contender => {
  const found = contenders.find((each) => each.name === name);
  if (found === undefined) throw new Error(`nobody is called ${name}`);
  return found;
};
