/** What the runner and the ends of a case (servers, pages) say to each other. The same for both columns. */

/** How an end is set up; given to a process as its argument, to a page in its address. */
export interface ServerSetup {
  /** 0 takes a free one; a restarted server gets the port of its former life. */
  readonly port: number;
  /** Plain: the adapter's Redis; without it, the in-memory adapter. */
  readonly redisUrl?: string;
  /** Rostrum: where the embedded store lives. */
  readonly folder: string;
}

export interface PageSetup {
  readonly url: string;
  /** Plain: `retries` of socket.io-client. */
  readonly retries?: number;
  /** Plain: the app sends again what was rejected. */
  readonly resend: boolean;
}

export type ServerOrder =
  | { readonly do: "send"; readonly numbers: readonly number[]; readonly as: "event" | "event-with-ack" }
  | { readonly do: "send-volatile-text"; readonly text: string }
  | { readonly do: "probe"; readonly mark: number }
  | { readonly do: "purge-packets" }
  | { readonly do: "reject-next-token" }
  | { readonly do: "write-elsewhere"; readonly entries: number };

export type PageOrder =
  /** Answered as soon as the SDK has taken the messages over, not when they have arrived. */
  | { readonly do: "send"; readonly numbers: readonly number[] }
  | { readonly do: "probe"; readonly mark: number }
  /** Answered when everything that was sent so far has been acknowledged or given up. */
  | { readonly do: "settle" }
  /** In a browser only: the events by which it tells a page. */
  | { readonly do: "change-network" }
  /** The handler fails once, at the n-th message from now. */
  | { readonly do: "throw-at"; readonly nth: number };

export type Report =
  | { readonly said: "listening"; readonly port: number }
  /** The page's link as its app sees it. */
  | { readonly said: "link"; readonly up: boolean }
  /** How many pages the server believes to be connected. */
  | { readonly said: "pages"; readonly count: number }
  /** An app's handler was given this number. */
  | { readonly said: "handled"; readonly number: number }
  /** The page's state was put back from what was kept; what was handled since comes on top. */
  | { readonly said: "restored"; readonly numbers: readonly number[] }
  /** A probe of this mark came through. */
  | { readonly said: "probed"; readonly mark: number }
  | { readonly said: "resume"; readonly outcome: string };

/** Every process and page joins the session of this name. */
export const sessionName = "faults";
