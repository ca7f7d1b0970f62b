/** Undo that goes over to the next document with its editor: a Yjs undo manager is bound to one document for ever. */

import * as Y from "yjs";

type Scope = ConstructorParameters<typeof Y.UndoManager>[0];
export type UndoOptions = NonNullable<ConstructorParameters<typeof Y.UndoManager>[1]>;

/** An undo manager for whatever document a binding has. What was refused, or is over, cannot be undone or redone. */
export interface Undoing {
  /** The manager of the present document; another one after "replaced". */
  readonly manager: Y.UndoManager;
  undo(): void;
  redo(): void;
  destroy(): void;
}

export interface UndoHost {
  readonly doc: Y.Doc;
  readonly isOver: boolean;
}

export const undoing = (
  host: UndoHost,
  scope: (doc: Y.Doc) => Scope,
  options: UndoOptions,
): { readonly undoing: Undoing; readonly replaced: () => void } => {
  let manager = new Y.UndoManager(scope(host.doc), options);
  const handle: Undoing = {
    get manager() {
      return manager;
    },
    undo: () => void manager.undo(),
    redo: () => void manager.redo(),
    destroy: () => manager.destroy(),
  };
  return {
    undoing: handle,
    replaced: () => {
      // Editors add themselves to what is tracked.
      const trackedOrigins = new Set(manager.trackedOrigins);
      trackedOrigins.delete(manager);
      manager.destroy();
      manager = new Y.UndoManager(scope(host.doc), { ...options, trackedOrigins });
    },
  };
};
