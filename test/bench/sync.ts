/** What sync points cost. The peer is a message of the same size, in the same session of the same kind of server. */

import { createFaultProxy } from "@rostrum/testing";
import { openClient, sleep, Target } from "./load.ts";

const members = 20;
const count = 300;
const text = "x".repeat(100);

export interface Cost {
  /** Bytes down for each member and point. */
  readonly bytes: number;
  /** Microseconds of server CPU for each member and point. */
  readonly cpu: number;
}

/** One after the other, each awaited, in a session of twenty: so nothing is gathered, and each pays its whole way. */
export const syncCost = async (what: "message" | "minor" | "confirmed"): Promise<Cost> => {
  await using target = await Target.start("memory");
  await using proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: Number(new URL(target.url).port) } });
  const ends = await Promise.all(Array.from({ length: members }, (_, each) => openClient(proxy.url, "r", `u${each}`)));
  const [first] = ends;
  if (first === undefined) throw new Error("nobody is there");
  const { session } = first;
  const once = async (): Promise<void> => {
    if (what === "message") await session.emit("msg", text);
    else {
      const point = await session.sync.minor({ data: text, confirm: what === "confirmed" });
      if (what === "confirmed") await session.sync.settled(point);
    }
  };
  for (let each = 0; each < 50; each += 1) await once();
  await sleep(300);
  const before = { cpu: await target.ask({ ask: "cpu" }), bytes: proxy.stats.bytesDown };
  for (let each = 0; each < count; each += 1) await once();
  await sleep(300);
  const cpu = (await target.ask({ ask: "cpu" })) - before.cpu;
  const bytes = proxy.stats.bytesDown - before.bytes;
  for (const { client } of ends) client.close();
  return { bytes: bytes / count / members, cpu: (cpu * 1_000) / count / members };
};
