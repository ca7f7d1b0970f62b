/** Which of our packages may depend on which. The linter holds every import against the manifest, tsc holds every file to its package; this holds the manifests. */

import { readdirSync, readFileSync } from "node:fs";

const all = ["protocol", "client", "server", "testing", "yjs"];
const allowed = {
  protocol: [],
  client: ["protocol"],
  server: ["protocol"],
  testing: ["protocol", "client", "server"],
  yjs: ["protocol", "client", "server"],
  demo: all,
  test: all,
};

export function arrows() {
  const folders = [...readdirSync("packages").map((name) => `packages/${name}`), "demo", "test"];
  return folders.flatMap((folder) => {
    const { dependencies, devDependencies, peerDependencies, optionalDependencies } = JSON.parse(
      readFileSync(`${folder}/package.json`, "utf8"),
    );
    const name = folder.replace("packages/", "");
    const ours = Object.keys({
      ...dependencies,
      ...devDependencies,
      ...peerDependencies,
      ...optionalDependencies,
    }).filter((dependency) => dependency.startsWith("@rostrum/"));
    if (allowed[name] === undefined) return [`${name}: say in test/house/arrows.mjs what it may depend on`];
    return ours
      .filter((dependency) => !allowed[name].includes(dependency.replace("@rostrum/", "")))
      .map((dependency) => `${name} must not depend on ${dependency}`);
  });
}
