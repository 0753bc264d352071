/** The commands. What is not shown by this extension is VS Code's own: then its command is run. */
import * as vscode from "vscode";
import { grantConsent, revokeConsent } from "./consent";
import type { Session } from "./session";
import { type Mode, settings } from "./settings";
import type { StatusItem } from "./status";

/** What the commands need to know of the extension as a whole. */
export interface Window {
  readonly session: Session | undefined;
  readonly isPaused: boolean;
  pause(isPaused: boolean): Promise<void>;
  restart(): Promise<void>;
}

const MODES: Record<Mode, string> = {
  eager: "as soon as they are there",
  quiet: "when I pause",
  manual: "when I ask",
};

async function orElse(done: boolean | Promise<boolean> | undefined, builtIn: string): Promise<void> {
  if (!(await done)) await vscode.commands.executeCommand(`editor.action.inlineSuggest.${builtIn}`);
}

async function chooseMode(): Promise<void> {
  const modes = Object.entries(MODES).map(([label, description]) => ({ label, description }));
  const chosen = await vscode.window.showQuickPick(modes, { placeHolder: `now: ${settings.mode}` });
  if (!chosen) return;
  const configuration = vscode.workspace.getConfiguration("foretype");
  await configuration.update("mode", chosen.label, vscode.ConfigurationTarget.Global);
}

async function showStatus(window: Window, status: StatusItem, log: vscode.LogOutputChannel): Promise<void> {
  const actions = [
    { label: "Predict now", run: "foretype.trigger" },
    window.isPaused ? { label: "Resume", run: "foretype.resume" } : { label: "Pause", run: "foretype.pause" },
    { label: "Choose when predictions are shown", description: settings.mode, run: "foretype.chooseMode" },
    {
      label: "Consent",
      description: `${window.session?.remembered ?? 0} moments of this window remembered`,
      run: "foretype.grantConsent",
    },
    { label: "Restart", run: "foretype.restart" },
    { label: "Show the log" },
  ];
  const chosen = await vscode.window.showQuickPick(actions, { title: "foretype", placeHolder: status.sentence });
  if (chosen?.run) await vscode.commands.executeCommand(chosen.run);
  else if (chosen) log.show();
}

function runningClient(window: Window): Session["client"] {
  const client = window.session?.client;
  if (!client?.isRunning()) throw new Error("foretype does not run; the status bar says why");
  return client;
}

/** Registers every command of the manifest. */
export function registerCommands(window: Window, status: StatusItem, log: vscode.LogOutputChannel): vscode.Disposable {
  const surface = () => window.session?.surface;
  const commands: Record<string, () => Promise<void>> = {
    "foretype.jumpOrAccept": () => orElse(surface()?.drawn.jumpOrAccept(), "commit"),
    // The key may have been pressed before VS Code learnt that it is not ours any more.
    "foretype.tab": async () => {
      const drawn = surface()?.drawn;
      if (drawn?.takesTab) await drawn.jumpOrAccept();
      else if (!drawn?.swallowsTab) await vscode.commands.executeCommand("tab");
    },
    "foretype.jump": () => orElse(surface()?.drawn.jump(), "jump"),
    "foretype.accept": () => orElse(surface()?.drawn.accept(), "commit"),
    "foretype.acceptWord": () => orElse(surface()?.acceptPart("word"), "acceptNextWord"),
    "foretype.acceptLine": () => orElse(surface()?.acceptPart("line"), "acceptNextLine"),
    "foretype.dismiss": () => orElse(surface()?.drawn.dismiss(), "hide"),
    "foretype.trigger": async () => {
      await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
      await surface()?.ask();
    },
    "foretype.pause": () => window.pause(true),
    "foretype.resume": () => window.pause(false),
    "foretype.chooseMode": chooseMode,
    "foretype.showStatus": () => showStatus(window, status, log),
    "foretype.grantConsent": () => grantConsent(runningClient(window)),
    "foretype.revokeConsent": () => revokeConsent(runningClient(window)),
    "foretype.restart": () => window.restart(),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
  );
}
