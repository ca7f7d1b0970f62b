/** Appends until it is killed, and says what was acknowledged. */

import { sessionId } from "@rostrum/protocol";
import { embeddedStore } from "@rostrum/server";

const store = embeddedStore(process.argv[2] ?? "");
const most = 100_000;
for (let offset = 1; offset < most; offset += 1) {
  const result = await store.append(sessionId("s"), { control: 0, head: offset - 1 }, [
    { type: "messages", by: null, offset, at: offset, items: [["note", "x".repeat(100)]] },
  ]);
  if (!result.ok) throw new Error("nobody else appends here");
  process.send?.(offset);
}
