/** Passes on what other extensions found wrong, because a language server has no way to ask. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { chosenDocuments } from "./settings";

const OUR_SOURCE = "foretype";

/** Tells the daemon the diagnostics of each open document, now and whenever they change. */
export function forwardDiagnostics(client: LanguageClient): vscode.Disposable {
  function tell(document: vscode.TextDocument): void {
    if (!client.isRunning() || !vscode.languages.match(chosenDocuments(), document)) return;
    const found = vscode.languages.getDiagnostics(document.uri).filter(({ source }) => source !== OUR_SOURCE);
    const diagnostics = found.map((diagnostic) => {
      const { range, severity, message, source, code } = client.code2ProtocolConverter.asDiagnostic(diagnostic);
      return { range, severity, message, source, code };
    });
    const uri = client.code2ProtocolConverter.asUri(document.uri);
    void client.sendNotification("foretype/didChangeDiagnostics", { uri, version: document.version, diagnostics });
  }

  const known = vscode.workspace.textDocuments.filter(({ uri }) => vscode.languages.getDiagnostics(uri).length > 0);
  known.forEach(tell);
  return vscode.languages.onDidChangeDiagnostics(({ uris }) => {
    const changed = new Set(uris.map(String));
    vscode.workspace.textDocuments.filter(({ uri }) => changed.has(String(uri))).forEach(tell);
  });
}
