/** Infilling on demand: a selection, all cursors and selections jointly, marked holes. One edit, so one undo, each. */
import * as vscode from "vscode";
import { type LanguageClient, ProgressType, type Range as LspRange } from "vscode-languageclient/node";

import { type Client, messageOf } from "../client";
import { isServed } from "../documents";
import type { FileParams, InfillAnswer, InfillParams, PartialInfill } from "../protocol";
import { ownSetting } from "../settings";
import type { HoleFill } from "./holes";
import type { Preview } from "./preview";

/** What to fill: places of a document, or what is marked in it. */
export type Places = { readonly ranges: readonly LspRange[] } | { readonly holes: true };

export class InfillCommands {
  private streams = 0;

  constructor(
    private readonly client: Client,
    private readonly preview: Preview,
  ) {}

  /** Infill what is selected, or at the cursor. */
  infill = async (): Promise<void> => {
    const editor = served();
    if (editor) {
      await this.fill(editor.document, { ranges: [plainRange(editor.selection)] });
    }
  };

  /** Infill all cursors and selections in one decode. */
  infillAll = async (): Promise<void> => {
    const editor = served();
    if (editor) {
      await this.fill(editor.document, { ranges: editor.selections.map(plainRange) });
    }
  };

  infillHoles = async (): Promise<void> => {
    const editor = served();
    if (editor) {
      await this.fill(editor.document, { holes: true });
    }
  };

  /** Do what a code action of the server asks for. Its argument is the server's own. */
  infillFor = async (parameters: readonly unknown[]): Promise<void> => {
    const argument = parameters[0] as FileParams & { readonly ranges?: readonly LspRange[] };
    const uri = vscode.Uri.parse(argument.textDocument.uri);
    const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri.toString());
    if (document) {
      await this.fill(document, argument.ranges ? { ranges: argument.ranges } : { holes: true });
    }
  };

  /** Ask, then preview or edit. What goes wrong is told to the user. */
  private async fill(document: vscode.TextDocument, places: Places): Promise<void> {
    try {
      const fills = await this.ask(document, places);
      if (!fills) {
        return;
      }
      const preview = ownSetting<"always" | "several" | "never">("editor.preview", document);
      if (preview === "always" || (preview === "several" && fills.length > 1)) {
        await this.preview.open(document, fills);
      } else {
        await edit(document, fills);
      }
    } catch (error) {
      void vscode.window.showWarningMessage(`Setfill: ${messageOf(error)}`);
    }
  }

  /** Return what fills the places, in order; undefined where the user cancelled. */
  private async ask(document: vscode.TextDocument, places: Places): Promise<HoleFill[] | undefined> {
    const version = document.version;
    const title = "Setfill: infilling";
    const location = vscode.ProgressLocation.Notification;
    const answer = await vscode.window.withProgress({ location, title, cancellable: true }, async (progress, token) => {
      await this.client.start();
      const { running } = this.client;
      const textDocument = { uri: running.code2ProtocolConverter.asUri(document.uri), version };
      const stream = this.streamed(running, progress);
      const params: InfillParams = { textDocument, ...places, partialResultToken: stream.token };
      try {
        return await this.client.request<InfillAnswer>("setfill/infill", params, token);
      } catch (error) {
        if (token.isCancellationRequested) {
          return undefined;
        }
        throw error;
      } finally {
        stream.dispose();
      }
    });
    if (!answer) {
      return undefined;
    }
    if (document.version !== version) {
      throw new Error("the file was edited meanwhile: nothing was filled");
    }
    if (answer.infills.every(({ text }) => text === "")) {
      throw new Error("the model suggests nothing here");
    }
    const converter = this.client.running.protocol2CodeConverter;
    return answer.infills.map(({ range, text }) => {
      const { start, end } = converter.asRange(range);
      return { start: document.offsetAt(start), end: document.offsetAt(end), text };
    });
  }

  /** Show how much of the infills there is so far, as they grow. */
  private streamed(running: LanguageClient, progress: vscode.Progress<{ message: string }>) {
    const lengths = new Map<number, number>();
    this.streams += 1;
    const token = `setfill-infill-${this.streams}`;
    const listening = running.onProgress(new ProgressType<PartialInfill>(), token, ({ index, text }) => {
      lengths.set(index, text.length);
      const characters = [...lengths.values()].reduce((sum, length) => sum + length, 0);
      const places = lengths.size === 1 ? "" : ` in ${lengths.size} places`;
      progress.report({ message: `${characters} characters${places}` });
    });
    return {
      token,
      dispose: () => {
        listening.dispose();
      },
    };
  }
}

async function edit(document: vscode.TextDocument, fills: readonly HoleFill[]): Promise<void> {
  const change = new vscode.WorkspaceEdit();
  for (const { start, end, text } of fills) {
    change.replace(document.uri, new vscode.Range(document.positionAt(start), document.positionAt(end)), text);
  }
  if (!(await vscode.workspace.applyEdit(change))) {
    throw new Error("the file was edited meanwhile: nothing was filled");
  }
}

function served(): vscode.TextEditor | undefined {
  const editor = vscode.window.activeTextEditor;
  if (!editor || !isServed(editor.document)) {
    void vscode.window.showInformationMessage("Setfill fills files and notebook cells: put the cursor into one first.");
    return undefined;
  }
  return editor;
}

function plainRange({ start, end }: vscode.Range): LspRange {
  return {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
}
