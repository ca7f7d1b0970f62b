/** Keeps nothing beyond the page: for Node, for tests, and where there is no IndexedDB to be had. */

import { asideName, type Storage } from "./storage.ts";

export const memoryStorage = (): Storage => {
  const scopes = new Map<string, Map<string, unknown>>();
  return {
    durable: false,
    list: async (prefix) => [...scopes.keys()].filter((scope) => scope.startsWith(prefix)),
    load: async (scope) => new Map(scopes.get(scope)),
    commit: async (scope, { set, remove }) => {
      const values = scopes.get(scope) ?? new Map<string, unknown>();
      for (const key of remove) values.delete(key);
      for (const [key, value] of set) values.set(key, value);
      if (values.size === 0) scopes.delete(scope);
      else scopes.set(scope, values);
    },
    setAside: async (scope) => {
      const name = asideName(scope);
      const values = scopes.get(scope);
      scopes.delete(scope);
      if (values !== undefined) scopes.set(name, values);
      return name;
    },
    wipe: async (prefix) => {
      for (const scope of scopes.keys()) if (scope.startsWith(prefix)) scopes.delete(scope);
    },
  };
};
