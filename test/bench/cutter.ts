/** The link of a transfer, a process of its own: a fault proxy that resets all connections in a rhythm, and counts. */

import { createFaultProxy } from "@rostrum/testing";
import type { CutterOrder, CutterStats } from "./transfer.ts";

const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: Number(process.argv[2]) } });
let cuts = 0;
let timer: NodeJS.Timeout | undefined;

process.on("message", (order: CutterOrder) => {
  clearInterval(timer);
  if (order.ask === "cut") {
    timer = setInterval(() => {
      cuts += 1;
      proxy.cut();
    }, order.every);
  }
  process.send?.({ value: { cuts, sent: proxy.stats.bytesUp } satisfies CutterStats });
});
process.once("disconnect", () => process.exit());
process.send?.({ value: proxy.port });
