/**
 * Keeps sessions in IndexedDB through idb-keyval's store handle: one record per key `[scope, key]`, and each transaction
 * of the engine is one transaction there.
 */

import { createStore, promisifyRequest, type UseStore } from "idb-keyval";
import { asideName, type Storage } from "./storage.ts";

type StoredKey = [scope: string, key: string];

/** All keys of the scopes that begin with a prefix; of one scope, if `exactly`. */
const range = (prefix: string, exactly: boolean): IDBKeyRange =>
  exactly ? IDBKeyRange.bound([prefix], [prefix, []]) : IDBKeyRange.bound([prefix], [`${prefix}\uffff`, []]);

/** @example createClient({ url, storage: indexedDBStorage("my-app") }) */
export const indexedDBStorage = (database = "rostrum"): Storage => {
  let opened: UseStore | undefined;
  const store: UseStore = (mode, use) => (opened ??= createStore(database, "sessions"))(mode, use);
  return {
    durable: true,
    list: (prefix) =>
      store("readonly", async (records) => {
        const keys = (await promisifyRequest(records.getAllKeys(range(prefix, false)))) as StoredKey[];
        return [...new Set(keys.map(([scope]) => scope))];
      }),
    load: (scope) =>
      store("readonly", async (records) => {
        const within = range(scope, true);
        const keys = promisifyRequest(records.getAllKeys(within));
        const values = promisifyRequest(records.getAll(within));
        const [found, kept] = await Promise.all([keys, values]);
        return new Map((found as StoredKey[]).map(([, key], index) => [key, kept[index] as unknown]));
      }),
    commit: (scope, { set, remove }) =>
      store("readwrite", (records) => {
        const { transaction } = records;
        try {
          for (const key of remove) records.delete([scope, key]);
          for (const [key, value] of set) records.put(value, [scope, key]);
        } catch (error) {
          // A value that cannot be cloned must not leave half a transaction behind.
          transaction.abort();
          throw error;
        }
        const done = promisifyRequest(transaction);
        // Without waiting to be asked for more: a page that is left now has written it.
        transaction.commit?.();
        return done;
      }),
    setAside: async (scope) => {
      const name = asideName(scope);
      await store("readwrite", (records) => {
        const cursor = records.openCursor(range(scope, true));
        cursor.onsuccess = () => {
          const at = cursor.result;
          if (at === null) return;
          records.put(at.value, [name, (at.key as StoredKey)[1]]);
          at.delete();
          at.continue();
        };
        return promisifyRequest(records.transaction);
      });
      return name;
    },
    wipe: (prefix) =>
      store("readwrite", (records) => {
        records.delete(range(prefix, false));
        return promisifyRequest(records.transaction);
      }),
  };
};

/** Whether this page may use IndexedDB at all: private modes and sandboxed frames refuse it only when it is opened. */
export const hasIndexedDB = async (): Promise<boolean> => {
  if (typeof indexedDB === "undefined") return false;
  try {
    await indexedDBStorage().list("probe:");
    return true;
  } catch {
    return false;
  }
};
