/** What a way of showing next edits can do; the commands speak to this. */
import type * as vscode from "vscode";
import type { DrawnEdit } from "./drawnEdit";
import type { Unit } from "./predictions";

export interface NextEditSurface extends vscode.Disposable {
  /** What is shown with decorations. */
  readonly drawn: DrawnEdit;
  /** Apply the first word or line of what is shown, and ask for the rest; false when nothing is. */
  acceptPart(unit: Unit): Promise<boolean>;
  /** Ask now, whatever the mode. */
  ask(): Promise<void>;
}
