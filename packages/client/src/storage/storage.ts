/** Where a client keeps what must outlive the page. Values are what structured clone can copy. */

import type { Transaction } from "../engine/record.ts";

export interface Storage {
  /** Whether what is kept outlives the page. */
  readonly durable: boolean;
  /** The scopes that begin so. A scope is one tab's part in one session. */
  list(prefix: string): Promise<readonly string[]>;
  /** All that is kept in a scope, by key. */
  load(scope: string): Promise<ReadonlyMap<string, unknown>>;
  /** Applies the transaction as one, or rejects and changes nothing. */
  commit(scope: string, transaction: Transaction<string>): Promise<void>;
  /** Moves a scope out of the way without destroying it: it could not be read. Resolves to its new name. */
  setAside(scope: string): Promise<string>;
  /** Removes every scope that begins so. */
  wipe(prefix: string): Promise<void>;
}

export const asidePrefix = "aside:";

export const asideName = (scope: string): string => `${asidePrefix}${Date.now().toString(36)}:${scope}`;

/** Which scope it was. */
export const setAsideOf = (name: string): string => name.slice(name.indexOf(":", asidePrefix.length) + 1);
