/** Notices that a person who has just edited goes on to another line: the next edit there is worth asking for. */
import * as vscode from "vscode";

const JUST_EDITED_MILLISECONDS = 10_000;

/** Calls `onMove` for each move of the cursor, made with keys or the mouse, to another line of what was just edited. */
export function onMoveAfterEdit(onMove: (editor: vscode.TextEditor) => void): vscode.Disposable {
  let edited: { document: vscode.TextDocument; at: number } | undefined;
  let line = -1;
  return vscode.Disposable.from(
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0) edited = { document, at: Date.now() };
    }),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor, kind, selections }) => {
      const before = line;
      line = selections[0]?.active.line ?? -1;
      const isByHand =
        kind === vscode.TextEditorSelectionChangeKind.Keyboard || kind === vscode.TextEditorSelectionChangeKind.Mouse;
      const isRecent = edited?.document === textEditor.document && Date.now() - edited.at < JUST_EDITED_MILLISECONDS;
      if (isByHand && isRecent && line !== before) onMove(textEditor);
    }),
  );
}
