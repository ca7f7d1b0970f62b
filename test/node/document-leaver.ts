/** A server that closes over its documents, and has nothing more to do. */

import { createServer } from "node:http";
import { attachSessions, memoryStore } from "@rostrum/server";
import { editDoc, readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { Server } from "socket.io";

process.on("unhandledRejection", (reason) => {
  console.error("unhandled", reason);
  process.exit(3);
});
const [how = ""] = process.argv.slice(2);
console.warn = () => {};
const io = new Server(createServer());
const documents = yjsDocuments({ store: async () => {} });
const sessions = attachSessions(io, { store: memoryStore(), documents });
const session = sessions.get("s");
for (let n = 0; n < 20; n += 1)
  await editDoc(session, `d${n}`, (doc) => doc.getText("t").insert(0, "x".repeat(80_000)));
if (how === "settled")
  while ((await session.documents()).some(({ updates }) => updates > 0)) await readDoc(session, "d0");
await sessions.close();
await io.close();
console.log("closed");
