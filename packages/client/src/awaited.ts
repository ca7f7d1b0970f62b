/** A refusal that nobody awaits must not end a process: it is told by the session's `refused` as well. */
export const awaited = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => {});
  return promise;
};
