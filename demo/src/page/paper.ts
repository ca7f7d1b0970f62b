/** One document on the page: its editor, and how the editor goes from one `Y.Doc` to the next without anybody losing their place. */

import { defaultKeymap } from "@codemirror/commands";
import { type ChangeSet, Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import type { bindDoc } from "@rostrum/yjs";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import * as Y from "yjs";
import { edits, pieces } from "./difference.ts";
import { make } from "./dom.ts";
import type { Hue } from "./hues.ts";
import { ink } from "./ink.ts";

export type Binding = ReturnType<typeof bindDoc>;

export interface PaperHost {
  readonly binding: Binding;
  readonly title: string;
  /** As whom others see this member's caret. */
  readonly self: () => ({ readonly name: string } & Hue) | undefined;
  /** Whether the session is over here, be it that it could be begun again. */
  readonly isOver: () => boolean;
  /** The text or the right to write it has changed. */
  readonly changed: () => void;
}

export const textOf = (doc: Y.Doc): Y.Text => doc.getText("text");

/** Where a place in one document is in another that has most of it: what is not there was to the right of what is. */
const landing = (before: Y.Text, after: Y.Doc, index: number): number => {
  for (let at = index; at > 0; at -= 1) {
    const place = Y.createAbsolutePositionFromRelativePosition(
      Y.createRelativePositionFromTypeIndex(before, at, -1),
      after,
    );
    if (place !== null && place.type === textOf(after)) return place.index;
  }
  return 0;
};

/** Undo is an edit, too, but CodeMirror does not know that it is one. */
const undoKeys = yUndoManagerKeymap.map((binding) => ({
  ...binding,
  run: (view: EditorView): boolean => view.state.readOnly || binding.run?.(view) === true,
}));

export class Paper {
  readonly element = make("div", "paper");
  private readonly view: EditorView;
  private readonly bound = new Compartment();
  private readonly right = new Compartment();
  /** Goes over to each new document by itself. */
  private readonly undo: ReturnType<Binding["undo"]>;

  constructor(private readonly host: PaperHost) {
    const { binding, title, changed } = host;
    this.undo = binding.undo(textOf);
    this.element.hidden = true;
    const { doc } = binding;
    this.view = new EditorView({
      parent: this.element,
      state: EditorState.create({
        doc: textOf(doc).toString(),
        extensions: [
          Prec.highest(
            EditorView.domEventHandlers({
              beforeinput: ({ inputType }, { state }) => state.readOnly && inputType.startsWith("history"),
            }),
          ),
          keymap.of([...undoKeys, ...defaultKeymap]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": title, "aria-describedby": "why", spellcheck: "false" }),
          placeholder("Nothing is written here yet."),
          ink,
          this.right.of(this.rights()),
          this.bound.of(this.bind(doc)),
          EditorView.updateListener.of(({ docChanged }) => {
            if (docChanged) changed();
          }),
        ],
      }),
    });
    binding.on("replaced", ({ previous }) => this.rebind(previous));
    binding.writable.subscribe(() => this.renew());
    this.sign();
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  /** Whether one may write here has changed. */
  renew(): void {
    this.view.dispatch({ effects: this.right.reconfigure(this.rights()) });
    this.host.changed();
  }

  /** Says again who this is: a new awareness knows nobody yet. */
  sign(): void {
    const self = this.host.self();
    const { awareness } = this.host.binding;
    if (self !== undefined) awareness.setLocalState({ ...awareness.getLocalState(), user: self });
  }

  /** Looks at another paper: others need not see a caret where nobody is. */
  turn(shown: boolean): void {
    this.element.hidden = !shown;
    if (!shown) this.host.binding.awareness.setLocalStateField("cursor", null);
  }

  /** Edits of this member's, as one step to undo. */
  edit(changes: ChangeSet): void {
    this.undo.manager.stopCapturing();
    this.view.dispatch({ changes });
    this.undo.manager.stopCapturing();
  }

  private rights(): Extension {
    const can = this.host.binding.writable.get().can && !this.host.isOver();
    return [
      EditorState.readOnly.of(!can),
      EditorView.contentAttributes.of({ "aria-readonly": String(!can) }),
      EditorView.editorAttributes.of({ class: can ? "" : "cm-shut" }),
    ];
  }

  private bind(doc: Y.Doc): Extension {
    return yCollab(textOf(doc), this.host.binding.awareness, { undoManager: this.undo.manager });
  }

  private rebind(previous: Y.Doc): void {
    const { view } = this;
    const { doc } = this.host.binding;
    const [before, after] = [textOf(previous), textOf(doc)];
    const { anchor, head } = view.state.selection.main;
    const scroll = view.scrollSnapshot();
    // In three steps: the plugins of the old document must not see what changes, and those of the new one must find it done.
    view.dispatch({ effects: this.bound.reconfigure([]) });
    const changes = view.state.changes(edits(pieces(this.text, after.toString(), "character")));
    const moved = scroll.map(changes);
    view.dispatch({
      changes,
      selection: { anchor: landing(before, doc, anchor), head: landing(before, doc, head) },
      effects: moved === undefined ? [] : [moved],
    });
    view.dispatch({ effects: this.bound.reconfigure(this.bind(doc)) });
    this.sign();
    // The new plugins draw the others' carets at the next update; nobody need wait for one.
    view.dispatch({});
  }
}
