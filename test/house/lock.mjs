/**
 * npm leaves out of the lock what the registry it reached does not have. A lock made against an incomplete mirror then
 * breaks `npm ci` on other platforms. So every optional dependency must have an entry, and none may name a registry.
 */

import { readFileSync } from "node:fs";

export function lock() {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
  return Object.entries(packages).flatMap(([path, entry]) => [
    ...Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !places(path).some((place) => packages[`${place}node_modules/${name}`]))
      .map((name) => `${path}: no entry for its optional dependency ${name}`),
    ...(entry.resolved?.startsWith("http") ? [`${path}: names a registry, ${entry.resolved}`] : []),
  ]);
}

/** Where Node looks for what the package at `path` imports, nearest first. */
function places(path) {
  const above = path.lastIndexOf("node_modules/");
  const here = path === "" ? [""] : [`${path}/`];
  if (path === "") return here;
  return above === -1 ? [...here, ""] : [...here, ...places(path.slice(0, above).replace(/\/$/, ""))];
}
