// Bundles each package to ESM and CJS, and the demo's page and server. `tsc -b` has checked everything and written the
// declarations; here they get their CJS twins.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import nodeResolve from "@rollup/plugin-node-resolve";
import esbuild from "rollup-plugin-esbuild";

const transpile = () => {
  const plugin = esbuild({ target: "es2022", tsconfig: false });
  // Its resolver would run before node-resolve's and skip the "browser" fields of what we depend on.
  delete plugin.resolveId;
  return plugin;
};

/** A bundle with a warning is a broken bundle. */
const onwarn = (warning) => {
  if (warning.code === "CIRCULAR_DEPENDENCY" && warning.ids?.every((id) => id.includes("node_modules"))) return;
  throw new Error(`${warning.code}: ${warning.message}`);
};

/** `.d.cts` beside each `.d.ts`, so that CJS users get types of CJS. */
const declarations = (folder) => ({
  name: "declarations",
  writeBundle() {
    const walk = (at) => {
      for (const item of readdirSync(at, { withFileTypes: true })) {
        const path = join(at, item.name);
        if (item.isDirectory()) walk(path);
        else if (item.name.endsWith(".d.ts")) {
          const text = readFileSync(path, "utf8");
          const specifier = /(from\s+|import\()(["'])(\.[^"']*)\.(?:ts|js)\2/g;
          const esm = text.replace(specifier, "$1$2$3.js$2");
          if (esm !== text) writeFileSync(path, esm);
          writeFileSync(
            path.replace(/\.d\.ts$/, ".d.cts"),
            esm.replace(specifier, "$1$2$3.cjs$2").replace(/\n\/\/# sourceMappingURL.*/, ""),
          );
        }
      }
    };
    walk(folder);
  },
});

const packages = ["protocol", "client", "server", "testing", "yjs"].map((name) => {
  const folder = `packages/${name}`;
  const {
    exports,
    dependencies = {},
    peerDependencies = {},
  } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const outside = [...Object.keys(dependencies), ...Object.keys(peerDependencies)];
  const input = Object.fromEntries(
    Object.values(exports).map(({ source }) => [source.replace("./src/", "").replace(".ts", ""), join(folder, source)]),
  );
  const output = (format, extension) => ({
    dir: `${folder}/dist`,
    format,
    sourcemap: true,
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `chunk-[hash].${extension}`,
  });
  return {
    input,
    external: (id) =>
      id.startsWith("node:") ||
      builtinModules.includes(id) ||
      outside.some((each) => id === each || id.startsWith(`${each}/`)),
    plugins: [nodeResolve({ extensions: [".ts", ".js"] }), transpile(), declarations(`${folder}/dist`)],
    output: [output("es", "js"), output("cjs", "cjs")],
    onwarn,
  };
});

/** The demo: its pages for browsers, its two processes for Node. */
const demo = () => {
  const files = readdirSync("demo/src/page").filter((name) => /\.(html|css|svg)$/.test(name));
  const assets = {
    name: "assets",
    generateBundle() {
      for (const fileName of files)
        this.emitFile({ type: "asset", fileName, source: readFileSync(join("demo/src/page", fileName)) });
    },
  };
  const entries = (folder, names) =>
    Object.fromEntries(
      names.filter((name) => existsSync(`${folder}/${name}.ts`)).map((name) => [name, `${folder}/${name}.ts`]),
    );
  return [
    {
      input: entries("demo/src/page", ["main", "pane", "room", "pad"]),
      plugins: [
        nodeResolve({ browser: true, extensions: [".ts", ".js"], exportConditions: ["source"] }),
        transpile(),
        assets,
      ],
      output: { dir: "demo/dist/page", format: "es", sourcemap: true, chunkFileNames: "shared-[name].js" },
      onwarn,
    },
    {
      input: entries("demo/src/server", ["supervisor", "app"]),
      external: (id) => !id.startsWith(".") && !id.startsWith("/"),
      plugins: [nodeResolve({ extensions: [".ts", ".js"] }), transpile()],
      output: { dir: "demo/dist/server", format: "es", sourcemap: true },
      onwarn,
    },
  ];
};

export default [...packages, ...(existsSync("demo/src/page") ? demo() : [])];
