/** Draws an edit with decorations: what goes is marked, what comes stands behind it. */
import * as vscode from "vscode";
import type { NextEdit } from "./predictions";

const MAX_SHOWN_CHARACTERS = 120;
const HOLDS = vscode.DecorationRangeBehavior.ClosedClosed;

/** `text` as one line that VS Code shows as it is: it would drop line ends and repeated spaces. */
function asOneLine(text: string): string {
  const line = text.replace(/\r\n|\r|\n/g, "⏎").replace(/[ \t]/g, "\u00a0");
  return line.length > MAX_SHOWN_CHARACTERS ? `${line.slice(0, MAX_SHOWN_CHARACTERS)}…` : line;
}

/** Where an edit is, for a label. */
export function whereabouts(edit: NextEdit, from: vscode.TextDocument): string {
  const line = `line ${edit.range.start.line + 1}`;
  return edit.document === from ? line : `${vscode.workspace.asRelativePath(edit.document.uri)}, ${line}`;
}

export class Drawing implements vscode.Disposable {
  private readonly removed = vscode.window.createTextEditorDecorationType({
    backgroundColor: new vscode.ThemeColor("diffEditor.removedTextBackground"),
    textDecoration: "line-through",
    rangeBehavior: HOLDS,
  });
  private readonly added = vscode.window.createTextEditorDecorationType({
    after: {
      backgroundColor: new vscode.ThemeColor("diffEditor.insertedTextBackground"),
      color: new vscode.ThemeColor("editor.foreground"),
    },
    rangeBehavior: HOLDS,
  });
  private readonly label = vscode.window.createTextEditorDecorationType({
    after: {
      color: new vscode.ThemeColor("editorCodeLens.foreground"),
      fontStyle: "italic",
      margin: "0 0 0 3em",
    },
    rangeBehavior: HOLDS,
  });

  /** Draw `edit` in `editor`; where it can not be seen there, a label on the cursor's line says where it is. */
  draw(editor: vscode.TextEditor, edit: NextEdit): void {
    this.clear();
    const isHere = editor.document === edit.document;
    if (isHere) this.drawThere(editor, edit);
    if (!isHere || !editor.visibleRanges.some((visible) => visible.intersection(edit.range))) {
      const end = editor.document.lineAt(editor.selection.active.line).range.end;
      const contentText = `Tab → ${whereabouts(edit, editor.document)}: ${asOneLine(edit.text.trim())}`;
      editor.setDecorations(this.label, [{ range: new vscode.Range(end, end), renderOptions: { after: { contentText } } }]);
    }
  }

  /** Take everything off all screens. */
  clear(): void {
    for (const editor of vscode.window.visibleTextEditors) {
      for (const type of [this.removed, this.added, this.label]) editor.setDecorations(type, []);
    }
  }

  dispose(): void {
    for (const type of [this.removed, this.added, this.label]) type.dispose();
  }

  private drawThere(editor: vscode.TextEditor, edit: NextEdit): void {
    const code = new vscode.MarkdownString().appendCodeblock(edit.text, edit.document.languageId);
    editor.setDecorations(this.removed, edit.range.isEmpty ? [] : [{ range: edit.range }]);
    if (edit.text) {
      const range = new vscode.Range(edit.range.end, edit.range.end);
      const after = { contentText: asOneLine(edit.text) };
      editor.setDecorations(this.added, [{ range, renderOptions: { after }, hoverMessage: code }]);
    }
  }
}
