"use strict";
/* What a decode looked like after each forward, and how to say it. Knows the page's data and no document. */

const EOI = "<eoi>";

/** What is known after `count` forwards, and what the next one will be fed. */
function stateAfter(data, count) {
  const steps = data.trace ? data.trace.steps : [];
  const gaps = data.gaps.map(() => ({
    known: new Map(), // rank -> reveal, with the number of its forward
    next: new Map(), // rank -> "draft" or "mask", what the next forward holds there
    drafts: new Map(), // rank -> the text of a draft that waits for the next forward
    dropped: [], // drafts that this forward found wrong, by rank
    fresh: new Set(), // ranks revealed by this forward
    end: null, // rank of <eoi>
    last: 0, // highest rank that anything stands at
    rows: new Set(), // ranks whose rows are in the cache
  }));
  for (let number = 0; number <= Math.min(count, steps.length); number++) {
    for (const row of number ? steps[number - 1].rows : []) {
      if (isKept(row)) gaps[row.gap].rows.add(row.rank);
      if (number === count && row.outcome === "dropped" && !wasRight(row, steps[number - 1])) gaps[row.gap].dropped.push(row);
    }
    for (const reveal of revealsOf(steps, number)) {
      const gap = gaps[reveal.gap];
      gap.known.set(reveal.rank, { ...reveal, forward: number });
      if (number === count) gap.fresh.add(reveal.rank);
      if (reveal.text === EOI) gap.end = reveal.rank;
    }
  }
  for (const row of count < steps.length ? steps[count].rows : []) {
    if (row.kind === "draft") gaps[row.gap].drafts.set(row.rank, row.text);
    if (row.kind === "mask" && !gaps[row.gap].next.has(row.rank)) gaps[row.gap].next.set(row.rank, "mask");
    if (row.kind === "draft") gaps[row.gap].next.set(row.rank, "draft");
  }
  for (const gap of gaps) {
    gap.dropped.sort((a, b) => a.rank - b.rank);
    gap.last = Math.max(0, ...gap.known.keys(), ...gap.next.keys());
    gap.complete = gap.end !== null && allKnownBefore(gap, gap.end);
    if (gap.complete) gap.rows = new Set([...gap.rows].filter((rank) => rank < gap.end));
  }
  for (const search of searchesAfter(data, count).values()) if (!isAbandoned(data, search)) gaps[search.gap] = stateOfSearch(search, count);
  return { count, total: steps.length, gaps };
}

/** A gap that is searched holds the beginning that leads. */
function stateOfSearch(search, count) {
  const tokens = tokensOf(search, leader(search));
  const gap = { known: new Map(), next: new Map(), drafts: new Map(), dropped: [], fresh: new Set(), end: null, last: tokens.length, rows: new Set(), complete: false };
  tokens.forEach((token, at) => {
    gap.known.set(at + 1, { gap: search.gap, rank: at + 1, text: token.text, probability: token.byGap, byText: token.byText, head: "clean", alternatives: [], forward: token.forward });
    if (token.forward === count) gap.fresh.add(at + 1);
  });
  return gap;
}

function isKept(row) {
  return row.outcome === "committed" || row.outcome === "verified";
}

/**
 * Whether a draft was right. One can be so and be dropped: when several gaps keep step, a wrong draft in another one
 * lets its row go, and the token is fed again.
 */
function wasRight(row, step) {
  return row.outcome === "verified" || (row.kind === "draft"
    && step.reveals.some((reveal) => reveal.gap === row.gap && reveal.rank === row.rank && reveal.text === row.text));
}

/**
 * The reveals of a forward. An end that was drawn with the length, or told, is none by itself: it shows as a known
 * row in the forward after. Number 0 is before the first forward.
 */
function revealsOf(steps, number) {
  const reveals = number ? steps[number - 1].reveals : [];
  const drawn = (number < steps.length ? steps[number].rows : []).filter((row) => row.kind === "clean" && row.text === EOI
    && !steps.some((step) => step.reveals.some((reveal) => reveal.gap === row.gap && reveal.text === EOI)));
  return [...reveals, ...drawn.map((row) => ({ gap: row.gap, rank: row.rank, text: EOI, probability: null, head: "length", alternatives: [] }))];
}

function allKnownBefore(gap, end) {
  for (let rank = 1; rank < end; rank++) if (!gap.known.has(rank)) return false;
  return true;
}

/**
 * The places of a gap in reading order: {kind, rank, text?, reveal?}. Kinds: fresh, known, draft, mask (asked about
 * by the next forward), unknown (not asked about yet), dropped (drafts just found wrong), cut (behind the end), end.
 */
function slots(state, index, data) {
  const gap = state.gaps[index];
  const found = [];
  const trimmed = cutAt(state, index, data);
  let length = 0;
  let frontier = 1;
  while (gap.known.has(frontier)) frontier++;
  for (let rank = 1; rank <= Math.max(gap.last, ...gap.dropped.map((row) => row.rank)); rank++) {
    if (gap.dropped.length && gap.dropped[0].rank === rank) {
      found.push({ kind: "dropped", rank, text: gap.dropped.map((row) => row.text).join("") });
    }
    const reveal = gap.known.get(rank);
    if (reveal) {
      const behind = gap.end !== null && rank > gap.end;
      const taken = behind ? 0 : Math.max(0, trimmed - length);
      const fresh = gap.fresh.has(rank);
      if (reveal.text === EOI) found.push({ kind: "end", rank, text: EOI, reveal, fresh });
      else {
        const [text, rest] = [reveal.text.slice(0, taken), reveal.text.slice(taken)];
        if (text || (!rest && taken)) found.push({ kind: fresh ? "fresh" : "known", rank, text, reveal, fresh });
        if (rest || (!text && !taken)) found.push({ kind: "cut", rank, text: rest, reveal, fresh });
      }
      length += reveal.text.length;
    } else if (rank <= gap.last && (gap.end === null || rank < gap.end)) {
      const next = gap.next.get(rank);
      if (next === "draft") found.push({ kind: "draft", rank, text: gap.drafts.get(rank) });
      else found.push({ kind: next ? "mask" : "unknown", rank });
    }
  }
  return found;
}

/** How many characters of a gap's tokens the answer took, once it is there; all of them until then. */
function cutAt(state, index, data) {
  if (state.count < state.total) return Infinity;
  const tokens = [...state.gaps[index].known.values()].filter((reveal) => reveal.text !== EOI);
  const spelled = tokens.sort((a, b) => a.rank - b.rank).map((reveal) => reveal.text).join("");
  const taken = data.heldBack[index] + data.gaps[index].text;
  return spelled.startsWith(taken) && spelled.length > taken.length ? taken.length : Infinity;
}

/** Sums over all forwards, for the head of the page. */
function totals(data) {
  const sums = { forwards: 0, tokens: 0, drafts: 0, verified: 0, judged: 0, mostRows: 1 };
  for (const step of data.trace ? data.trace.steps : []) {
    sums.forwards++;
    sums.mostRows = Math.max(sums.mostRows, rowsOf(step));
    if (step.search && !step.search.readOn) sums.judged += step.search.judged.length;
    sums.tokens += step.reveals.filter((reveal) => reveal.text !== EOI).length;
    for (const row of step.rows) {
      if (row.kind === "draft") sums.drafts++;
      if (wasRight(row, step)) sums.verified++;
    }
  }
  return sums;
}

/** How many rows a forward was fed. */
function rowsOf(step) {
  return step.search ? step.search.gapRows + step.search.textRows + step.search.behindRows : step.rows.length;
}

/** How many rows of each fate, or of each kind in a search, a forward was fed. */
function countRows(step) {
  const counts = { infill: 0, clean: 0, verified: 0, dropped: 0, mask: 0, bygap: 0, bytext: 0, behind: 0 };
  if (step.search) return { ...counts, bygap: step.search.gapRows, bytext: step.search.textRows, behind: step.search.behindRows };
  for (const row of step.rows) {
    if (row.outcome === "verified") counts.verified++;
    else if (row.outcome === "dropped") counts.dropped++;
    else counts[row.kind === "draft" ? "clean" : row.kind]++;
  }
  return counts;
}

function inWords(count) {
  return ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"][count] || grouped(count);
}

function plural(count, one, many) {
  return `${inWords(count)} ${count === 1 ? one : many || one + "s"}`;
}

function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function percent(probability) {
  if (typeof probability !== "number" || !Number.isFinite(probability)) return "–";
  if (probability >= 0.9995 && probability < 1) return "> 99.9 %";
  if (probability > 0 && probability < 0.001) return "< 0.1 %";
  return `${(100 * probability).toFixed(probability >= 0.0995 && probability < 0.995 ? 0 : 1).replace(/\.0$/, "")} %`;
}

function milliseconds(ms) {
  if (typeof ms !== "number") return "–";
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${ms >= 10 ? grouped(Math.round(ms)) : ms.toFixed(1)} ms`;
}

const SOURCES = {
  mask: "guessed by the masks of the forward before",
  ngram: "found elsewhere in the file",
  candidate: "found in another candidate",
  typed: "from the text that was already suggested",
  held_back: "known from the piece before the cursor",
};

/**
 * What happened at a forward, in words: {title, say: [paragraph]}, a paragraph being strings and {code: text}.
 * Number 0 is the state before the first forward.
 */
function narrate(data, number) {
  const several = data.gaps.length > 1;
  if (!data.trace) return { title: "No forwards were recorded", say: [["This infill came without a record of its forwards."]] };
  if (number === 0) return { title: "Before the first forward", say: beforeFirst(data) };
  const step = data.trace.steps[number - 1];
  if (step.search) return narrateSearch(data, number);
  const before = stateAfter(data, number - 1);
  const say = [];
  if (step.rows.some((row) => row.kind === "infill")) {
    say.push([several ? "An ⟨infill⟩ row opens each gap, in the same forward." : "An ⟨infill⟩ row opens the gap."]);
  } else if (!step.rows.length) {
    say.push(["The rest of the text before the gap was encoded; its last row already says what comes next."]);
  }
  say.push(...aboutDrafts(data, step, number));
  const reveals = revealsOf(data.trace.steps, number);
  say.push(...aboutReveals(data, step, before));
  const ends = reveals.filter((reveal) => reveal.text === EOI);
  for (const reveal of ends) {
    const gap = stateAfter(data, number).gaps[reveal.gap];
    const where = several ? `gap ${reveal.gap + 1}` : "the gap";
    const empty = reveal.rank === 1 ? ", and holds nothing: no suggestion" : "";
    if (gap.complete) say.push([`⟨eoi⟩ says that ${where} ends here${empty}. Nobody told the network how long it would be.`]);
    else say.push([`⟨eoi⟩ fixes the end of ${where}: ${plural(reveal.rank - 1, "token")}. The places behind it are let go.`]);
  }
  if (number === data.trace.steps.length) say.push(...atTheEnd(data));
  return { title: `Forward ${number} of ${data.trace.steps.length}`, say: say.filter((paragraph) => paragraph.length) };
}

function beforeFirst(data) {
  const told = revealsOf(data.trace.steps, 0);
  const { leftRows, rightRows, islandRows, rowsEncoded } = data.trace;
  const several = data.gaps.length > 1;
  const gap = several ? `the ${plural(data.gaps.length, "gap")}` : "the gap";
  const rows = leftRows + rightRows + islandRows;
  const say = [[
    `The text ${rightRows || islandRows ? "around" : "before"} ${gap} is what the network sees: ${grouped(rows)} tokens, each with a row in its cache. `,
    rowsEncoded >= rows && rows ? "All of them were encoded for this request."
      : rowsEncoded ? `${grouped(rows - rowsEncoded)} of these rows were there already; ${grouped(rowsEncoded)} had to be encoded anew.`
        : "All of these rows were there already: nothing had to be encoded.",
  ]];
  if (several && !data.joint) say.push(["The gaps are filled one after the other; each sees what was put into those before it."]);
  if (several && data.joint) say.push([`${data.gaps.length === 2 ? "Both gaps" : `All ${plural(data.gaps.length, "gap")}`} are filled in one decode: each forward serves all of them, and each gap sees what the others hold so far.`]);
  if (several && data.joint && data.trace.steps.some((step) => step.search)) say.push(["Then each is searched once more, by several beginnings at once."]);
  for (const end of told) say.push([`The length of ${several ? `gap ${end.gap + 1}` : "the gap"} was told: ${plural(end.rank - 1, "token")}.`]);
  const pieces = data.heldBack.filter((piece) => piece);
  if (pieces.length) {
    say.push(["The piece ", { code: pieces[0] }, ...pieces.slice(1).flatMap((piece) => [" and the piece ", { code: piece }]),
      ` before the cursor ${pieces.length > 1 ? "are" : "is"} held back: the infill spells ${pieces.length > 1 ? "them" : "it"} again, so that a token need not end just where the cursor stands.`]);
  }
  return say;
}

function aboutDrafts(data, step, number) {
  const drafts = step.rows.filter((row) => row.kind === "draft");
  if (!drafts.length) return [];
  const right = drafts.filter((row) => wasRight(row, step)).length;
  const sources = [...new Set(drafts.map((row) => row.source))].map((source) => SOURCES[source]).filter(Boolean);
  const of = sources.length ? `, ${sources.join(" or ")},` : "";
  const say = [`A draft of ${plural(drafts.length, "token")}${of} was checked in one forward: `];
  if (right === drafts.length) say.push(right === 1 ? "it was right." : right === 2 ? "both were right." : `all ${inWords(right)} were right.`);
  else if (!right) say.push(drafts.length === 1 ? "it was wrong and is dropped." : "the first was wrong, and all are dropped.");
  else say.push(`${plural(right, "was", "were")} right, the rest ${drafts.length - right === 1 ? "is" : "are"} dropped.`);
  const gapsWithDrafts = new Set(drafts.map((row) => row.gap));
  if (right < drafts.length && gapsWithDrafts.size > 1) say.push(" The gaps keep step: the first wrong place in one ends the draft in all.");
  return [say];
}

function aboutReveals(data, step, before) {
  const clean = step.reveals.filter((reveal) => reveal.head === "clean");
  const masked = step.reveals.filter((reveal) => reveal.head !== "clean");
  const drafted = step.rows.some((row) => row.kind === "draft");
  const verified = new Set(step.rows.filter((row) => wasRight(row, step)).map((row) => `${row.gap}:${row.rank}`));
  const say = [];
  const own = clean.filter((reveal) => !verified.has(`${reveal.gap}:${reveal.rank}`));
  if (own.length) {
    say.push(drafted
      ? ["The network's own next token comes with the check: ", ...listed(own), "."]
      : ["Read off the last known token, as any left-to-right model would: ", ...listed(own), "."]);
  }
  const asked = step.rows.filter((row) => row.kind === "mask");
  const places = new Set(asked.map((row) => `${row.gap}:${row.rank}`)).size;
  if (masked.length) {
    const verb = masked.length === 1 ? "is" : "are";
    const settled = masked.length === places ? (places === 1 ? "and settled it: " : "and settled all: ") : `and ${inWords(masked.length)} ${verb} settled: `;
    say.push([places ? `${capital(plural(places, "mask"))} asked about ${places === 1 ? "its own place" : "their own places"}, ${settled}` : "Settled: ", ...listed(masked), "."]);
    const leaps = masked.filter((reveal) => reveal.text !== EOI && leaves(before.gaps[reveal.gap], reveal.rank, masked));
    if (leaps.length) {
      say.push([...listed(leaps.slice(0, 2)), ` ${leaps.length === 1 ? "stands" : "stand"} behind places that are still unknown: the order is free.`]);
    }
  } else if (asked.length && !step.reveals.length) {
    say.push([`${capital(plural(asked.length, "mask"))} asked ${asked.length === 1 ? "whether its own place is" : "which of their own places is"} the end.`]);
  } else if (asked.length) {
    const last = data.trace.steps[data.trace.steps.length - 1] === step;
    say.push([`${capital(plural(asked.length, "mask"))} looked ahead${last ? `; nobody needed what ${asked.length === 1 ? "it" : "they"} saw.` : " to guess what may stand behind."}`]);
  }
  return say;
}

/** Whether a revealed rank leaves an unknown place before it. */
function leaves(gap, rank, reveals) {
  const together = new Set(reveals.map((reveal) => reveal.rank));
  for (let place = 1; place < rank; place++) if (!gap.known.has(place) && !together.has(place)) return true;
  return false;
}

function listed(reveals) {
  const shown = reveals.slice(0, 5);
  const parts = shown.flatMap((reveal, at) => [at === 0 ? "" : at === shown.length - 1 && shown.length === reveals.length ? " and " : ", ", { code: reveal.text }]);
  if (reveals.length > shown.length) parts.push(` and ${reveals.length - shown.length} more`);
  return parts.filter((part) => part !== "");
}

const STOPS = {
  eoi: "the network said so",
  lines: "that was as many lines as were asked for",
  tokens: "that was as many tokens as were asked for",
  time: "the time was up",
  context: "there was no room left in the window",
};

function atTheEnd(data) {
  const sums = totals(data);
  const several = data.gaps.length > 1;
  const ends = data.gaps.map((gap, index) => `${several ? `gap ${index + 1} ended: ` : "it ended because "}${STOPS[gap.stop] || gap.stop}`);
  const asUsual = data.gaps.every((gap) => gap.stop === "eoi");
  const done = sums.tokens > sums.forwards ? `Done: ${grouped(sums.tokens)} tokens in ${plural(sums.forwards, "forward")}` : "Done";
  return [[asUsual ? `${done}.` : `${done}; ${ends.join("; ")}.`]];
}
