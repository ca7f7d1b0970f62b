import { describe, expect, it } from "vitest";
import { Play } from "../play.fixture.ts";
import { type Epoch, forkOf, maxEpochs, toldEpochs } from "./epoch.ts";

const epoch = (id: string, from: number): Epoch => ({ id, from });
/** The log of the server: three processes wrote it, and it ends at 30. */
const log = [epoch("b", 1), epoch("p", 10), epoch("q", 20)];

describe("a client that knows the log's epochs", () => {
  it("has seen this log, wherever it stands", () => {
    expect(forkOf(log, 30, 30, log)).toBeUndefined();
    expect(forkOf(log, 30, 20, log)).toBeUndefined();
    expect(forkOf(log, 30, 19, log.slice(0, 2))).toBeUndefined();
    expect(forkOf(log, 30, 9, log.slice(0, 1))).toBeUndefined();
    expect(forkOf(log, 30, 0, log.slice(0, 1))).toBeUndefined();
  });

  it("has seen more than a log that was restored from an older copy, which nobody has gone on with", () => {
    expect(forkOf(log, 25, 30, log)).toBe(25);
    expect(forkOf(log.slice(0, 2), 15, 30, log)).toBe(15);
    expect(forkOf(log.slice(0, 1), 9, 30, log)).toBe(9);
  });

  it("is told from a restored log even if that has grown beyond what it has seen", () => {
    // Restored at 15; another process has written since, far beyond.
    const restored = [epoch("b", 1), epoch("p", 10), epoch("r", 16)];
    expect(forkOf(restored, 500, 30, log)).toBe(15);
    expect(forkOf(restored, 500, 18, log.slice(0, 2))).toBe(15);
    expect(forkOf(restored, 500, 15, log.slice(0, 2))).toBeUndefined();
    // Restored exactly where the lost epoch began, and the new one begins there as well.
    expect(forkOf([epoch("b", 1), epoch("p", 10), epoch("r", 20)], 500, 30, log)).toBe(19);
  });

  it("parts at the end of what both have, if each went on with epochs of its own", () => {
    const client = [epoch("b", 1), epoch("x", 12), epoch("y", 18)];
    expect(forkOf(log, 30, 25, client)).toBe(9);
    expect(forkOf([epoch("b", 1), epoch("z", 15)], 30, 25, client)).toBe(11);
  });

  it("is told from it also if it knows the lost epoch by its view only, and has not been told up to there", () => {
    const restored = [epoch("b", 1), epoch("p", 10), epoch("r", 16)];
    expect(forkOf(restored, 500, 12, log)).toBe(15);
    expect(forkOf(log, 30, 12, log)).toBeUndefined();
  });

  it("does not take the same id at another place for the same epoch", () => {
    expect(forkOf(log, 30, 25, [epoch("b", 1), epoch("p", 10), epoch("q", 21)])).toBe(19);
  });
});

describe("a client that knows no epoch of the log", () => {
  it("and tells none is only ahead of it, or not", () => {
    expect(forkOf(log, 30, 31, [])).toBe(30);
    expect(forkOf(log, 30, 30, [])).toBeUndefined();
    expect(forkOf([], 0, 1, [])).toBe(0);
  });

  it("stands before what the log remembers, or in another log from early on", () => {
    const old = [epoch("older", 1), epoch("old", 5)];
    expect(forkOf([epoch("p", 10), epoch("q", 20)], 30, 9, old)).toBeUndefined();
    expect(forkOf([epoch("p", 10), epoch("q", 20)], 30, 10, old)).toBe(0);
    expect(forkOf(log, 30, 25, [epoch("another birth", 1)])).toBe(0);
  });
});

describe("a log", () => {
  it("says who writes it, from its first entry on, and remembers the last ones", () => {
    const play = new Play({});
    expect(play.state.epochs).toEqual([{ id: "b", from: 1 }]);
    for (let n = 1; n <= maxEpochs + 3; n += 1) {
      play.join(`m${n}`);
      expect(play.server({ type: "begin-epoch", epoch: `p${n}` })).toBe("epoch-begun");
    }
    expect(play.state.epochs.length).toBe(maxEpochs);
    expect(play.state.epochs.at(-1)).toEqual({ id: `p${maxEpochs + 3}`, from: play.state.head });
    expect(play.isReproducible()).toBe(true);
    // Who has been away for longer than what a client tells is still known to have seen this log.
    const { epochs, head } = play.state;
    const before = (epochs.at(-20)?.from ?? 0) - 1;
    const known = epochs.filter(({ from }) => from <= before).slice(-toldEpochs);
    expect(forkOf(epochs, head, before, known)).toBeUndefined();
    expect(forkOf(epochs, head, 3, [{ id: "b", from: 1 }])).toBeUndefined();
  });

  it("that is empty has no epoch, for its first entry says whose it is", () => {
    const play = new Play({});
    const { session } = play.state;
    expect(play.server({ type: "open", session, birth: "again", config: play.state.config })).toBe("");
    expect(play.state.epochs).toEqual([{ id: "b", from: 1 }]);
  });
});
