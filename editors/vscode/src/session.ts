/** One connection to the daemon and everything that lives as long as it does. */
import * as vscode from "vscode";
import { type Executable, LanguageClient, RevealOutputChannelOn, type StaticFeature } from "vscode-languageclient/node";
import { DecoratedNextEdits } from "./decorated";
import { forwardDefinitions } from "./definitions";
import { forwardDiagnostics } from "./diagnostics";
import { GhostText } from "./ghostText";
import { mayShowNatively, NativeNextEdits } from "./native";
import { Predictions } from "./predictions";
import { chosenDocuments, settings } from "./settings";
import type { StatusItem } from "./status";
import type { NextEditSurface } from "./surface";

/** What this client can do beyond LSP: show an edit in another file, and hear of what was remembered. */
const CAPABILITIES: StaticFeature = {
  fillClientCapabilities(capabilities) {
    const foretype = { otherFiles: true, severalEdits: false, snapshotStored: true };
    capabilities.experimental = { ...capabilities.experimental, foretype };
  },
  initialize() {},
  getState: () => ({ kind: "static" }),
  clear() {},
};

export class Session {
  readonly client: LanguageClient;
  readonly surface: NextEditSurface | undefined;
  /** How many moments of this window were remembered, with consent. */
  remembered = 0;
  private readonly parts: vscode.Disposable[];

  private constructor(
    extension: vscode.Extension<unknown>,
    private readonly status: StatusItem,
    private readonly log: vscode.LogOutputChannel,
  ) {
    const ghostText = new GhostText();
    this.client = this.newClient(ghostText);
    const predictions = new Predictions(this.client);
    this.parts = [ghostText, predictions];
    this.surface = this.newSurface(extension, predictions, ghostText);
    if (this.surface) this.parts.push(this.surface);
    predictions.onDidChange(({ edit, why }) => {
      status.answered(edit, why).catch((error: unknown) => log.error(String(error)));
    });
  }

  /** Connects; raises what keeps the daemon from starting, and says it in the status bar. */
  static async start(
    extension: vscode.Extension<unknown>,
    status: StatusItem,
    log: vscode.LogOutputChannel,
  ): Promise<Session> {
    const session = new Session(extension, status, log);
    status.follow(session.client);
    session.client.onNotification("foretype/snapshotStored", () => {
      session.remembered += 1;
    });
    try {
      await session.client.start();
    } catch (error) {
      session.disposeParts();
      status.follow(undefined, `foretype does not start: ${String(error)}`);
      throw error;
    }
    status.started();
    session.parts.push(
      forwardDiagnostics(session.client),
      forwardDefinitions(session.client, log),
      vscode.window.onDidChangeActiveTextEditor((editor) => session.focus(editor)),
    );
    session.focus(vscode.window.activeTextEditor);
    return session;
  }

  /** Tell the daemon this window's settings; while `isPaused`, that there are to be no predictions. */
  async configure(isPaused: boolean): Promise<void> {
    this.status.paused(isPaused);
    if (isPaused) this.surface?.drawn.ignore();
    await this.client.sendNotification("workspace/didChangeConfiguration", { settings: daemonSettings(isPaused) });
  }

  async stop(): Promise<void> {
    this.disposeParts();
    await this.client.dispose();
  }

  private newClient(ghostText: GhostText): LanguageClient {
    const server: Executable = { command: settings.path, args: ["lsp", "--stdio"] };
    const client = new LanguageClient("foretype", "foretype", server, {
      documentSelector: chosenDocuments(),
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: {
        editorInfo: { name: vscode.env.appName, version: vscode.version },
        ...daemonSettings(false),
      },
      middleware: {
        ...ghostText.middleware,
        provideCodeActions: () => [], // a lamp on every line, for what is shown otherwise
      },
    });
    client.registerFeature(CAPABILITIES);
    return client;
  }

  private newSurface(
    extension: vscode.Extension<unknown>,
    predictions: Predictions,
    ghostText: GhostText,
  ): NextEditSurface | undefined {
    if (settings.nextEdits === "off") return undefined;
    if (settings.nextEdits === "auto" && mayShowNatively(extension)) {
      this.log.info("next edits are shown by VS Code");
      return new NativeNextEdits(predictions, ghostText);
    }
    this.log.info("next edits are shown with decorations");
    return new DecoratedNextEdits(predictions, ghostText, this.log);
  }

  private focus(editor: vscode.TextEditor | undefined): void {
    const uri = editor && this.client.code2ProtocolConverter.asUri(editor.document.uri);
    void this.client.sendNotification("textDocument/didFocus", uri ? { textDocument: { uri } } : {});
  }

  private disposeParts(): void {
    for (const part of this.parts.splice(0).reverse()) part.dispose();
  }
}

function daemonSettings(isPaused: boolean): { foretype: Record<string, unknown> } {
  return { foretype: isPaused ? { ...settings.daemon, enabled: false } : settings.daemon };
}
