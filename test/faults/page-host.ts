/** Serves each column's page, its client bundled, from an origin of its own: the fault proxy breaks links, not pages. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export interface PageHost {
  address(column: "plain" | "rostrum"): string;
  close(): Promise<void>;
}

export async function hostPages(): Promise<PageHost> {
  const bundles = new Map<string, Promise<string>>(); // made when first asked for
  const server = createServer((request, response) => {
    const column = request.url?.slice(1) ?? "";
    if (column !== "plain" && column !== "rostrum") return void response.writeHead(404).end();
    const script = bundles.get(column) ?? bundle(column);
    bundles.set(column, script);
    script.then(
      (text) => response.setHeader("content-type", "text/html").end(`<!doctype html><script>${text}</script>`),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: (column) => `http://127.0.0.1:${port}/${column}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bundle(column: "plain" | "rostrum"): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`${column}-client.ts`, import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2022",
    conditions: ["source"], // of our own packages: their TypeScript, not a build
    legalComments: "none",
  });
  // A "</script>" inside a string would end the element.
  return (outputFiles[0]?.text ?? "").replaceAll("</script", "<\\/script");
}
