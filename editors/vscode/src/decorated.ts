/** Next edits with the stable API alone: asks when the text changes, and has the answer drawn with decorations. */
import * as vscode from "vscode";
import { DrawnEdit } from "./drawnEdit";
import type { GhostText } from "./ghostText";
import { onMoveAfterEdit } from "./moves";
import type { Predictions, Unit } from "./predictions";
import { chosenDocuments, QUIET_MILLISECONDS, settings } from "./settings";
import type { NextEditSurface } from "./surface";

/** What VS Code waits before it asks for grey text. */
const EAGER_MILLISECONDS = 50;

export class DecoratedNextEdits implements NextEditSurface {
  readonly drawn: DrawnEdit;
  private readonly subscriptions: vscode.Disposable[];
  private asking: vscode.CancellationTokenSource | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly predictions: Predictions,
    private readonly ghostText: GhostText,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.drawn = new DrawnEdit(predictions, () => this.ask());
    this.subscriptions = [
      this.drawn,
      vscode.workspace.onDidChangeTextDocument((event) => this.changed(event)),
      vscode.window.onDidChangeActiveTextEditor(() => this.giveUp()),
      onMoveAfterEdit(() => {
        if (!this.drawn.shown) this.askSoon();
      }),
      ghostText.onDidCome((document) => {
        if (this.drawn.shown?.document === document) this.drawn.ignore();
      }),
    ];
  }

  acceptPart(unit: Unit): Promise<boolean> {
    return this.drawn.acceptPart(unit);
  }

  async ask(): Promise<void> {
    this.giveUp();
    const editor = vscode.window.activeTextEditor;
    if (!editor || editor.selections.length > 1 || !editor.selection.isEmpty) return;
    if (!vscode.languages.match(chosenDocuments(), editor.document)) return;
    const asking = new vscode.CancellationTokenSource();
    this.asking = asking;
    const position = editor.selection.active;
    const edit = await this.predictions.ask(editor.document, position, asking.token);
    if (asking.token.isCancellationRequested) return;
    if (edit && !this.ghostText.isAt(editor.document, position)) this.drawn.show(edit);
    else this.drawn.clear();
  }

  dispose(): void {
    this.giveUp();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private changed({ document, contentChanges, reason }: vscode.TextDocumentChangeEvent): void {
    if (contentChanges.length === 0 || document !== vscode.window.activeTextEditor?.document) return;
    this.giveUp();
    if (reason === undefined) this.askSoon(); // after an undo nothing is suggested: it would be what was undone
  }

  private askSoon(): void {
    if (settings.mode === "manual") return;
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => this.ask().catch((error: unknown) => this.log.error(String(error))),
      settings.mode === "quiet" ? QUIET_MILLISECONDS : EAGER_MILLISECONDS,
    );
  }

  private giveUp(): void {
    clearTimeout(this.timer);
    this.asking?.cancel();
    this.asking = undefined;
  }
}
