/** The status bar item: whether there is a next edit, and why not. Knows nothing of the daemon's messages but these two. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { whereabouts } from "./drawing";
import type { NextEdit } from "./predictions";

interface Said {
  kind: "Normal" | "Warning" | "Inactive" | "Error";
  message: string;
  busy: boolean;
}

const NOTHING_SAID: Said = { kind: "Normal", message: "", busy: false };
const STARTING: Said = { kind: "Normal", message: "starting", busy: true };

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("foretype.status", vscode.StatusBarAlignment.Right, 100);
  private said = STARTING;
  private edit: NextEdit | undefined;
  private reason = "nothing was asked yet";
  private failure = "";
  private isPaused = false;
  private client: LanguageClient | undefined;
  private question = 0;

  constructor() {
    this.item.name = "foretype";
    this.item.command = "foretype.showStatus";
    this.draw();
    this.item.show();
  }

  /** In one sentence: what is shown, or why nothing is. */
  get sentence(): string {
    if (this.failure) return this.failure;
    if (this.isPaused) return "paused in this window";
    if (this.said.message) return this.said.message;
    if (!this.edit) return this.reason || "nothing to predict";
    const place = this.edit.place === "here" ? "" : ` (${this.edit.place})`;
    return `next edit: ${whereabouts(this.edit, vscode.window.activeTextEditor?.document ?? this.edit.document)}${place}`;
  }

  /** Follow this connection, which is being made; `failure` is why there is none. */
  follow(client: LanguageClient | undefined, failure = ""): void {
    this.client = client;
    this.failure = failure;
    this.said = STARTING;
    this.edit = undefined;
    client?.onNotification("didChangeStatus", (said: Said) => {
      this.said = said;
      this.draw();
    });
    this.draw();
  }

  /** The connection is made. */
  started(): void {
    if (this.said === STARTING) this.said = NOTHING_SAID;
    this.draw();
  }

  paused(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.draw();
  }

  /** This edit is there, or none because of `why`; where nobody says why, the daemon is asked. */
  async answered(edit: NextEdit | undefined, why: string | undefined): Promise<void> {
    const mine = ++this.question;
    this.edit = edit;
    this.reason = why ?? this.reason;
    this.draw();
    if (edit || why !== undefined || !this.client?.isRunning()) return;
    const { reason } = await this.client.sendRequest<{ reason: string }>("foretype/status", {});
    if (mine !== this.question) return;
    this.reason = reason;
    this.draw();
  }

  dispose(): void {
    this.item.dispose();
  }

  private draw(): void {
    this.item.text = `$(${this.icon()}) foretype`;
    this.item.tooltip = `foretype: ${this.sentence}`;
    this.item.accessibilityInformation = { label: this.item.tooltip };
    this.item.backgroundColor = this.failure ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  }

  private icon(): string {
    if (this.failure || this.said.kind === "Warning" || this.said.kind === "Error") return "warning";
    if (this.isPaused) return "debug-pause";
    if (this.said.kind === "Inactive") return "circle-slash";
    if (this.said.busy) return "loading~spin";
    return this.edit ? "arrow-right" : "circle-outline";
  }
}
