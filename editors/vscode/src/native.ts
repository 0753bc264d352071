/**
 * Next edits as VS Code shows them itself, where this extension may use the proposed API. VS Code decides when to ask,
 * and owns the keys. An edit in another file is drawn by `DrawnEdit`: what VS Code does with one differs by version.
 */
import * as vscode from "vscode";
import { apply } from "./applying";
import { DrawnEdit } from "./drawnEdit";
import type { GhostText } from "./ghostText";
import { onMoveAfterEdit } from "./moves";
import { isCurrent, type NextEdit, type Predictions, type Unit } from "./predictions";
import { afterQuiet, chosenDocuments, settings } from "./settings";
import type { NextEditSurface } from "./surface";

const PROPOSAL = "inlineCompletionsAdditions";
const ACCEPTED = 0;
const REJECTED = 1;

/** Whether VS Code lets this extension use the proposal: it takes it out of the manifest where it does not. */
export function mayShowNatively(extension: vscode.Extension<unknown>): boolean {
  const { enabledApiProposals } = extension.packageJSON as { enabledApiProposals?: readonly string[] };
  return enabledApiProposals?.includes(PROPOSAL) ?? false;
}

export class NativeNextEdits implements NextEditSurface, vscode.InlineCompletionItemProvider {
  readonly drawn: DrawnEdit;
  private readonly outdated = new vscode.EventEmitter<void>();
  readonly onDidChange = this.outdated.event;
  private readonly subscriptions: vscode.Disposable[];
  private readonly edits = new WeakMap<vscode.InlineCompletionItem, NextEdit>();
  private shown: NextEdit | undefined;

  constructor(
    private readonly predictions: Predictions,
    private readonly ghostText: GhostText,
  ) {
    this.drawn = new DrawnEdit(predictions, () => this.ask());
    const metadata = { displayName: "foretype", groupId: "foretype.nextEdits" };
    this.subscriptions = [
      this.drawn,
      this.outdated,
      vscode.languages.registerInlineCompletionItemProvider(chosenDocuments(), this, metadata),
      onMoveAfterEdit(() => {
        if (settings.mode !== "manual" && !this.shown) this.outdated.fire();
      }),
    ];
  }

  async provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[]> {
    const isAutomatic = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
    if (isAutomatic && (settings.mode === "manual" || !(await afterQuiet(token)))) return [];
    const edit = await this.predictions.ask(document, position, token);
    if (token.isCancellationRequested || !edit) return [];
    if (edit.document !== document) {
      this.drawn.show(edit);
      return [];
    }
    if (this.ghostText.isAt(document, position)) return [];
    const item = new vscode.InlineCompletionItem(edit.text, edit.range);
    item.isInlineEdit = true;
    this.edits.set(item, edit);
    return [item];
  }

  handleDidShowCompletionItem(item: vscode.InlineCompletionItem): void {
    this.shown = this.edits.get(item);
    if (this.shown) this.predictions.shown(this.shown);
  }

  handleEndOfLifetime(item: vscode.InlineCompletionItem, reason: vscode.EndOfLifetime): void {
    const edit = this.edits.get(item);
    if (!edit) return;
    if (this.shown === edit) this.shown = undefined;
    if (reason.kind === ACCEPTED) this.predictions.accepted(edit);
    else if (reason.kind === REJECTED) this.predictions.rejected(edit);
    // What was typed over or asked about again, the daemon sees for itself; it may be going on under the same id.
    else if (isCurrent(edit) && !reason.supersededBy && !reason.userTypingDisagreed) this.predictions.ignored(edit);
  }

  async acceptPart(unit: Unit): Promise<boolean> {
    const [edit, editor] = [this.shown, vscode.window.activeTextEditor];
    if (!edit || editor?.document !== edit.document) return this.drawn.acceptPart(unit);
    const part = await this.predictions.part(edit, unit);
    if (part && isCurrent(part) && (await apply(editor, part))) await this.ask();
    return true;
  }

  async ask(): Promise<void> {
    await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }
}
