/** How the editor looks. A theme of its own: CodeMirror's styles are in no layer, so a layer's would not prevail. */

import { EditorView } from "@codemirror/view";

export const ink = EditorView.theme({
  "&": { height: "15rem", color: "var(--ink)", backgroundColor: "var(--card)", borderRadius: "inherit" },
  "&.cm-focused": { outline: "none" },
  "&.cm-shut": { backgroundColor: "var(--sunk)" },
  ".cm-scroller": { fontFamily: "inherit", lineHeight: "1.75" },
  // Room for the name over a caret in the first line.
  ".cm-content": { padding: "1rem 0 0.6rem", caretColor: "var(--ink)" },
  "&.cm-shut .cm-content": { caretColor: "var(--soft)" },
  ".cm-line": { padding: "0 0.8rem" },
  ".cm-placeholder": { color: "var(--soft)" },
  ".cm-ySelectionCaret": { borderWidth: "0 1px", zIndex: "1" },
  ".cm-ySelectionCaretDot": { display: "none" },
  ".cm-ySelectionInfo": {
    top: "-1.15em",
    opacity: "1",
    padding: "0 0.35em",
    borderRadius: "4px 4px 4px 0",
    fontFamily: "inherit",
    fontSize: "0.7rem",
    fontWeight: "600",
    lineHeight: "1.4",
    pointerEvents: "none",
  },
});
