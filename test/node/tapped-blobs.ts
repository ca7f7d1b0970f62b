/** A blob store through which a test looks on, or fails what it wants to. */

import type { BlobStore } from "@rostrum/server";

export interface Tap {
  /** Before bytes are appended at `at`; what it throws, the append throws. */
  readonly append?: (at: number, length: number) => void | Promise<void>;
  readonly flush?: (size: number) => void | Promise<void>;
}

export const tapped = (inner: BlobStore, { append, flush }: Tap): BlobStore => ({
  durable: inner.durable,
  size: (session, blob) => inner.size(session, blob),
  write: async (session, blob, at) => {
    const writer = await inner.write(session, blob, at);
    let next = at;
    let tail: Promise<void> = Promise.resolve();
    let over: unknown;
    // One after the other, and nothing more after a failure: what a blob store promises.
    const inOrder = (work: () => Promise<void>): Promise<void> => {
      const done = tail.then(async () => {
        if (over !== undefined) throw over;
        await work();
      });
      tail = done.catch((error: unknown) => {
        over ??= error;
      });
      return done;
    };
    return {
      get size() {
        return writer.size;
      },
      append: (bytes) => {
        const from = next;
        next += bytes.length;
        return inOrder(async () => {
          await append?.(from, bytes.length);
          await writer.append(bytes);
        });
      },
      flush: () =>
        inOrder(async () => {
          await flush?.(writer.size);
          await writer.flush();
        }),
      close: async () => {
        await tail;
        await writer.close();
      },
    };
  },
  read: (session, blob) => inner.read(session, blob),
  list: (session) => inner.list(session),
  remove: (session, blob) => inner.remove(session, blob),
  removeAll: (session) => inner.removeAll(session),
  close: () => inner.close(),
});
