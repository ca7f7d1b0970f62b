/** Sends a file at full speed: a process of its own. Says when it begins, and when it is done, by how much it had grown. */

import { openAsBlob } from "node:fs";
import { openClient } from "./load.ts";

const [url = "", path = ""] = process.argv.slice(2);
const { session } = await openClient(url, "r", "sender");
await session.transfers.send(new Uint8Array(1)).done;
process.once("disconnect", () => process.exit());
process.send?.({ value: "begins" });
globalThis.gc?.();
const before = process.memoryUsage().rss;
let most = before;
const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 50);
await session.transfers.send(await openAsBlob(path), { name: "file" }).done;
clearInterval(watch);
process.send?.({ value: most - before });
