/** Sends a file at full speed: a process of its own. Says when it begins, and when once is done. */

import { openAsBlob } from "node:fs";
import { openClient } from "./load.ts";

const [url = "", path = ""] = process.argv.slice(2);
const { session } = await openClient(url, "r", "sender");
await session.transfers.send(new Uint8Array(1)).done;
process.once("disconnect", () => process.exit());
process.send?.({ value: "begins" });
await session.transfers.send(await openAsBlob(path), { name: "file" }).done;
process.send?.({ value: "done" });
