/**
 * The one next edit that is drawn with decorations: it goes there, is applied, is dismissed, and vanishes as soon as
 * its text is another. Knows nothing of when the daemon is asked.
 */
import * as vscode from "vscode";
import { Drawing } from "./drawing";
import { isCurrent, type NextEdit, type Predictions, type Unit } from "./predictions";
import { apply } from "./applying";

export class DrawnEdit implements vscode.Disposable {
  private readonly drawing = new Drawing();
  private readonly subscriptions: vscode.Disposable[];
  private edit: NextEdit | undefined;
  private isAccepting = false; // until the one after it is there, or none is

  /** `askAgain` is called when an edit, or a part of it, was applied. */
  constructor(
    private readonly predictions: Predictions,
    private readonly askAgain: () => Promise<void>,
  ) {
    this.subscriptions = [
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        const concerned = [this.edit?.document, vscode.window.activeTextEditor?.document].includes(document);
        if (contentChanges.length === 0) return;
        if (concerned) this.clear(); // the daemon reads from the text what became of it
      }),
      vscode.workspace.onDidCloseTextDocument((document) => {
        if (this.edit?.document === document) this.clear();
      }),
      vscode.window.onDidChangeActiveTextEditor((editor) => {
        if (!editor) return; // between two editors there is none
        if (this.edit && editor.document !== this.edit.document) this.ignore();
        else this.redraw();
      }),
      vscode.window.onDidChangeTextEditorSelection(() => this.redraw()),
      vscode.window.onDidChangeTextEditorVisibleRanges(() => this.redraw()),
    ];
  }

  /** The edit that is drawn. */
  get shown(): NextEdit | undefined {
    return this.edit;
  }

  /** Whether Tab means the edit. It indents where it would: in the indentation of a line that the edit is not in. */
  get takesTab(): boolean {
    const editor = vscode.window.activeTextEditor;
    const cursor = editor && loneCursor(editor);
    if (!this.edit || !editor || !cursor) return false;
    const indents = cursor.character <= editor.document.lineAt(cursor.line).firstNonWhitespaceCharacterIndex;
    return this.isInLines(editor) || !indents;
  }

  /** Tab is meant for the edit after the one that was just accepted, and it is not there yet. */
  get swallowsTab(): boolean {
    return this.edit === undefined && this.isAccepting;
  }

  show(edit: NextEdit): void {
    this.edit = edit;
    this.redraw();
    this.predictions.shown(edit);
  }

  /** Take it off the screen because something else is shown instead. */
  ignore(): void {
    if (this.edit) this.predictions.ignored(this.edit);
    this.clear();
  }

  /** Take it off the screen; it is not shown again in this place. */
  dismiss(): boolean {
    if (!this.edit) return false;
    this.predictions.rejected(this.edit);
    this.clear();
    return true;
  }

  /** Take it off the screen and say nothing. */
  clear(): void {
    if (!this.edit) return;
    this.edit = undefined;
    this.drawing.clear();
    this.setKeys();
  }

  // Each of these is false where there is nothing to do it with.

  /** Go to the edit, in whatever file it is. */
  async jump(): Promise<boolean> {
    if (!this.edit) return false;
    await this.editorAt(this.edit);
    return true;
  }

  /** Go to the edit; from one of its lines, apply it. */
  async jumpOrAccept(): Promise<boolean> {
    const editor = vscode.window.activeTextEditor;
    return editor && this.isInLines(editor) ? this.accept() : this.jump();
  }

  async accept(): Promise<boolean> {
    const edit = this.edit;
    if (!edit) return false;
    const editor = await this.editorAt(edit);
    if (!isCurrent(edit)) return true;
    this.isAccepting = true;
    try {
      if (await apply(editor, edit)) {
        this.predictions.accepted(edit);
        await this.askAgain();
      }
    } finally {
      this.isAccepting = false;
      this.setKeys();
    }
    return true;
  }

  /** Apply the first word or line of it. */
  async acceptPart(unit: Unit): Promise<boolean> {
    const edit = this.edit;
    if (!edit) return false;
    const part = await this.predictions.part(edit, unit);
    if (part && isCurrent(part) && (await apply(await this.editorAt(edit), part))) await this.askAgain();
    return true;
  }

  dispose(): void {
    this.clear();
    for (const subscription of this.subscriptions) subscription.dispose();
    this.drawing.dispose();
  }

  private redraw(): void {
    if (!this.edit) return;
    const editor = vscode.window.activeTextEditor;
    if (editor) this.drawing.draw(editor, this.edit);
    this.setKeys();
  }

  /** An editor with the cursor in the edit's lines: the one that has the focus, or one that takes it. */
  private async editorAt(edit: NextEdit): Promise<vscode.TextEditor> {
    const active = vscode.window.activeTextEditor;
    if (active?.document === edit.document && this.isInLines(active)) return active;
    const visible = vscode.window.visibleTextEditors.find((editor) => editor.document === edit.document);
    const start = new vscode.Range(edit.range.start, edit.range.start);
    const editor = await vscode.window.showTextDocument(edit.document, {
      viewColumn: active?.document === edit.document ? active.viewColumn : visible?.viewColumn,
      selection: start,
    });
    editor.revealRange(edit.range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    return editor;
  }

  private isInLines(editor: vscode.TextEditor): boolean {
    const edit = this.edit;
    const line = editor.selection.active.line;
    return edit?.document === editor.document && edit.range.start.line <= line && line <= edit.range.end.line;
  }

  private setKeys(): void {
    const editor = vscode.window.activeTextEditor;
    const { edit } = this;
    const isAtCursor = editor && edit?.document === editor.document && loneCursor(editor)?.isEqual(edit.range.start);
    setKey("foretype.nextEditVisible", edit !== undefined);
    setKey("foretype.tabTakesNextEdit", this.takesTab || this.swallowsTab);
    setKey("foretype.nextEditAtCursor", isAtCursor ?? false);
  }
}

/** Where the cursor is, where there is one and nothing is selected. */
function loneCursor(editor: vscode.TextEditor): vscode.Position | undefined {
  return editor.selections.length === 1 && editor.selection.isEmpty ? editor.selection.active : undefined;
}

function setKey(name: string, value: boolean): void {
  void vscode.commands.executeCommand("setContext", name, value);
}
