/** Who is on air, for how long still, and who waits: what everybody sees of the floor. */

import type { Floor, FloorView, FloorWaiting } from "@rostrum/client";
import { find, KeyedList, make, setText } from "./dom.ts";
import { clock, isEnding } from "./time.ts";

const priorities: Readonly<Record<FloorWaiting["priority"], string>> = {
  2: "highest priority",
  1: "high priority",
  0: "",
  [-1]: "low priority",
  [-2]: "lowest priority",
};

/** What is to be said of a request besides whose it is. */
export const particulars = ({ priority, reason }: FloorWaiting): string =>
  [priorities[priority], reason === undefined || reason === "" ? "" : `“${reason}”`]
    .filter((part) => part !== "")
    .join(", ");

const policies = { queue: "Granted in turn", "first-come": "Who comes first, no queue", chair: "The chair decides" };
const orders = { fifo: "", priority: "by priority", "least-spoken": "least spoken first" };

const rulesOf = ({ policy }: FloorView): string =>
  policy === undefined
    ? ""
    : [
        policies[policy.policy],
        policy.policy === "first-come" ? "" : orders[policy.order],
        policy.maxHold === undefined ? "" : `at most ${clock(policy.maxHold)} a turn`,
      ]
        .filter((part) => part !== "")
        .join(", ");

export class Air {
  private readonly holder = find("holder", HTMLSpanElement);
  private readonly left = find("left", HTMLSpanElement);
  private readonly spent = find("spent", HTMLDivElement);
  private readonly idle = find("idle", HTMLParagraphElement);
  private readonly rules = find("rules", HTMLParagraphElement);
  private readonly list = find("queue", HTMLOListElement);
  private readonly queue: KeyedList<FloorWaiting, HTMLLIElement>;

  constructor(
    private readonly floor: Floor,
    private readonly nameOf: (member: string) => string,
  ) {
    this.queue = new KeyedList<FloorWaiting, HTMLLIElement>(
      this.list,
      ({ member }) => member,
      () => {
        const item = make("li");
        item.append(make("span", "place"), make("span", "who"), make("span", "what"));
        return item;
      },
      (item, waiting) => {
        const [place, who, what] = item.children;
        if (place !== undefined) setText(place, waiting.status === "pending" ? "asks" : `${waiting.position}.`);
        if (who !== undefined) setText(who, this.nameOf(waiting.member));
        if (what !== undefined) setText(what, particulars(waiting));
      },
    );
  }

  render(stale: boolean): void {
    const view = this.floor.get();
    const [holder] = view.holders;
    const asHeard = stale ? " (as last heard)" : "";
    setText(this.holder, holder === undefined ? `Nobody${asHeard}` : `${this.nameOf(holder.member)}${asHeard}`);
    // Without the server a turn ends sooner than its limit, when the lease does.
    const left = stale || holder?.endsAt === undefined ? undefined : holder.endsAt - Date.now();
    const ending = !stale && isEnding(view);
    setText(this.left, left === undefined ? "" : `${clock(left)} left${ending ? ", ending soon" : ""}`);
    this.left.dataset["ending"] = String(ending);
    this.showSpent(left, view.policy?.maxHold, ending);
    const waiting = [...view.queue, ...view.pending];
    this.queue.show(waiting);
    this.list.hidden = waiting.length === 0;
    this.idle.hidden = waiting.length > 0;
    setText(this.rules, rulesOf(view));
  }

  private showSpent(left: number | undefined, limit: number | undefined, ending: boolean): void {
    this.spent.hidden = left === undefined || limit === undefined;
    const [bar] = this.spent.children;
    if (!(bar instanceof HTMLElement) || left === undefined || limit === undefined) return;
    bar.style.inlineSize = `${Math.round(Math.min(1, Math.max(0, left / limit)) * 100)}%`;
    bar.dataset["ending"] = String(ending);
  }
}
