/** The settings of this extension, read when they are needed: a change counts from the next keystroke. */
import * as vscode from "vscode";

export type Mode = "eager" | "quiet" | "manual";
export type NextEdits = "auto" | "decorations" | "off";

/** How long the text must be quiet in quiet mode before anything is drawn. */
export const QUIET_MILLISECONDS = 700;

function setting<T>(name: string, otherwise: T): T {
  return vscode.workspace.getConfiguration("foretype").get<T>(name, otherwise);
}

export const settings = {
  get path(): string {
    return setting("path", "foretype");
  },
  get languages(): string[] {
    return setting("languages", ["*"]);
  },
  get mode(): Mode {
    return setting<Mode>("mode", "eager");
  },
  get nextEdits(): NextEdits {
    return setting<NextEdits>("nextEdits", "auto");
  },
  /** What this window says of the daemon's own settings. */
  get daemon(): Record<string, unknown> {
    return setting("daemon", {});
  },
};

/** The documents that are told to the daemon: files and new texts of the chosen languages. */
export function chosenDocuments(): { scheme: string; language: string }[] {
  return settings.languages.flatMap((language) => [
    { scheme: "file", language },
    { scheme: "untitled", language },
  ]);
}

/** Resolves after a pause in typing where the user wants quiet, else at once; false when `token` was cancelled. */
export async function afterQuiet(token: vscode.CancellationToken): Promise<boolean> {
  if (settings.mode === "quiet") {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, QUIET_MILLISECONDS);
      const listening = token.onCancellationRequested(done);
      function done(): void {
        clearTimeout(timer);
        listening.dispose();
        resolve();
      }
    });
  }
  return !token.isCancellationRequested;
}
