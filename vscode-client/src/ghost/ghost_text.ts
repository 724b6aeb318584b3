/**
 * Ghost text: the server's suggestions on their way to VS Code, and what becomes of them. Decides what the server
 * cannot know (a snooze, what was refused twice); whether a place is worth a suggestion, the server decides.
 */
import * as vscode from "vscode";
import { LSPErrorCodes, type Middleware, ResponseError } from "vscode-languageclient/node";

import { isServed } from "../documents";
import type { Log } from "../log";
import type { Silence } from "../protocol";
import { type Fate, type Offer, type OfferedText, Offers } from "./offers";
import { placeOf, Rejections } from "./rejections";

type Provide = NonNullable<Middleware["provideInlineCompletionItems"]>;
type Notify = (method: string, params: object) => void;

const SHOWN_MS = 300; // that an offer stands before the server is told that it was seen
const CURSOR_MS = 150; // that a cursor rests before the server gets ready there

/** What ghost text needs of the rest of the extension. */
export interface Surroundings {
  readonly log: Log;
  readonly notify: Notify;
  readonly isSnoozed: () => boolean;
  /** Told when a request is under way, of how it ended (a problem in words), and of an answer. */
  readonly working: (begins: boolean) => void;
  readonly answered: (problem: string | undefined, isInvoked: boolean) => void;
}

export class GhostText implements vscode.Disposable {
  private readonly offers = new Offers();
  private readonly rejections = new Rejections();
  private readonly subscriptions: vscode.Disposable[];
  private silenced: { readonly uri: string; readonly silence: Silence } | undefined;
  private seen: NodeJS.Timeout | undefined;
  private resting: NodeJS.Timeout | undefined;

  constructor(private readonly around: Surroundings) {
    this.subscriptions = [
      vscode.workspace.onDidChangeTextDocument((event) => {
        this.changed(event);
      }),
      vscode.window.onDidChangeTextEditorSelection((event) => {
        this.moved(event);
      }),
    ];
  }

  /** The middleware of inline completion. */
  readonly provide: Provide = async (document, position, context, token, next) => {
    const isInvoked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
    const uri = document.uri.toString();
    if (!isInvoked && this.around.isSnoozed()) {
      this.silenced = { uri, silence: { reason: "snoozed", message: "Suggestions are snoozed." } };
      return undefined;
    }
    this.silenced = undefined;
    this.around.working(true);
    try {
      const answer = await next(document, position, context, token);
      this.around.answered(undefined, isInvoked);
      if (!answer || token.isCancellationRequested) {
        return undefined;
      }
      const items = Array.isArray(answer) ? answer : answer.items;
      return new vscode.InlineCompletionList(this.wanted(document, position, items, isInvoked));
    } catch (error) {
      if (!token.isCancellationRequested && !isCancelled(error)) {
        this.around.answered(error instanceof Error ? error.message : String(error), isInvoked);
      }
      return undefined;
    } finally {
      this.around.working(false);
    }
  };

  /** Why nothing shows in a document, where that was decided here and not by the server. */
  silenceIn(uri: string): Silence | undefined {
    return this.silenced?.uri === uri ? this.silenced.silence : undefined;
  }

  /** Note that the user sends away what is shown. */
  dismiss(): void {
    this.note(this.offers.dismissed());
  }

  dispose(): void {
    clearTimeout(this.seen);
    clearTimeout(this.resting);
    for (const each of this.subscriptions) {
      each.dispose();
    }
  }

  private wanted(
    document: vscode.TextDocument,
    position: vscode.Position,
    items: readonly vscode.InlineCompletionItem[],
    isInvoked: boolean,
  ): vscode.InlineCompletionItem[] {
    const uri = document.uri.toString();
    const offset = document.offsetAt(position);
    const place = placeOf(uri, document.getText(), offset);
    const kept = items.filter(
      (item) => isInvoked || !this.rejections.isUnwanted(place, offeredText(item, position)?.text ?? ""),
    );
    if (kept.length === 0 && items.length > 0) {
      const message = "What the model suggests here was refused twice. Asked by hand, it is shown again.";
      this.silenced = { uri, silence: { reason: "refusedTwice", message } };
    }
    const texts = kept.map((item) => offeredText(item, position)).filter((text) => text !== undefined);
    if (texts.length > 0) {
      const offer = { uri, offset, texts, place, atMs: Date.now() };
      this.offers.offered(offer);
      this.tellWhenSeen(offer);
    }
    return kept;
  }

  private tellWhenSeen(offer: Offer): void {
    clearTimeout(this.seen);
    this.seen = setTimeout(() => {
      const id = offer.texts[0]?.id ?? null;
      if (id !== null && this.offers.stillShows(offer)) {
        this.around.notify("setfill/didShowSuggestion", { id });
      }
    }, SHOWN_MS);
  }

  private changed({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (contentChanges.length > 0) {
      const changes = contentChanges.map(({ rangeOffset, rangeLength, text }) => ({
        offset: rangeOffset,
        removed: rangeLength,
        text,
      }));
      this.note(this.offers.changed(document.uri.toString(), changes, Date.now()));
    }
  }

  private note(fate: Fate | undefined): void {
    if (fate?.kind === "rejected") {
      for (const { place, text } of fate.at) {
        this.rejections.reject(place, text);
      }
    } else if (fate?.kind === "partlyAccepted" && fate.id !== null) {
      this.around.notify("setfill/didAcceptSuggestion", { id: fate.id, acceptedLength: fate.characters });
    }
  }

  private moved({ textEditor, selections, kind }: vscode.TextEditorSelectionChangeEvent): void {
    const { document } = textEditor;
    const [selection] = selections;
    if (!selection || !isServed(document)) {
      return;
    }
    const uri = document.uri.toString();
    if (kind !== undefined) {
      this.offers.moved(uri, document.offsetAt(selection.active)); // by mouse, key or command, not by typing
    }
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const { line, character } = selection.active;
      this.around.notify("setfill/didMoveCursor", { textDocument: { uri }, position: { line, character } });
    }, CURSOR_MS);
  }
}

/** What an item adds at the cursor; undefined for one that replaces more than what stands before the cursor already. */
function offeredText(item: vscode.InlineCompletionItem, position: vscode.Position): OfferedText | undefined {
  const text = typeof item.insertText === "string" ? item.insertText : item.insertText.value;
  if (item.range && !(item.range.isEmpty && item.range.start.isEqual(position))) {
    return undefined;
  }
  const id: unknown = item.command?.arguments?.[0];
  return { text, id: typeof id === "number" ? id : null };
}

function isCancelled(error: unknown): boolean {
  return (
    error instanceof vscode.CancellationError ||
    (error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled)
  );
}
