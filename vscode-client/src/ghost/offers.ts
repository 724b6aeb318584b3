/**
 * What became of a suggestion, told from the edits that follow it: VS Code tells extensions nothing of it by a stable
 * interface. Knows offsets and texts; knows no editor.
 */

/** A suggestion that shows at `offset` of a document. The first text is the one on the screen, unless the user cycles. */
export interface Offer {
  readonly uri: string;
  readonly offset: number;
  readonly texts: readonly OfferedText[];
  readonly place: string; // see rejections.ts
  readonly atMs: number;
}

export interface OfferedText {
  readonly text: string;
  /** The server's number of the suggestion, null if it has none. */
  readonly id: number | null;
}

/** One replacement in a document: `removed` characters at `offset` gave way to `text`. */
export interface Change {
  readonly offset: number;
  readonly removed: number;
  readonly text: string;
}

export type Fate =
  | { readonly kind: "accepted" | "typedThrough" | "left" }
  | { readonly kind: "partlyAccepted"; readonly id: number | null; readonly characters: number }
  | { readonly kind: "rejected"; readonly at: readonly { readonly place: string; readonly text: string }[] };

/** Shorter on the screen than this, the user has not read it, and typing something else says nothing about it. */
export const READ_MS = 500;

export class Offers {
  private current: (Offer & { readonly wasAt: readonly { place: string; text: string }[] }) | undefined;

  /** Note what is shown now. It may be the rest of what was shown before. */
  offered(offer: Offer): void {
    const [first] = offer.texts;
    const before = this.current;
    const isRest =
      before !== undefined &&
      first !== undefined &&
      before.uri === offer.uri &&
      before.offset === offer.offset &&
      before.texts.some(({ text }) => text === first.text);
    const wasAt = isRest ? before.wasAt : [];
    const isSamePlace = wasAt.some(({ place }) => place === offer.place);
    this.current = {
      ...offer,
      atMs: isRest ? before.atMs : offer.atMs,
      wasAt: first && !isSamePlace ? [...wasAt, { place: offer.place, text: first.text }] : wasAt,
    };
  }

  /** Whether this very offer still shows. */
  stillShows(offer: Offer): boolean {
    const { current } = this;
    return current?.uri === offer.uri && current.offset === offer.offset && current.place === offer.place;
  }

  /** Take in an edit; return what it says of what was shown. */
  changed(uri: string, changes: readonly Change[], nowMs: number): Fate | undefined {
    const current = this.current?.uri === uri ? this.current : undefined;
    if (!current) {
      return undefined;
    }
    const change = changes.length === 1 ? changes[0] : undefined;
    if (change?.offset !== current.offset || change.removed > 0) {
      this.current = undefined;
      return { kind: "left" };
    }
    const rests = current.texts
      .filter(({ text }) => text.startsWith(change.text))
      .map(({ text, id }) => ({ text: text.slice(change.text.length), id }));
    const [first] = rests;
    if (!first) {
      return this.refused(nowMs);
    }
    if (first.text === "") {
      this.current = undefined;
      return { kind: "accepted" };
    }
    this.current = { ...current, offset: current.offset + change.text.length, texts: rests };
    const characters = Array.from(change.text).length; // code points, as the server counts
    return characters > 1 ? { kind: "partlyAccepted", id: first.id, characters } : { kind: "typedThrough" };
  }

  /** Note that the user sent away what is shown. */
  dismissed(): Fate | undefined {
    return this.current && this.refused(Infinity);
  }

  /** Note that the cursor went elsewhere. */
  moved(uri: string, offset: number): void {
    if (this.current && (this.current.uri !== uri || this.current.offset !== offset)) {
      this.current = undefined;
    }
  }

  private refused(nowMs: number): Fate {
    const { current } = this;
    this.current = undefined;
    // Of several, the one on the screen is not known: the user may have cycled.
    const isSure = current?.texts.length === 1 && nowMs - current.atMs >= READ_MS;
    return isSure ? { kind: "rejected", at: current.wasAt } : { kind: "left" };
  }
}
