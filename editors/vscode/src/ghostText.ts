/** Grey text at the cursor: vscode-languageclient asks for it, this decides when, and remembers where some is shown. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";
import { afterQuiet, settings } from "./settings";

type Items = vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined;

function isEmpty(items: Items): boolean {
  return !items || (Array.isArray(items) ? items : items.items).length === 0;
}

export class GhostText implements vscode.Disposable {
  private readonly came = new vscode.EventEmitter<vscode.TextDocument>();
  /** Fires when grey text was given to the editor: VS Code shows it and no next edit beside it. */
  readonly onDidCome = this.came.event;
  private newest: { document: vscode.TextDocument; version: number; position: vscode.Position } | undefined;

  readonly middleware: Pick<Middleware, "provideInlineCompletionItems"> = {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      const isAutomatic = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
      if (isAutomatic && (settings.mode === "manual" || !(await afterQuiet(token)))) return undefined;
      const version = document.version;
      const items = await next(document, position, context, token);
      if (!token.isCancellationRequested && !isEmpty(items)) {
        this.newest = { document, version, position };
        this.came.fire(document);
      }
      return items;
    },
  };

  /** Whether grey text was given for exactly this text and cursor. */
  isAt(document: vscode.TextDocument, position: vscode.Position): boolean {
    const newest = this.newest;
    return newest?.document === document && newest.version === document.version && newest.position.isEqual(position);
  }

  dispose(): void {
    this.came.dispose();
  }
}
