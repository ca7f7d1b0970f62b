import { fileURLToPath } from "node:url";
import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const conditions = ["source", ...defaultServerConditions];

/** `unit`: everything on the sources. `e2e`: what was built, in real browsers and processes, one file after the other. */
export default defineConfig({
  root,
  test: {
    projects: [
      {
        resolve: { conditions },
        ssr: { resolve: { conditions } },
        test: {
          name: "unit",
          root,
          include: ["packages/*/src/**/*.test.ts", "test/{node,simulation,hostile,house,faults}/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: "e2e",
          root,
          include: ["test/{e2e,browser}/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
