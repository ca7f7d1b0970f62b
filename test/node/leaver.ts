/** A program that closes its client in the middle of transfers, and has nothing more to do. */

import { createClient, type IncomingTransfer, memoryStorage } from "@rostrum/client";

process.on("unhandledRejection", (reason) => {
  console.error("unhandled", reason);
  process.exit(3);
});
const [url = "", how = "close"] = process.argv.slice(2);
const make = () => createClient({ url, storage: memoryStorage() });
const [a, b] = [make(), make()];
const sessions = [a.session("s", { checkpoint: () => [1] }), b.session("s", { checkpoint: () => [1] })] as const;
await Promise.all(sessions.map(({ ready }) => ready));
const incoming = new Promise<IncomingTransfer>((resolve) => void sessions[1].on("transfer", resolve));
const stream = async function* (): AsyncGenerator<Uint8Array> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 5).unref());
    yield new Uint8Array(50_000);
  }
};
sessions[0].transfers.send(stream(), { to: [sessions[1].members.get()[1]?.id ?? ""] });
sessions[0].transfers.send(new Uint8Array(50_000_000), { name: "all" });
await sessions[0].sync.minor({ share: true });
const reader = (await incoming).stream().getReader();
await reader.read();
if (how === "close") {
  a.close();
  b.close();
} else if (how === "abort") {
  for (const session of sessions) session.abort();
  a.close();
  b.close();
} else if (how === "release") {
  await Promise.all(sessions.map((session) => session.release()));
  a.close();
  b.close();
} else {
  // In the midst of beginning.
  sessions[0].transfers.send(new Uint8Array(5_000_000), { name: "more" });
  const work = await sessions[0].activities.start("work").catch(() => undefined);
  void work?.point({ at: 1 });
  void sessions[0].sync.major({ name: "unit" });
  void sessions[1].sync.stateAt(99).catch(() => {});
  sessions[0].close();
  a.close();
  b.close();
}
console.log("closed");
