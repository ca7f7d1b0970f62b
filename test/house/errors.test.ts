import { readFileSync } from "node:fs";
import { RostrumError, toWire } from "@rostrum/protocol";
import { expect, it } from "vitest";

it("has a section in docs/errors.md for every code, and no other", () => {
  const source = readFileSync(new URL("../../packages/protocol/src/errors.ts", import.meta.url), "utf8");
  const codes = [...source.matchAll(/^ {2}([A-Z_]+): (?:true|false),$/gm)].map(([, code]) => code);
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const sections = [...page.matchAll(/^## ([A-Z_]+)$/gm)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(30);
  expect(sections).toEqual(codes);
});

it("travels with its code, message and details", () => {
  const error = new RostrumError("USAGE", "said wrongly", { n: 1 });
  expect(toWire(error)).toEqual({ code: "USAGE", message: "said wrongly", details: { n: 1 } });
  expect(error.docs).toBe("docs/errors.md#usage");
  expect(error.retryable).toBe(false);
});
