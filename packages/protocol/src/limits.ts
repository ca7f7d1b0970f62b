/** Limits of the conversation. The server's hold; they travel in `opened`, so that a client refuses early and clearly. */
export interface Limits {
  /** Largest message, measured as `measure` does: characters of text and bytes of binary. */
  readonly messageBytes: number;
  /** Largest update of a document. With its frame it has to fit into Socket.IO's `maxHttpBufferSize`. */
  readonly updateBytes: number;
  /** Largest data of what stays in the session's state, and so goes to every newcomer: of sync points and of activities. */
  readonly dataBytes: number;
  /** Deepest nesting of a payload. */
  readonly depth: number;
  /** Longest event, floor or session name, in characters. */
  readonly nameLength: number;
  /** Most recipients of a private message. */
  readonly recipients: number;
  /** Most commands that a member may have under way, unanswered. */
  readonly windowCommands: number;
  /** Most bytes of commands under way. */
  readonly windowBytes: number;
  /** Offsets a member may be sent before it says that it has processed some: beyond that the log is its buffer. */
  readonly creditEntries: number;
  /** Largest piece of a transfer in one frame. With its frame it has to fit into Socket.IO's `maxHttpBufferSize`. */
  readonly chunkBytes: number;
  /** Most bytes of a transfer under way, unanswered: what a transfer takes of memory on either side. */
  readonly laneBytes: number;
}

export const defaultLimits: Limits = {
  messageBytes: 65_536,
  updateBytes: 524_288,
  dataBytes: 8_192,
  depth: 32,
  nameLength: 128,
  recipients: 1_000,
  windowCommands: 1_000,
  windowBytes: 524_288,
  creditEntries: 2_000,
  chunkBytes: 524_288,
  laneBytes: 8_388_608,
};
