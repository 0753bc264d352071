/** Asks a person whether foretype may remember how predictions turned out in one folder; the text is the daemon's. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";

interface Consent {
  granted: boolean;
  reason: string;
  scope: string | null;
  text: string;
  textVersion: string | number;
  purged: number | null;
}

const KEEP = "Agree, and keep it on this machine";
const UPLOAD = "Agree, and also send it to my team's collector";
const REVOKE = "Take back";
const PURGE = "Take back and delete";

async function folder(client: LanguageClient): Promise<{ name: string; uri: string } | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const chosen = folders.length > 1 ? await vscode.window.showWorkspaceFolderPick() : folders[0];
  if (!chosen && folders.length === 0) {
    void vscode.window.showInformationMessage("foretype remembers things for a folder; open one first.");
  }
  return chosen && { name: chosen.name, uri: client.code2ProtocolConverter.asUri(chosen.uri) };
}

function ask(client: LanguageClient, params: object): Promise<Consent> {
  return client.sendRequest<Consent>("foretype/consent", params);
}

/** Show what is agreed to, and agree if that is what the person wants; raises what the daemon refuses with. */
export async function grantConsent(client: LanguageClient): Promise<void> {
  const where = await folder(client);
  if (!where) return;
  const { text, textVersion, granted, scope } = await ask(client, { action: "show", workspace: where.uri });
  const title = granted ? `foretype remembers already in ${where.name} (${scope})` : `Remember in ${where.name}?`;
  const choice = await vscode.window.showInformationMessage(title, { modal: true, detail: text }, KEEP, UPLOAD);
  if (!choice) return;
  const agreed = { action: "grant", workspace: where.uri, scope: choice === UPLOAD ? "upload" : "local", textVersion };
  const now = await ask(client, agreed);
  void vscode.window.showInformationMessage(
    now.granted ? `foretype remembers in ${where.name}.` : `Nothing is remembered in ${where.name}: ${now.reason}`,
  );
}

/** Take consent back for a folder, and delete what was remembered there if that is wanted. */
export async function revokeConsent(client: LanguageClient): Promise<void> {
  const where = await folder(client);
  if (!where) return;
  const title = `Remember nothing more in ${where.name}?`;
  const choice = await vscode.window.showInformationMessage(title, { modal: true }, REVOKE, PURGE);
  if (!choice) return;
  const { purged } = await ask(client, { action: "revoke", workspace: where.uri, purge: choice === PURGE });
  const deleted = purged === null ? "" : ` ${purged} deleted.`;
  void vscode.window.showInformationMessage(`Nothing more is remembered in ${where.name}.${deleted}`);
}
