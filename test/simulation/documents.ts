/** Documents in the simulated world: what people, the server and somebody who means ill do with them, and what must then be true. */

import {
  type ClientFrame,
  documentEvent,
  documentIn,
  type Entry,
  type MemberCommand,
  type MemberId,
  type Messages,
  may,
  type ServerFrame,
  type SessionConfig,
  type SessionState,
  type UpdateItem,
  type UserId,
} from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import * as Y from "yjs";
import type { DocumentContent } from "../../packages/server/src/documents/documents.ts";
import type { Page } from "./device.ts";
import { assembled, storeFaults, trimFaults } from "./document-checks.ts";
import { Desk, describeEdit, type Edit, type Held } from "./document-desk.ts";
import { Marks, nameOf } from "./document-edits.ts";
import { differenceOf, marksOf, Oracle, pristine } from "./document-oracle.ts";
import { Rogue } from "./document-rogue.ts";
import { sabotageHost, sabotagePage } from "./document-sabotage.ts";
import { rolesOf, type SimHost, type SimNode, session } from "./node.ts";
import type { Sabotage } from "./sabotage.ts";
import type { SimStore } from "./store.ts";

export interface DocumentWorld {
  readonly scheduler: Scheduler;
  readonly nodes: readonly SimNode[];
  readonly store: SimStore;
  readonly sabotage: Sabotage;
  readonly note: (text: string) => void;
  readonly fail: (text: string) => void;
  readonly newId: () => string;
  readonly userOf: (member: MemberId) => UserId | undefined;
}

/** The user who means ill. */
export const rogueUser = "rogue";
const names = ["notes", "plan", "guarded"] as const;
/** The document that the app had before the session knew of it. */
const seeded = "plan";

/** What a document with a seed begins with: the same each time it is asked for. */
const seed = (): Uint8Array => {
  const doc = pristine();
  doc.clientID = 77;
  doc.getText("text").insert(0, "seeded");
  const update = Y.encodeStateAsUpdate(doc);
  doc.destroy();
  return update;
};

export const withDocuments = (config: SessionConfig, scheduler: Scheduler): SessionConfig => ({
  ...config,
  floors: { ...config.floors, pen: { ...(config.floors["mic"] as SessionConfig["floors"][string]), grace: 1_500 } },
  guards: { ...config.guards, [documentEvent("guarded")]: "pen" },
  roles: {
    ...config.roles,
    member: [...(config.roles["member"] ?? []), "document"],
    reader: [...(config.roles["member"] ?? []), "read"],
  },
  documents: { most: 8, bytes: scheduler.pick([3_000, 1_000_000, 1_000_000]) ?? 1_000_000 },
});

export class DocumentPlay {
  readonly oracle: Oracle = new Oracle();
  private readonly marks = new Marks();
  private readonly desks = new Map<Page, Desk>();
  private readonly edits: Edit[] = [];
  private readonly open = new Map<string, Edit[]>();
  private readonly replicas = new Map<string, Y.Doc>();
  readonly initial = (document: string): Uint8Array | undefined => (document === seeded ? seed() : undefined);
  private readonly rogue: Rogue;
  /** Marks of what must never have been accepted. */
  private readonly forbidden = new Set<string>();
  private readonly roles = new Map<string, readonly string[]>();
  private readonly answers = new Map<string, { readonly parts: Y.Doc; filling: number[] }>();
  /** What each page's connection has asked to be told of. */
  private readonly followed = new Map<Page, Map<string, number>>();

  constructor(readonly world: DocumentWorld) {
    const { scheduler, store } = world;
    this.rogue = new Rogue(scheduler, this.oracle, this.marks, rogueUser);
    store.documents.saved = (document) => this.checkStored(document);
    store.trimmed = () => this.checkTrim();
  }

  rolesOf(user: string): readonly string[] {
    return this.roles.get(user) ?? rolesOf(user);
  }

  /** A page is made: it gets a place for its documents. */
  attach(page: Page): void {
    if (page.device.user === rogueUser) return;
    const { scheduler, note, fail, sabotage, store } = this.world;
    const { oracle, marks, edits, open, replicas } = this;
    const desk = new Desk(page, {
      scheduler,
      oracle,
      marks,
      edits,
      open,
      replicas,
      note,
      fail,
      life: () => store.life,
      sabotage: (documents, effects) => sabotagePage(page, documents, effects, sabotage),
    });
    this.desks.set(page, desk);
    // What the page showed when it died it shows again.
    for (const document of page.device.beside.get(page.scope)?.keys() ?? [])
      if (scheduler.chance(0.7)) desk.bind(document);
  }

  // ---- what comes to pass ----

  /** A server has begun to work on the session. */
  started(host: SimHost): void {
    sabotageHost(host, this.world.sabotage, this.world.scheduler);
  }

  /** An entry is stored. */
  placed(entry: Entry): void {
    for (const fault of this.oracle.placed(entry, this.world.userOf)) this.world.fail(fault);
    if (documentIn(entry) === undefined) return;
    for (const [, , , , update] of (entry as Messages).items)
      for (const mark of marksOf(Y.decodeUpdate(update as Uint8Array)))
        if (this.forbidden.has(mark))
          this.world.fail(`document: #${entry.offset} holds ${nameOf(mark)}, which is hostile`);
  }

  /** The log is lost, and a copy is in its place. */
  lost(): void {
    this.excuseLost();
    this.oracle.reload(this.world.store.truth, this.world.userOf);
  }

  /** What its page need not keep for the case of a loss: what was taken back, or is secured, or is more than it is to keep. */
  private excuseLost(): void {
    const { truth = [], kept = 0 } = this.world.store.lost.at(-1) ?? {};
    const points = new Map(truth.flatMap((entry) => (entry.type === "sync-point" ? [[entry.serial, entry]] : [])));
    const isSecured = truth.some(
      (entry) =>
        entry.type === "sync-settled" &&
        entry.outcome === "confirmed" &&
        points.get(entry.serial)?.kind === "major" &&
        (points.get(entry.serial)?.offset ?? 0) > kept,
    );
    const frugal = new Set<string>();
    for (const { page } of this.desks.values()) if (page.profile.secureMessages < 1_000) frugal.add(page.scope);
    for (const edit of this.edits) {
      if (!this.oracle.has(edit.document, edit.extent)) continue;
      if (isSecured || edit.unkept || frugal.has(edit.scope) || this.oracle.isOver(edit.document, edit.extent))
        edit.excused = true;
    }
  }

  /** Some pages are told before they go. */
  dying(page: Page): void {
    if (this.world.scheduler.chance(0.4)) this.desks.get(page)?.goAway();
  }

  /** The page dies, and what it had not told the disk is gone. */
  died(page: Page): void {
    this.desks.get(page)?.died();
  }

  saying(page: Page, frame: ClientFrame): void {
    const followed = this.followed.get(page) ?? new Map<string, number>();
    this.followed.set(page, followed);
    // What was on its way still comes.
    const soon = this.world.scheduler.now + 10_000;
    if (frame.type === "open") {
      for (const [document, until] of followed) followed.set(document, Math.min(until, soon));
      for (const document of frame.documents ?? []) followed.set(document, Infinity);
    }
    if (frame.type === "document-open" && frame.point === undefined) followed.set(frame.document, Infinity);
    if (frame.type === "document-close") followed.set(frame.document, soon);
  }

  overhear(page: Page, frame: ServerFrame): void {
    if (frame.type === "entries") {
      for (const entry of frame.entries) {
        const document = documentIn(entry);
        if (document === undefined || ("by" in entry && entry.by === page.member)) continue;
        const until = this.followed.get(page)?.get(document) ?? 0;
        if (until < this.world.scheduler.now)
          this.world.fail(
            `document: ${page.scope} is told of ${document} at #${entry.offset}, which it does not follow`,
          );
      }
    }
    if (frame.type === "document-state" && frame.point !== undefined) this.answered(page, frame);
  }

  // ---- what is done ----

  /** One page, the server, or somebody who means ill does something with a document. */
  act(page: Page, others: readonly Page[]): void {
    const { scheduler } = this.world;
    const desk = this.desks.get(page);
    for (const each of this.desks.values()) if (each.page.alive && scheduler.chance(0.1)) each.checkNow();
    if (desk === undefined) return this.beHostile(page);
    const dice = scheduler.random();
    if (dice < 0.55) return this.edit(desk);
    if (dice < 0.65) return this.editTogether([page, ...others]);
    if (dice < 0.69) return this.unbind(desk);
    if (dice < 0.73) return this.changeRoles(page);
    if (dice < 0.82) return this.usePen(page);
    if (dice < 0.88) return this.restore(page);
    if (dice < 0.92) return this.editByServer();
    if (dice < 0.95) return this.preview(page);
    if (dice < 0.97) return desk.discardDraft();
    // Away for long, and at work all the while.
    page.goOffline(scheduler.between(3_000, 20_000));
    for (let count = scheduler.between(2, 12); count > 0; count -= 1)
      scheduler.later(scheduler.between(0, 3_000), () => page.alive && this.edit(desk));
  }

  private edit(
    desk: Desk,
    document: string = this.world.scheduler.pick<string>([...names, "notes", "notes"]) ?? "notes",
  ): void {
    const { scheduler } = this.world;
    for (let count = scheduler.chance(0.2) ? scheduler.between(2, 8) : 1; count > 0; count -= 1)
      desk.edit(document, scheduler.chance(0.08));
  }

  /** Several at the same thing in the same moment. */
  private editTogether(pages: readonly Page[]): void {
    const document = this.world.scheduler.pick<string>(this.oracle.documents) ?? "notes";
    for (const page of pages) {
      const desk = this.desks.get(page);
      if (desk !== undefined && page.alive) this.edit(desk, document);
    }
  }

  private unbind(desk: Desk): void {
    const bound = this.world.scheduler.pick(desk.bound);
    if (bound !== undefined) desk.unbind(bound);
  }

  /** Somebody may write no more, or may again: from the next time that the server takes one of its pages up. */
  private changeRoles({ device: { user }, link, scope }: Page): void {
    const roles = this.world.scheduler.pick([["reader"], ["member"], ["member"], ["boss"]]) ?? ["member"];
    this.world.note(`${user} comes back as ${roles.join()}; the link of ${scope} is cut`);
    this.roles.set(user, roles);
    link?.cut();
  }

  private usePen(page: Page): void {
    const { scheduler } = this.world;
    const { state, member } = page.engine;
    const holder = state.floors.get("pen")?.holders[0];
    const other = scheduler.pick([...state.members.keys()].filter((id) => id !== member));
    if (holder === undefined || (holder.member !== member && scheduler.chance(0.6)))
      return this.say(page, { type: "floor-request", floor: "pen" });
    if (holder.member !== member) return this.say(page, { type: "floor-revoke", floor: "pen", member: holder.member });
    const desk = this.desks.get(page);
    if (desk !== undefined) this.edit(desk, "guarded");
    if (other !== undefined && scheduler.chance(0.5))
      return this.say(page, { type: "floor-pass", floor: "pen", fence: holder.fence, member: other });
    if (scheduler.chance(0.5)) this.say(page, { type: "floor-release", floor: "pen", fence: holder.fence });
  }

  /** To a point, itself or from it; now and then there is no such point. */
  private restore(page: Page): void {
    const { scheduler } = this.world;
    const points = page.engine.state.sync.points.filter(({ status }) => status !== "void");
    if (points.length === 0 || scheduler.chance(0.35))
      return this.say(page, { type: "sync-minor", ...page.engine.under() });
    const document = scheduler.pick<string>(this.oracle.documents) ?? "notes";
    const copy = scheduler.pick<string>(["copy", "notes", "other"]) ?? "copy";
    const point = scheduler.pick(points)?.offset ?? 0;
    this.say(page, {
      type: "document-restore",
      point,
      ...(scheduler.chance(0.6) ? { document } : { document: copy, from: document }),
    });
  }

  private preview(page: Page): void {
    const { scheduler } = this.world;
    const point = scheduler.pick(page.engine.state.sync.points.filter(({ status }) => status !== "void"))?.offset;
    const document = scheduler.pick(this.oracle.documents);
    if (point === undefined || document === undefined || !page.live) return;
    this.answers.delete(`${page.scope} ${document} ${point}`);
    page.send([{ type: "document-open", session, document, point }]);
  }

  private answered(page: Page, frame: Extract<ServerFrame, { type: "document-state" }>): void {
    const { document, point = 0, at, size, bytes, format, end } = frame;
    const key = `${page.scope} ${document} ${point}`;
    const answer = at === 0 && frame.part === 0 ? { parts: pristine(), filling: [] } : this.answers.get(key);
    if (answer === undefined) return;
    this.answers.set(key, answer);
    answer.filling.push(...bytes);
    if (at + bytes.length >= size && size > 0) {
      const whole = Uint8Array.from(answer.filling.splice(0));
      if (format === 2) Y.applyUpdateV2(answer.parts, whole);
      else Y.applyUpdate(answer.parts, whole);
    }
    if (!end) return;
    this.answers.delete(key);
    if (page.life !== this.world.store.life) return;
    const difference = differenceOf(answer.parts, this.oracle.at(document, point));
    if (difference !== undefined)
      this.world.fail(`document: ${document} at #${point} is answered otherwise: ${difference}`);
  }

  private say(page: Page, command: MemberCommand): void {
    if (!page.alive) return;
    this.world.note(`${page.scope}: ${JSON.stringify(command)}`);
    page.submit(command, this.world.newId());
  }

  private editByServer(): void {
    const { scheduler, nodes, note } = this.world;
    const host = scheduler.pick(nodes.filter(({ up }) => up))?.host;
    const document = scheduler.pick<string>([...names]) ?? "notes";
    const documents = host?.documents;
    if (host === undefined || documents === undefined) return;
    documents.read(document, { begin: true }, (content) => {
      if (content instanceof Error) return;
      const { lineage } = content;
      const doc = assembled(content);
      doc.clientID = scheduler.between(2 ** 20, 2 ** 32 - 1);
      const made: Uint8Array[] = [];
      const mark = this.marks.next();
      doc.on("update", (update: Uint8Array) => void made.push(update));
      doc.getText("text").insert(scheduler.between(0, doc.getText("text").length), mark);
      doc.destroy();
      note(`the server edits ${document}: ${nameOf(mark)}`);
      const item = [documentEvent(document), doc.clientID, 0, lineage, made[0]] as const;
      host.submit({ from: null, command: { type: "messages", items: [item] } });
    });
  }

  private beHostile(page: Page): void {
    const { scheduler, store, note } = this.world;
    const document = scheduler.pick<string>(this.oracle.documents) ?? "notes";
    const stored = store.truth
      .filter((entry) => documentIn(entry) === document)
      .flatMap((entry) => [...(entry as Messages).items]);
    const hostile = this.rogue.make(document, scheduler.pick(stored) as UpdateItem | undefined);
    if (hostile === undefined || !page.alive) return;
    for (const mark of hostile.marks ?? []) this.forbidden.add(mark);
    note(`${page.scope} means ill of ${document}: ${hostile.what}`);
    const nothing = (): void => {};
    try {
      page.engine.submit({ type: "messages", items: [hostile.item], ...page.engine.under() }, 100, {
        queued: nothing,
        stored: nothing,
        refused: nothing,
      });
    } catch {
      // Its session is over.
    }
  }

  // ---- what must be true ----

  private get birth(): string {
    const [opened] = this.world.store.truth;
    return opened?.type === "opened" ? opened.birth : "";
  }

  private checkStored(document: string): void {
    const { store, fail } = this.world;
    const kept = store.documents.all().get(document);
    if (kept === undefined) return;
    for (const fault of storeFaults(this.oracle, document, kept, this.birth, store.head)) fail(fault);
  }

  private checkTrim(): void {
    const { store, fail } = this.world;
    for (const fault of trimFaults(this.oracle, store.documents.all(), this.birth, store.first)) fail(fault);
  }

  /** What is wrong about an entry, given the state before it. */
  faults(state: SessionState, entry: Entry): readonly string[] {
    const document = documentIn(entry);
    if (document === undefined || entry.type !== "messages" || entry.by === null) return [];
    const roles = state.members.get(entry.by)?.roles ?? [];
    return may(state.config, roles, "edit", document)
      ? []
      : [`document: #${entry.offset} of ${entry.by}, who may not edit ${document} as ${roles.join()}`];
  }

  /** Binds everything everywhere, so that each page has to come to the same. */
  heal(pages: readonly Page[]): void {
    for (const page of pages) {
      const desk = this.desks.get(page);
      if (desk === undefined || !page.alive) continue;
      for (const document of new Set([...this.oracle.documents, ...(page.device.beside.get(page.scope)?.keys() ?? [])]))
        desk.bind(document);
    }
  }

  get isSettled(): boolean {
    return [...this.desks.values()].every((desk) => !desk.page.live || desk.isSettled);
  }

  /** After the faults have ended. */
  check(state: SessionState): void {
    const { store } = this.world;
    for (const [document] of store.documents.all()) this.checkStored(document);
    for (const desk of this.desks.values()) if (desk.page.live) desk.checkAtRest();
    this.checkEdits();
    this.checkReading(state);
    this.checkIdle();
  }

  /** Each edit is in the log, or in a draft, and not in both. */
  private checkEdits(): void {
    const { store, fail } = this.world;
    const drafts = new Map<string, Held>();
    for (const desk of this.desks.values()) {
      if (!desk.page.live) continue;
      for (const document of desk.bound) drafts.set(`${desk.page.scope} ${document}`, desk.draftsOf(document));
    }
    for (const edit of this.edits) {
      const { document, scope, extent, excused } = edit;
      const held = drafts.get(`${scope} ${document}`);
      const isIn = this.oracle.has(document, extent);
      const isDraft = held?.has(extent) === true;
      // What was stored and taken back may be a draft as well, if its page did not see it there. Deletions are nobody's alone.
      const isAlone = extent.to > extent.from && store.lost.length === 0 && !this.oracle.isOver(document, extent);
      if (isIn && isDraft && isAlone) fail(`document: ${describeEdit(edit)} is in the log and in a draft`);
      if (!isIn && this.oracle.hasSome(document, extent)) fail(`document: ${describeEdit(edit)} is in the log in part`);
      if (isIn || isDraft || excused || held === undefined) continue;
      fail(`document: ${describeEdit(edit)} is neither in the log nor in a draft`);
    }
  }

  /** What the server reads of each document, from record, versions and log, at each place where it may be asked for. */
  private checkReading({ sync }: SessionState): void {
    const { nodes, scheduler, fail, store } = this.world;
    const host = nodes.find((node) => node.up && node.host?.documents !== undefined)?.host;
    if (host?.documents === undefined || host.current.head !== store.head) return;
    const places = [...sync.points.filter(({ status }) => status !== "void").map(({ offset }) => offset), store.head];
    for (const document of this.oracle.documents) {
      for (const place of places) {
        const read = (content: DocumentContent | Error): void => {
          if (content instanceof Error)
            return fail(`document: ${document} cannot be read at #${place}: ${content.message}`);
          const difference = differenceOf(assembled(content), this.oracle.at(document, place));
          if (difference !== undefined) fail(`document: ${document} is read otherwise at #${place}: ${difference}`);
        };
        host.documents.read(document, place === store.head ? {} : { point: place }, read);
      }
    }
    scheduler.runUntil(scheduler.now + 10_000);
  }

  /** When nobody has touched a document for long, nothing of it stands in a server's memory. */
  private checkIdle(): void {
    const { scheduler, nodes, fail } = this.world;
    scheduler.runUntil(scheduler.now + 150_000);
    for (const { name, host } of nodes)
      if (host?.documents?.resting === false) fail(`document: ${name} still has documents in memory`);
  }
}
