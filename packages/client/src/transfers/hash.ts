/**
 * SHA-256 of bytes that come piece by piece, which the platforms' own digest cannot do. Node has one that can; elsewhere it is
 * a small one in JavaScript: one in WebAssembly is twice as fast and three times as large, and pages whose
 * Content-Security-Policy does not allow it could not load it.
 */

import { sha256 as inJavaScript } from "@noble/hashes/sha2.js";

export interface Hash {
  update(bytes: Uint8Array): void;
  /** Of all bytes so far, in hex; more may follow. */
  digest(): string;
}

/** The part of Node that is asked for, in a way in which no bundler looks for it. */
interface Native {
  readonly process?: { readonly getBuiltinModule?: (id: string) => unknown };
}
interface NativeHash {
  update(bytes: Uint8Array): unknown;
  copy(): NativeHash;
  digest(as: "hex"): string;
}

const native = (): { readonly createHash: (name: string) => NativeHash } | undefined =>
  (globalThis as Native).process?.getBuiltinModule?.("node:crypto") as ReturnType<typeof native>;

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export const sha256 = (): Hash => {
  const crypto = native();
  if (crypto !== undefined) {
    const hash = crypto.createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.copy().digest("hex") };
  }
  const hash = inJavaScript.create();
  return { update: (bytes) => void hash.update(bytes), digest: () => hex(hash.clone().digest()) };
};
