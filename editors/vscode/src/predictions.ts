/** Asks the daemon for next edits and tells it what became of them. Knows nothing of how they are shown. */
import * as vscode from "vscode";
import { type LanguageClient, ResponseError } from "vscode-languageclient/node";
import type * as wire from "vscode-languageclient/node";

/** LSP's codes for a question that was overtaken: RequestCancelled, ContentModified, ServerCancelled. */
const OVERTAKEN = [-32800, -32801, -32802];

const NEVER = new vscode.CancellationTokenSource().token;

interface WireEdit {
  text: string;
  range: wire.Range;
  textDocument: { uri: string; version: number };
  command?: wire.Command;
  place?: string;
}

/** One replacement in one version of an open document. */
export interface Replacement {
  readonly document: vscode.TextDocument;
  readonly version: number;
  readonly range: vscode.Range;
  readonly text: string;
}

/** A predicted edit. `place` says why there: "same answer", "other occurrence", ... */
export interface NextEdit extends Replacement {
  readonly command: wire.Command;
  readonly place: string;
}

export type Unit = "word" | "line";

/** Whether an edit is about the text as it is now. */
export function isCurrent(edit: Replacement): boolean {
  return !edit.document.isClosed && edit.document.version === edit.version;
}

export class Predictions implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<{ edit?: NextEdit; why?: string }>();
  /** Fires after each answer, with the edit or without, and when an edit is over, with the reason. */
  readonly onDidChange = this.changed.event;

  constructor(private readonly client: LanguageClient) {}

  /** The next edit for this cursor; undefined when there is none, or when the text is another by now. */
  async ask(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<NextEdit | undefined> {
    const params = { textDocument: this.identifier(document), position };
    const [found] = await this.edits("textDocument/copilotInlineEdit", params, token);
    const replacement = found && this.replacement(found);
    const edit =
      replacement && found?.command && document.version === params.textDocument.version
        ? { ...replacement, command: found.command, place: found.place ?? "here" }
        : undefined;
    if (!token.isCancellationRequested) this.changed.fire({ edit });
    return edit;
  }

  /** The first word or line of an edit that is shown; undefined when it is not shown for the present text any more. */
  async part(edit: NextEdit, unit: Unit): Promise<Replacement | undefined> {
    const [found] = await this.edits("foretype/part", { id: edit.command.arguments?.[0], unit });
    return found && this.replacement(found);
  }

  shown(edit: NextEdit): void {
    this.notify("textDocument/didShowInlineEdit", { item: { command: edit.command } });
  }

  accepted(edit: NextEdit): void {
    this.decided("foretype.didAccept", edit, "accepted");
  }

  rejected(edit: NextEdit): void {
    this.decided("foretype.didReject", edit, "dismissed");
  }

  /** It went away without a verdict. */
  ignored(edit: NextEdit): void {
    this.decided("foretype.didIgnore", edit, "gone with the editor that it was shown in");
  }

  dispose(): void {
    this.changed.dispose();
  }

  private decided(command: string, edit: NextEdit, why: string): void {
    this.changed.fire({ why });
    this.notify("workspace/executeCommand", { command, arguments: edit.command.arguments });
  }

  private notify(method: string, params: object): void {
    if (this.client.isRunning()) void this.client.sendNotification(method, params);
  }

  private async edits(method: string, params: object, token = NEVER): Promise<WireEdit[]> {
    if (!this.client.isRunning()) return [];
    try {
      return (await this.client.sendRequest<{ edits: WireEdit[] }>(method, params, token)).edits;
    } catch (error) {
      if (error instanceof ResponseError && OVERTAKEN.includes(error.code)) return [];
      throw error;
    }
  }

  private identifier(document: vscode.TextDocument): { uri: string; version: number } {
    return { uri: this.client.code2ProtocolConverter.asUri(document.uri), version: document.version };
  }

  private replacement(edit: WireEdit): Replacement | undefined {
    const { uri, version } = edit.textDocument;
    const document = vscode.workspace.textDocuments.find((open) => this.identifier(open).uri === uri);
    if (document?.version !== version) return undefined;
    return { document, version, range: this.client.protocol2CodeConverter.asRange(edit.range), text: edit.text };
  }
}
