/** Why an edit cannot be sent. It is taken back then, and kept as a draft. */

import type { ExtensionHost } from "@rostrum/client";
import { RostrumError } from "@rostrum/protocol";
import { readFacts } from "./facts.ts";
import { notWritable, writableNow } from "./rights.ts";

export const madeElsewhere = (document: string): RostrumError =>
  new RostrumError(
    "DOCUMENT_INVALID",
    `An update made elsewhere was applied to the document "${document}"; it was taken back and kept as a draft. Only the session brings updates of others: insert the content as an edit instead.`,
    { document, what: "mixed" },
  );

/** `replica`: whose edit it is; `undefined`: it was not made by editing. */
export const faultOf = (
  session: Pick<ExtensionHost, "state" | "self" | "holds" | "limits">,
  document: string,
  bytes: Uint8Array,
  replica: number | undefined,
): RostrumError | undefined => {
  const writable = writableNow(session, document, false);
  if (!writable.can) return notWritable(document, writable);
  if (replica === undefined) return madeElsewhere(document);
  try {
    if (readFacts(bytes).adds.some(({ client }) => client !== replica)) return madeElsewhere(document);
  } catch (error) {
    // It would throw into whoever edits, and the server would not take it.
    if (error instanceof RostrumError) return error;
    throw error;
  }
  const limit = session.limits().updateBytes;
  if (bytes.byteLength <= limit) return undefined;
  return new RostrumError(
    "MESSAGE_TOO_LARGE",
    `An edit of "${document}" has ${bytes.byteLength} bytes, the limit is ${limit}; it was taken back and kept as a draft. Make it in several transactions, or raise limits.updateBytes.`,
    { document, size: bytes.byteLength, limit },
  );
};
