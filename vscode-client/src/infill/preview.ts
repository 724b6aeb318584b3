/**
 * The preview of infills as a diff: the document beside itself with the infills in it. Each can be left out; what is
 * taken is one edit, and one undo takes it back.
 */
import * as vscode from "vscode";

import { filled, type HoleFill, nearest, type Span } from "./holes";

export const PREVIEW_SCHEME = "setfill-preview";

const IN_PREVIEW = "setfill.inPreview"; // the context key of the buttons

interface Proposal {
  readonly document: vscode.TextDocument;
  readonly version: number;
  readonly fills: readonly HoleFill[];
  readonly left: Set<number>; // indices of those that are not taken
}

export class Preview implements vscode.Disposable, vscode.TextDocumentContentProvider {
  readonly onDidChange: vscode.Event<vscode.Uri>;

  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly proposals = new Map<string, Proposal>();
  private readonly subscriptions: vscode.Disposable[];
  private made = 0;

  constructor() {
    this.onDidChange = this.changed.event;
    this.subscriptions = [
      vscode.workspace.registerTextDocumentContentProvider(PREVIEW_SCHEME, this),
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        this.forget(closed);
      }),
    ];
  }

  /** Show what a document would be with `fills`, which are in order and were made for its present version. */
  async open(document: vscode.TextDocument, fills: readonly HoleFill[]): Promise<void> {
    const path = document.uri.path.startsWith("/") ? document.uri.path : `/${document.uri.path}`;
    this.made += 1;
    const uri = vscode.Uri.from({ scheme: PREVIEW_SCHEME, path, query: String(this.made) });
    this.proposals.set(uri.toString(), { document, version: document.version, fills, left: new Set() });
    const name = path.slice(path.lastIndexOf("/") + 1);
    const infills = fills.length === 1 ? "1 infill" : `${fills.length} infills`;
    const shown = await vscode.workspace.openTextDocument(uri);
    if (shown.languageId !== document.languageId) {
      await vscode.languages.setTextDocumentLanguage(shown, document.languageId);
    }
    await vscode.commands.executeCommand("setContext", IN_PREVIEW, true);
    await vscode.commands.executeCommand("vscode.diff", document.uri, uri, `Setfill: ${infills} in ${name}`, {
      preview: true,
    });
    this.goTo(uri, 0);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    const proposal = this.proposals.get(uri.toString());
    return proposal ? this.result(proposal).text : "";
  }

  /** Take what is not left out into the document, as one edit; true when that was done. */
  async accept(): Promise<boolean> {
    const shown = this.shown();
    if (!shown) {
      return false;
    }
    const { uri, proposal } = shown;
    if (proposal.document.isClosed || proposal.document.version !== proposal.version) {
      void vscode.window.showWarningMessage("The file was edited meanwhile: infill once more.");
      return false;
    }
    const edit = new vscode.WorkspaceEdit();
    for (const [index, { start, end, text }] of proposal.fills.entries()) {
      if (!proposal.left.has(index)) {
        const { document } = proposal;
        edit.replace(document.uri, new vscode.Range(document.positionAt(start), document.positionAt(end)), text);
      }
    }
    const isDone = await vscode.workspace.applyEdit(edit);
    await this.close(uri);
    await vscode.window.showTextDocument(proposal.document);
    return isDone;
  }

  /** Leave out the infill at the cursor, or take it after all. */
  toggle(): void {
    const shown = this.shown();
    const index = shown && this.indexAtCursor(shown.uri, shown.proposal);
    if (!shown || index === undefined) {
      return;
    }
    const { uri, proposal } = shown;
    if (!proposal.left.delete(index)) {
      proposal.left.add(index);
    }
    this.changed.fire(uri);
    const taken = proposal.fills.length - proposal.left.size;
    vscode.window.setStatusBarMessage(`Setfill: ${taken} of ${proposal.fills.length} infills are taken`, 5000);
  }

  async discard(): Promise<void> {
    const shown = this.shown();
    if (shown) {
      await this.close(shown.uri);
    }
  }

  dispose(): void {
    this.changed.dispose();
    for (const each of this.subscriptions) {
      each.dispose();
    }
  }

  private result(proposal: Proposal): { text: string; spans: Span[] } {
    return filled(proposal.document.getText(), proposal.fills, (index) => !proposal.left.has(index));
  }

  private shown(): { uri: vscode.Uri; proposal: Proposal } | undefined {
    const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    const uri = input instanceof vscode.TabInputTextDiff ? input.modified : undefined;
    const proposal = uri && this.proposals.get(uri.toString());
    return proposal && { uri, proposal };
  }

  /** The infill that the cursor is nearest to, on either side of the diff. */
  private indexAtCursor(uri: vscode.Uri, proposal: Proposal): number | undefined {
    const editor = vscode.window.activeTextEditor;
    if (!editor) {
      return undefined;
    }
    const offset = editor.document.offsetAt(editor.selection.active);
    const isInfilled = editor.document.uri.toString() === uri.toString();
    return nearest(isInfilled ? this.result(proposal).spans : proposal.fills, offset);
  }

  private goTo(uri: vscode.Uri, index: number): void {
    const proposal = this.proposals.get(uri.toString());
    const span = proposal && this.result(proposal).spans[index];
    const editor = vscode.window.visibleTextEditors.find(({ document }) => document.uri.toString() === uri.toString());
    if (span && editor) {
      const start = editor.document.positionAt(span.start);
      editor.selection = new vscode.Selection(start, start);
      editor.revealRange(new vscode.Range(start, start), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    }
  }

  private async close(uri: vscode.Uri): Promise<void> {
    await vscode.window.tabGroups.close(tabs().filter((tab) => isOf(tab, uri)));
    this.proposals.delete(uri.toString());
    this.tellContext();
  }

  /** Let go of the proposals whose tabs were closed, unless they were only moved. */
  private forget(closed: readonly vscode.Tab[]): void {
    for (const { input } of closed) {
      if (input instanceof vscode.TabInputTextDiff && !tabs().some((tab) => isOf(tab, input.modified))) {
        this.proposals.delete(input.modified.toString());
      }
    }
    this.tellContext();
  }

  private tellContext(): void {
    void vscode.commands.executeCommand("setContext", IN_PREVIEW, this.shown() !== undefined);
  }
}

function tabs(): vscode.Tab[] {
  return vscode.window.tabGroups.all.flatMap((group) => group.tabs);
}

function isOf({ input }: vscode.Tab, uri: vscode.Uri): boolean {
  return input instanceof vscode.TabInputTextDiff && input.modified.toString() === uri.toString();
}
