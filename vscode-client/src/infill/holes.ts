/** Texts with some of their holes filled. Knows strings and offsets; knows no editor. */

/** A text that would replace `[start, end)` of a document. */
export interface HoleFill {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** `[start, end)` of the filled text, where a fill stands, or what it would replace. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Return `text` with the taken ones of `fills` in it, and where each of all stands there. `fills` are in order. */
export function filled(
  text: string,
  fills: readonly HoleFill[],
  isTaken: (index: number) => boolean,
): { text: string; spans: Span[] } {
  let result = "";
  let done = 0;
  const spans = fills.map((fill, index) => {
    result += text.slice(done, fill.start);
    const start = result.length;
    result += isTaken(index) ? fill.text : text.slice(fill.start, fill.end);
    done = fill.end;
    return { start, end: result.length };
  });
  return { text: result + text.slice(done), spans };
}

/** Return the index of the span that an offset stands in or is nearest to, undefined where there are none. */
export function nearest(spans: readonly Span[], offset: number): number | undefined {
  const away = ({ start, end }: Span): number => Math.max(start - offset, offset - end, 0);
  let best: number | undefined;
  for (const [index, span] of spans.entries()) {
    const known = best === undefined ? undefined : spans[best];
    if (known === undefined || away(span) < away(known)) {
      best = index;
    }
  }
  return best;
}
