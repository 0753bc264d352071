/** Puts a replacement into an editor. */
import * as vscode from "vscode";
import type { Replacement } from "./predictions";

/** One undo step, and the cursor behind what came; false when the editor refuses. */
export async function apply(editor: vscode.TextEditor, change: Replacement): Promise<boolean> {
  const done = await editor.edit((builder) => builder.replace(change.range, change.text));
  if (done) {
    const lines = change.text.split(/\r\n|\r|\n/);
    const last = lines[lines.length - 1] ?? "";
    const start = change.range.start;
    const end =
      lines.length === 1
        ? start.translate(0, last.length)
        : new vscode.Position(start.line + lines.length - 1, last.length);
    editor.selection = new vscode.Selection(end, end);
    editor.revealRange(new vscode.Range(end, end));
  }
  return done;
}
