import { describe, expect, it } from "vitest";
import { Progress } from "./progress.ts";

const open = { size: undefined, bytes: 1_000, bytesInAll: 2_000, others: 0 };

describe("how far an upload is", () => {
  it("takes exactly what is next and was asked for", () => {
    const progress = new Progress(10, -1);
    progress.upTo = 30;
    expect(progress.fault(10, 20, open)).toBeUndefined();
    expect(progress.fault(9, 1, open)).toMatchObject({ code: "FRAME_INVALID", details: { at: 9, expected: 10 } });
    expect(progress.fault(11, 1, open)).toMatchObject({ code: "FRAME_INVALID", details: { at: 11, expected: 10 } });
    expect(progress.fault(10, 21, open)).toMatchObject({ code: "FRAME_INVALID", details: { at: 31, upTo: 30 } });
  });

  it("tells what can never come to an end from what only came too early", () => {
    const progress = new Progress(0, -1);
    progress.upTo = 5_000;
    expect(progress.fault(0, 11, { ...open, size: 10 })?.code).toBe("TRANSFER_TOO_LARGE");
    expect(progress.fault(0, 1_001, open)?.code).toBe("TRANSFER_TOO_LARGE");
    expect(progress.fault(0, 501, { ...open, others: 1_500 })?.code).toBe("TRANSFER_QUOTA");
    // With its size it has got its room at the start.
    expect(progress.fault(0, 501, { ...open, size: 501, others: 1_500 })).toBeUndefined();
  });

  it("asks for more before the sender has to wait, never beyond the window or the size", () => {
    const progress = new Progress(0, -1);
    expect(progress.wants(undefined, 100, 20)).toEqual({ bytes: 100, due: true });
    progress.upTo = 100;
    progress.received = progress.written = 50;
    expect(progress.wants(undefined, 100, 20)).toEqual({ bytes: 40, due: false });
    progress.received = progress.written = 60;
    expect(progress.wants(undefined, 100, 20)).toEqual({ bytes: 60, due: true });
    // What is not yet on the disk takes its part of the window.
    progress.written = 30;
    expect(progress.wants(undefined, 100, 20)).toEqual({ bytes: 20, due: true });
    expect(progress.wants(105, 100, 20)).toEqual({ bytes: 5, due: true });
    expect(progress.wants(100, 100, 20)).toEqual({ bytes: 0, due: false });
    progress.written = 15;
    expect(progress.wants(undefined, 100, 20)).toEqual({ bytes: 0, due: false });
    // A window that is smaller than a chunk is all there is.
    expect(progress.wants(undefined, 100, 200)).toEqual({ bytes: 15, due: true });
  });

  it("cuts chunks at the points", () => {
    expect(new Progress(0, -1).cut(0, 25, 10)).toEqual([
      { to: 10, point: true },
      { to: 20, point: true },
      { to: 25, point: false },
    ]);
    expect(new Progress(10, 10).cut(15, 5, 10)).toEqual([{ to: 20, point: true }]);
    expect(new Progress(10, 10).cut(10, 3, 10)).toEqual([{ to: 13, point: false }]);
    // One is overdue: the point that was due while the activity was interrupted.
    expect(new Progress(35, 10).cut(35, 5, 10)).toEqual([
      { to: 36, point: true },
      { to: 40, point: false },
    ]);
  });
});
