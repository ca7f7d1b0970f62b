/**
 * The voice and video room as three people have it: the built page in real Chromium with fake devices, a real mesh between
 * the panes. Who is audible is read from the energy that came out of a connection, never from what the page says of itself.
 */

import type { Browser, Frame, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { complaints, shoot, Visit } from "./visit.ts";

type Name = "Ada" | "Bob" | "Cy";
const everybody: readonly Name[] = ["Ada", "Bob", "Cy"];

/** What a pane's page tells of its connections. */
interface Reading {
  readonly state: string;
  /** Whether any sound comes at all, be it silence. */
  readonly sends: boolean;
  readonly energy: number;
  readonly seconds: number;
  readonly frames: number;
}
interface Room {
  readonly peers: () => readonly { readonly name: string; readonly connection: RTCPeerConnection }[];
}

describe("the voice and video room", () => {
  let browser: Browser;
  let page: Page;
  let visit: Visit;

  beforeAll(async () => {
    browser = await launchChromium({
      args: [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        // Names of mDNS are resolved by nobody in a container.
        "--disable-features=WebRtcHideLocalIpsWithMdns",
      ],
    });
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    visit = await Visit.begin(browser, 1440, 960);
    ({ page } = visit);
    await page.getByTestId("stage-room").click();
    await meshed();
  });
  afterEach(() => visit.end());

  const within = { timeout: 30_000, interval: 50 };
  const frame = (name: Name): Frame => {
    const found = page.frame({ name });
    if (found === null) throw new Error(`there is no pane of ${name}`);
    return found;
  };
  const shown = (name: Name, id: string): Promise<string> => frame(name).getByTestId(id).innerText();
  const says = (name: Name, id: string, words: string): Promise<void> =>
    expect.poll(() => shown(name, id).catch(() => ""), within).toContain(words);
  const phase = (name: Name): Promise<string | null> =>
    frame(name)
      .getByTestId("status")
      .getAttribute("data-phase")
      .catch(() => null);
  const live = (name: Name): Promise<void> => expect.poll(() => phase(name), within).toBe("live");
  const others = (name: Name): readonly Name[] => everybody.filter((other) => other !== name);

  /** What `listener` gets of `speaker`: its connection's state, the energy of what is played, and the frames of its video. */
  const read = (listener: Name, speaker: Name): Promise<Reading | undefined> =>
    frame(listener)
      .evaluate(async (wanted) => {
        const { rostrumRoom } = globalThis as { rostrumRoom?: Room };
        const peer = rostrumRoom?.peers().find(({ name }) => name === wanted);
        if (peer === undefined) return undefined;
        let sends = false;
        let energy = 0;
        let seconds = 0;
        let frames = 0;
        for (const report of (await peer.connection.getStats()).values()) {
          if (report.type !== "inbound-rtp") continue;
          sends ||= report.kind === "audio";
          energy += report.totalAudioEnergy ?? 0;
          seconds += report.totalSamplesDuration ?? 0;
          frames += report.framesDecoded ?? 0;
        }
        return { state: peer.connection.connectionState, sends, energy, seconds, frames };
      }, speaker)
      .catch(() => undefined);

  /** Whether more than silence came out during the next three quarters of a second of sound, which holds several beeps. */
  const audible = async (listener: Name, speaker: Name): Promise<boolean> => {
    const before = await read(listener, speaker);
    if (before === undefined || !before.sends) return false;
    let after = before;
    await expect
      .poll(async () => {
        after = (await read(listener, speaker)) ?? before;
        return after.seconds - before.seconds;
      }, within)
      .toBeGreaterThan(0.75);
    return (after.energy - before.energy) / (after.seconds - before.seconds) > 1e-4;
  };
  /** Every pair of which the one hears the other, as "listener<speaker". */
  const heard = async (): Promise<readonly string[]> => {
    const pairs = everybody.flatMap((listener) => others(listener).map((speaker) => [listener, speaker] as const));
    const found = await Promise.all(
      pairs.map(async ([listener, speaker]) => ((await audible(listener, speaker)) ? [`${listener}<${speaker}`] : [])),
    );
    return found.flat();
  };
  const onlyHeard = (speaker: Name): Promise<void> =>
    expect.poll(heard, { ...within, interval: 0 }).toEqual(others(speaker).map((listener) => `${listener}<${speaker}`));
  const nobodyHeard = (): Promise<void> => expect.poll(heard, { ...within, interval: 0 }).toEqual([]);

  /** Each is connected to each, and has had pictures of it since now. */
  const meshed = async (): Promise<void> => {
    for (const listener of everybody) {
      await live(listener);
      for (const speaker of others(listener)) {
        const before = (await read(listener, speaker))?.frames ?? 0;
        await expect.poll(async () => (await read(listener, speaker))?.state, within).toBe("connected");
        await expect.poll(async () => (await read(listener, speaker))?.frames, within).toBeGreaterThan(before);
      }
    }
  };

  /** From now on the page plays whatever it is sent: what is heard then is what was sent. */
  const playAll = (name: Name): Promise<void> =>
    frame(name).evaluate(() => {
      for (const { connection } of (globalThis as { rostrumRoom?: Room }).rostrumRoom?.peers() ?? []) {
        for (const { track } of connection.getReceivers()) {
          track.enabled = true;
          Object.defineProperty(track, "enabled", { get: () => true, set: () => {} });
        }
      }
    });

  const talk = (name: Name) => frame(name).getByTestId("talk");
  const press = (name: Name): Promise<void> => talk(name).dispatchEvent("keydown", { key: " " });
  const letGo = (name: Name): Promise<void> => talk(name).dispatchEvent("keyup", { key: " " });
  const network = (name: Name, mode: string): Promise<void> =>
    page.getByTestId(`${name}-${mode}`).check({ force: true });
  /** Of the stage, or of one pane alone. */
  const shot = async (picture: string, pane?: Name): Promise<void> => {
    await shoot(pane === undefined ? page : page.locator(`iframe[name="${pane}"]`), picture);
  };

  it("brings up a mesh in which nobody is heard", async () => {
    expect(await heard()).toEqual([]);
    expect(await shown("Ada", "holder")).toBe("Nobody");
    for (const name of everybody) expect(await frame(name).getByTestId("tiles").locator("li").count()).toBe(3);
  });

  it("lets the others hear who holds the floor, queues the next, and hands it on", async () => {
    await press("Ada");
    await onlyHeard("Ada");
    await says("Bob", "holder", "Ada");
    await says("Ada", "talk", "On air");
    await press("Bob");
    await says("Bob", "talk", "Waiting, number 1");
    await says("Cy", "queue", "Bob");
    await onlyHeard("Ada");
    await shot("room");
    await letGo("Ada");
    await says("Bob", "talk", "On air");
    await onlyHeard("Bob");
    await letGo("Bob");
    await nobodyHeard();
    await says("Cy", "holder", "Nobody");
  });

  it("lets nobody be heard who opens the microphone without the floor", async () => {
    await frame("Ada").evaluate(() => {
      for (const { connection } of (globalThis as { rostrumRoom?: Room }).rostrumRoom?.peers() ?? [])
        for (const { track } of connection.getSenders()) if (track !== null) track.enabled = true;
    });
    expect(await heard()).toEqual([]);
    // It is the listeners' pages that keep it silent: one that plays everything hears it.
    await playAll("Bob");
    await expect.poll(heard, { ...within, interval: 0 }).toEqual(["Bob<Ada"]);
  });

  it("sends silence without the floor, also to who plays everything", async () => {
    for (const name of everybody) await playAll(name);
    expect(await heard()).toEqual([]);
    await press("Ada");
    await onlyHeard("Ada");
    await letGo("Ada");
    await nobodyHeard();
  });

  it("takes a turn by pointer, by Space anywhere, and by pressing once", async () => {
    const box = await talk("Ada").boundingBox();
    if (box === null) throw new Error("the button is not shown");
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await says("Ada", "talk", "On air");
    await page.mouse.up();
    await says("Ada", "talk", "Hold to talk");

    await frame("Ada").getByTestId("holder").click();
    await page.keyboard.down(" ");
    await says("Ada", "talk", "On air");
    await page.keyboard.up(" ");
    await says("Ada", "talk", "Hold to talk");
    await says("Bob", "holder", "Nobody");

    await frame("Ada").locator("summary").click();
    await frame("Ada").getByTestId("reason").focus();
    await page.keyboard.type("a b");
    expect(await frame("Ada").getByTestId("reason").inputValue()).toBe("a b");
    expect(await shown("Ada", "talk")).toBe("Hold to talk");

    await frame("Ada").getByTestId("toggle").check();
    await talk("Ada").click();
    await says("Ada", "talk", "On air");
    expect(await talk("Ada").getAttribute("aria-pressed")).toBe("true");
    await onlyHeard("Ada");
    await talk("Ada").click();
    await says("Ada", "talk", "Talk");
    expect(await talk("Ada").getAttribute("aria-pressed")).toBe("false");
    await nobodyHeard();
  });

  it("goes on with the call while the server is dead, and gives the floor to nobody until it is back", async () => {
    await press("Ada");
    await onlyHeard("Ada");
    await page.getByTestId("out").check();
    await page.getByTestId("kill").click();
    await expect.poll(() => page.getByTestId("server").getAttribute("data-up"), within).toBe("false");
    await expect.poll(() => phase("Bob"), within).not.toBe("live");
    await says("Bob", "talk", "No floor while the server is away");
    await press("Bob");
    await says("Bob", "notice", "nobody can give it to you now");
    await letGo("Bob");
    expect(await heard()).toEqual(["Bob<Ada", "Cy<Ada"]);
    // Ada's lease runs out by itself: nobody is there to say who may speak.
    await expect.poll(() => shown("Ada", "talk"), within).toBe("No floor while the server is away");
    await nobodyHeard();
    await shot("room-dead");
    const before = await read("Bob", "Ada");
    await expect
      .poll(async () => (await read("Bob", "Ada"))?.frames, within)
      .toBeGreaterThan((before?.frames ?? 0) + 10);
    await letGo("Ada");
    await page.getByTestId("out").uncheck();
    for (const name of everybody) await live(name);
    await press("Bob");
    await says("Bob", "talk", "On air");
    await onlyHeard("Bob");
    await letGo("Bob");
    await nobodyHeard();
  });

  it("keeps the turn through a short death of the server", async () => {
    await press("Ada");
    await onlyHeard("Ada");
    await page.getByTestId("kill").click();
    await expect.poll(() => phase("Ada"), within).not.toBe("live");
    await live("Ada");
    await onlyHeard("Ada");
    await letGo("Ada");
    await nobodyHeard();
  });

  it("silences a holder without a network before the floor passes on", async () => {
    await press("Ada");
    await onlyHeard("Ada");
    await press("Bob");
    await says("Bob", "talk", "Waiting, number 1");
    await playAll("Cy");
    await network("Ada", "off");
    await says("Bob", "talk", "On air");
    // From the first moment of Bob's turn on.
    expect(await audible("Cy", "Ada")).toBe(false);
    // Ada has not been told whose turn it is, and so hears nobody.
    await expect.poll(heard, { ...within, interval: 0 }).toEqual(["Cy<Bob"]);
    const before = await read("Bob", "Ada");
    await expect.poll(async () => (await read("Bob", "Ada"))?.frames, within).toBeGreaterThan(before?.frames ?? 0);
    await network("Ada", "ok");
    await live("Ada");
    await letGo("Ada");
    await letGo("Bob");
    await nobodyHeard();
  });

  it("heals the mesh when a page is reloaded, and the new page holds nothing", async () => {
    await press("Ada");
    await onlyHeard("Ada");
    await page.getByTestId("Ada-reload").click();
    await expect.poll(() => frame("Ada").evaluate(() => performance.now()), within).toBeLessThan(2_000);
    await meshed();
    await says("Bob", "holder", "Nobody");
    await nobodyHeard();
    await press("Ada");
    await onlyHeard("Ada");
    await letGo("Ada");
  });

  it("lets people listen who give no microphone, and speak once they do", async () => {
    await page.addInitScript(() => {
      if (!location.search.includes("name=Bob")) return;
      const devices = navigator.mediaDevices;
      const give = devices.getUserMedia.bind(devices);
      const allowed = new Promise<void>((resolve) => Object.assign(globalThis, { allow: resolve }));
      devices.getUserMedia = (wish) => allowed.then(() => give(wish));
    });
    await page.getByTestId("Bob-reload").click();
    await expect.poll(async () => (await read("Bob", "Ada"))?.frames ?? 0, within).toBeGreaterThan(0);
    await press("Ada");
    await expect.poll(heard, { ...within, interval: 0 }).toEqual(["Bob<Ada", "Cy<Ada"]);
    await letGo("Ada");
    expect((await read("Ada", "Bob"))?.frames).toBe(0);
    await frame("Bob").evaluate(() => (globalThis as unknown as { allow: () => void }).allow());
    await meshed();
    await press("Bob");
    await onlyHeard("Bob");
    await letGo("Bob");
  });

  it("says what is missing where camera and microphone are refused", async () => {
    await page.addInitScript(() => {
      if (location.search.includes("name=Bob"))
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("refused", "NotAllowedError"));
    });
    await page.getByTestId("Bob-reload").click();
    await says("Bob", "lacks", "you can listen and watch");
    await press("Ada");
    await expect.poll(() => audible("Bob", "Ada"), within).toBe(true);
    await letGo("Ada");
  });

  it("ends the connections of who leaves, and takes up who comes back", async () => {
    await frame("Bob").getByTestId("leave").click();
    await says("Bob", "status", "You have left");
    await expect.poll(() => frame("Ada").getByTestId("tiles").locator("li").count(), within).toBe(2);
    expect(await read("Ada", "Bob")).toBeUndefined();
    await frame("Bob").getByTestId("leave").click();
    await meshed();
    await press("Bob");
    await onlyHeard("Bob");
    await letGo("Bob");
  });

  const person = (name: Name) => frame("Cy").getByTestId("people").locator(`li[data-name="${name}"]`);
  const order = (name: Name, verb: string): Promise<void> => person(name).locator(`[data-verb="${verb}"]`).click();
  const choose = (id: string, value: string): Promise<unknown> => frame("Cy").getByTestId(id).selectOption(value);

  it("lets the chair grant, deny with a reason, revoke, give and take over", async () => {
    expect(await frame("Ada").getByTestId("console").isVisible()).toBe(false);
    await choose("policy", "chair");
    await says("Ada", "rules", "The chair decides");
    await frame("Ada").getByTestId("toggle").check();
    await frame("Ada").locator("summary").click();
    await frame("Ada").getByTestId("reason").fill("a question");
    await talk("Ada").click();
    await says("Ada", "talk", "Waiting for the chair");
    await expect.poll(() => person("Ada").innerText(), within).toContain("“a question”");
    await frame("Cy").getByTestId("why").fill("off topic");
    await order("Ada", "deny");
    await says("Ada", "notice", "denied: off topic");
    await says("Ada", "talk", "Talk");
    expect(await heard()).toEqual([]);

    await talk("Ada").click();
    await says("Ada", "talk", "Waiting for the chair");
    await order("Ada", "grant");
    await onlyHeard("Ada");
    await frame("Cy").getByTestId("why").fill("too long");
    await frame("Cy").getByTestId("revoke").click();
    await says("Ada", "notice", "The chair takes the floor from you. The reason: too long");
    await nobodyHeard();

    await order("Bob", "give");
    await says("Bob", "notice", "The chair gave you the floor");
    await onlyHeard("Bob");
    await frame("Cy").getByTestId("take").click();
    await says("Bob", "notice", "The chair takes the floor over");
    await onlyHeard("Cy");
    await talk("Ada").click();
    await says("Ada", "talk", "Waiting for the chair");
    await page.setViewportSize({ width: 1440, height: 1180 });
    await shot("room-chair", "Cy");
    await talk("Cy").click();
    await nobodyHeard();
    await says("Cy", "turns", "taken over");
    await says("Cy", "spoken", "Ada");
  });

  it("orders the queue as the chair has it, and refuses at once where nobody may wait", async () => {
    await press("Ada");
    await says("Ada", "talk", "On air");
    await press("Cy");
    await says("Cy", "talk", "Waiting, number 1");
    await frame("Bob").locator("summary").click();
    await frame("Bob").getByTestId("priority").selectOption("1");
    await press("Bob");
    await says("Bob", "talk", "Waiting, number 2");
    await says("Ada", "queue", "high priority");
    await choose("order", "priority");
    await says("Bob", "talk", "Waiting, number 1");
    await letGo("Cy");
    await letGo("Bob");
    await says("Bob", "talk", "Hold to talk");
    await choose("policy", "first-come");
    await says("Bob", "rules", "Who comes first, no queue");
    await press("Bob");
    await says("Bob", "notice", "Somebody else has the floor");
    await letGo("Bob");
    await letGo("Ada");
    await says("Bob", "holder", "Nobody");
  });

  it("lets the chair put the queue in order, and limits a turn", async () => {
    await press("Ada");
    await says("Ada", "talk", "On air");
    await press("Bob");
    await says("Bob", "talk", "Waiting, number 1");
    await press("Cy");
    await says("Cy", "talk", "Waiting, number 2");
    await order("Cy", "up");
    await says("Cy", "talk", "Waiting, number 1");
    await says("Bob", "talk", "Waiting, number 2");
    await choose("limit", "10000");
    await says("Ada", "rules", "at most 0:10 a turn");
    await letGo("Ada");
    await says("Cy", "talk", "On air, 0:");
    await says("Bob", "left", "ending soon");
    await says("Cy", "notice", "Your time ends soon");
    await says("Bob", "talk", "On air");
    await says("Cy", "notice", "Your time is over");
    await onlyHeard("Bob");
    await letGo("Bob");
    await letGo("Cy");
  });

  it("can be used by keyboard alone, on a phone, and has nothing for axe to say", async () => {
    await frame("Ada").getByTestId("sound").focus();
    await page.keyboard.press("Tab");
    const focused = (): Promise<boolean> => talk("Ada").evaluate((button) => button === document.activeElement);
    expect(await focused()).toBe(true);
    await page.keyboard.down(" ");
    await says("Bob", "holder", "Ada");
    await page.getByTestId("kill").evaluate((button: HTMLElement) => button.click());
    await expect.poll(() => phase("Ada"), within).not.toBe("live");
    await live("Ada");
    await page.keyboard.up(" ");
    await says("Bob", "holder", "Nobody");
    expect(await focused()).toBe(true);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await complaints(page)).toEqual([]);
    }
    await page.setViewportSize({ width: 390, height: 844 });
    for (const each of page.frames())
      expect(await each.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await press("Bob");
    await press("Ada");
    await says("Ada", "talk", "Waiting, number 1");
    await shot("room-phone", "Ada");
    await letGo("Ada");
    await letGo("Bob");
  });
});
