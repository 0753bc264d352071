/** Passes on where the names near the cursor are defined, as far as other extensions know, while nothing is typed. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { chosenDocuments } from "./settings";

const IDLE_MILLISECONDS = 600;
const LINES_AROUND_CURSOR = 3;
const MAX_NAMES = 16;
const MAX_PER_NAME = 2;
const MAX_LINES = 40;
const NAME = /[\p{L}_$][\p{L}\p{N}_$]*/gu;

interface Definition {
  name: string;
  uri: string;
  range: { start: { line: number; character: number }; end: { line: number; character: number } };
  text: string;
}

/** Names on the lines around the cursor, each where it stands first, those nearest the cursor before the others. */
function namesNear(document: vscode.TextDocument, cursor: vscode.Position): Map<string, vscode.Position> {
  const names = new Map<string, vscode.Position>();
  const first = Math.max(0, cursor.line - LINES_AROUND_CURSOR);
  const last = Math.min(document.lineCount - 1, cursor.line + LINES_AROUND_CURSOR);
  const lines = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  lines.sort((one, other) => Math.abs(one - cursor.line) - Math.abs(other - cursor.line));
  for (const line of lines) {
    for (const match of document.lineAt(line).text.matchAll(NAME)) {
      if (names.size < MAX_NAMES && !names.has(match[0])) names.set(match[0], new vscode.Position(line, match.index));
    }
  }
  return names;
}

/** The whole lines of a place; not opened as a document, because that would tell every extension of it. */
async function linesAt(uri: vscode.Uri, range: vscode.Range): Promise<string> {
  const open = vscode.workspace.textDocuments.find((document) => String(document.uri) === String(uri));
  const text = open?.getText() ?? new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  const end = Math.min(range.end.line, range.start.line + MAX_LINES - 1);
  return text.split(/\r\n|\r|\n/).slice(range.start.line, end + 1).join("\n");
}

async function definitionsOf(
  client: LanguageClient,
  document: vscode.TextDocument,
  name: string,
  position: vscode.Position,
): Promise<Definition[]> {
  const found = await vscode.commands.executeCommand<(vscode.Location | vscode.LocationLink)[]>(
    "vscode.executeDefinitionProvider",
    document.uri,
    position,
  );
  const places = found.slice(0, MAX_PER_NAME).map((place) =>
    "targetUri" in place ? { uri: place.targetUri, range: place.targetRange } : { uri: place.uri, range: place.range },
  );
  return Promise.all(
    places.map(async ({ uri, range }) => {
      const text = await linesAt(uri, range);
      const [start, end] = [range.start.line, range.start.line + text.split("\n").length];
      return {
        name,
        uri: client.code2ProtocolConverter.asUri(uri),
        range: { start: { line: start, character: 0 }, end: { line: end, character: 0 } },
        text,
      };
    }),
  );
}

/** Tells the daemon the definitions of names near the cursor, once the editor has been left alone for a moment. */
export function forwardDefinitions(client: LanguageClient, log: vscode.LogOutputChannel): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  let turn = 0;
  let asked = "";

  async function tell(editor: vscode.TextEditor, mine: number): Promise<void> {
    const { document } = editor;
    if (!client.isRunning() || !vscode.languages.match(chosenDocuments(), document)) return;
    const [uri, version] = [client.code2ProtocolConverter.asUri(document.uri), document.version];
    const names = namesNear(document, editor.selection.active);
    const question = `${uri} ${[...names.keys()].sort().join(" ")}`;
    if (question === asked) return;
    const definitions: Definition[] = [];
    for (const [name, position] of names) {
      definitions.push(...(await definitionsOf(client, document, name, position)));
      if (mine !== turn) return; // somebody works again
    }
    if (definitions.length === 0) return; // who knows them may still be starting
    asked = question;
    await client.sendNotification("foretype/didChangeDefinitions", { uri, version, definitions });
  }

  function later(): void {
    clearTimeout(timer);
    const mine = ++turn;
    timer = setTimeout(() => {
      const editor = vscode.window.activeTextEditor;
      if (editor) tell(editor, mine).catch((error: unknown) => log.warn(`definitions: ${String(error)}`));
    }, IDLE_MILLISECONDS);
  }

  later();
  return vscode.Disposable.from(
    vscode.window.onDidChangeTextEditorSelection(later),
    vscode.window.onDidChangeActiveTextEditor(later),
    vscode.workspace.onDidChangeTextDocument(({ contentChanges }) => {
      if (contentChanges.length > 0) later();
    }),
    { dispose: () => clearTimeout(timer) },
  );
}
