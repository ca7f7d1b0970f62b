/** The peer of a transfer, a process of its own: a tus server that stores into a folder. Its parent asks for hashes. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";
import { fileHash } from "./transfer.ts";

const directory = mkdtempSync(join(tmpdir(), "rostrum-bench-"));
process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
process.once("SIGTERM", () => process.exit());

// The location is told without a host, so that a client behind a proxy stays behind it.
const tus = new Server({ path: "/files", datastore: new FileStore({ directory }), relativeLocation: true });
const http = createServer((request, response) => {
  // A connection that was cut under a request; the client comes back by itself.
  tus.handle(request, response).catch(() => response.destroy());
});

process.on("message", ({ id }: { readonly id: string }) => {
  void fileHash(join(directory, id)).then((value) => process.send?.({ value }));
});
process.once("disconnect", () => process.exit());
http.listen(0, "127.0.0.1", () => process.send?.({ value: (http.address() as AddressInfo).port }));
