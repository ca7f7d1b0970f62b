/** Transfers over lanes, in raw frames, over real sockets and real files. */

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedStore } from "@rostrum/server";
import { expect, it } from "vitest";
import { piece } from "./piece.ts";
import { closing, type Place, serve } from "./place.ts";
import { digestOf, RawMember } from "./raw.ts";

const interval = 1_000_000;

const folderOf = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "rostrum-"));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const files = async (folder: string): Promise<readonly string[]> =>
  (await readdir(join(folder, "blobs"), { recursive: true }).catch((): string[] => [])).filter((name) =>
    name.includes("b-"),
  );

const onDisk = async (folder: string, more: object = {}): Promise<Place> =>
  serve({ store: embeddedStore(folder), activities: { interval }, ...more });

it("stores what is sent, with a point at each interval, and gives it to others while it is sent", async () => {
  const folder = await folderOf();
  const { url, sessions } = await onDisk(folder);
  const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
  const content = piece(0, 10_000_123);
  const id = await a.transfer({ size: content.length });
  const [out, back] = [await a.lane(), await b.lane()];
  expect(await out.upload(id)).toMatchObject({ at: 0, upTo: 4_194_304 });
  const fetching = back.fetch(id);
  await out.push(id, content);
  out.finish(id, content);
  const result = { bytes: content.length, digest: digestOf(content) };
  expect((await a.entry("activity-ended")).result).toEqual(result);
  expect(digestOf(await fetching)).toBe(result.digest);
  const points = b.entries("activity-point").map(({ data }) => data);
  expect(points).toEqual([
    ...Array.from({ length: 10 }, (_, n) => ({
      bytes: (n + 1) * interval,
      digest: digestOf(content.subarray(0, (n + 1) * interval)),
    })),
    result,
  ]);
  expect(await files(folder)).toHaveLength(1);
  expect(sessions.health().transfers).toEqual({ lanes: 2, uploads: 0, fetches: 0, bytes: 0 });
});
