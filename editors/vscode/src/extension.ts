/** Starts the connection to foretype, and starts it anew when a setting asks for another one. */
import * as vscode from "vscode";
import { registerCommands, type Window } from "./commands";
import { Session } from "./session";
import { StatusItem } from "./status";

/** A change of one of these needs another connection. */
const RESTARTING = ["foretype.path", "foretype.languages", "foretype.nextEdits"];

class ForetypeWindow implements Window {
  session: Session | undefined;
  isPaused = false;
  private changing: Promise<void> = Promise.resolve();

  constructor(
    private readonly extension: vscode.Extension<unknown>,
    private readonly status: StatusItem,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** One restart at a time; a connection that fails leaves its reason in the status bar and the log. */
  restart(): Promise<void> {
    this.changing = this.changing.then(async () => {
      await this.stopNow();
      try {
        this.session = await Session.start(this.extension, this.status, this.log);
        if (this.isPaused) await this.session.configure(true);
      } catch (error) {
        this.log.error(String(error));
      }
    });
    return this.changing;
  }

  stop(): Promise<void> {
    this.changing = this.changing.then(() => this.stopNow());
    return this.changing;
  }

  async pause(isPaused: boolean): Promise<void> {
    this.isPaused = isPaused;
    await vscode.commands.executeCommand("setContext", "foretype.paused", isPaused);
    await this.session?.configure(isPaused);
  }

  private async stopNow(): Promise<void> {
    const session = this.session;
    this.session = undefined;
    await session?.stop();
  }
}

let window: ForetypeWindow | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel("foretype", { log: true });
  const status = new StatusItem();
  const mine = new ForetypeWindow(context.extension, status, log);
  window = mine;
  context.subscriptions.push(
    log,
    status,
    registerCommands(mine, status, log),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (RESTARTING.some((name) => change.affectsConfiguration(name))) await mine.restart();
      else if (change.affectsConfiguration("foretype.daemon")) await mine.session?.configure(mine.isPaused);
    }),
  );
  await mine.restart();
}

export async function deactivate(): Promise<void> {
  await window?.stop();
}
