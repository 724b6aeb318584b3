"use strict";
/* How a forward of a beam search is drawn: its beginnings, and the infills that ended. Makes elements of what search.js says. */

const PARTS = {
  gap: "its tokens, by the gap's rows",
  text: "its tokens, by the rows of the text",
  behind: "the text behind it",
  further: "more of the text behind it",
  hope: "the text behind it, at best",
};
const FATE_SIGNS = { followed: "→", width: "", bound: "×", patience: "×", limit: "▮", end: "▮" };

/** A bar of surprise, on a track of this scale: the further left it ends the better; `best` is where the best infill ends. */
function surpriseBar(search, item, { allowed, reach }, best) {
  const width = allowed + reach;
  const own = allowance(search, item);
  const parts = surprise(search, item);
  const total = parts.reduce((sum, [kind, nats]) => (kind === "hope" ? sum : sum + nats), 0);
  const said = [...parts.map(([kind, nats]) => `${nats.toFixed(1)} ${PARTS[kind]}`), own ? `${own.toFixed(1)} let off for its length` : ""].filter(Boolean).join(", ");
  const isCut = parts.reduce((sum, [, nats]) => sum + nats, 0) - own > reach;
  return h("span", { class: isCut ? "surprise is-cut" : "surprise", role: "img", "aria-label": `surprise ${(total - own).toFixed(1)}: ${said}`, title: said },
    h("span", { class: "segments", vars: { "--from": (allowed - own) / width } }, parts.map(([kind, nats]) => h("span", { class: `segment by-${kind}`, vars: { "--nats": nats / (reach + own) } }))),
    best === null ? null : h("span", { class: "best-line", vars: { "--at": Math.min(1, (allowed + best) / width) } }));
}

const nats = (score) => (typeof score === "number" && Number.isFinite(score) ? (-score).toFixed(1) : "∞");

/** Where the best infill that has been judged ends, or null. */
function bestSurprise(search) {
  const scores = [...search.infills.values()].filter((infill) => !infill.isReadOn && typeof infill.score === "number").map((infill) => infill.score);
  return scores.length ? -Math.max(...scores) : null;
}

/** The search so far as a tree, and what this forward found of it as a table. `whole` is the search when it was over. */
function searchPanel(step, search, whole, scale, now) {
  return h("div", { class: "search" }, searchTree(search, whole, now), h("h3", null, "Found by this forward"),
    step.beginnings.length ? [surpriseKey(search), beginningsTable(step, search, scale)]
      : h("p", { class: "note" }, step.readOn ? ["Nothing grows any more. The best infills were read once more with ", phrase(step.readOn), " behind what came behind them."] : "Nothing grows any more: this forward only asked about ends."));
}

/** Every beginning that was followed, token by token from the left. Each has its place from the start, so that nothing jumps. */
function searchTree(search, whole, now) {
  const { cells, depth } = treeOf(whole);
  const lead = wayTo(search, leader(search));
  const cell = ({ node, depth, row, rows }) => {
    const isKnown = search.beginnings.has(node.number);
    const infill = search.infills.get(node.number);
    const isGone = node.fate === "bound" || node.fate === "patience";
    const said = `${textOf(whole, node.number)}: ${FATES[node.fate] || node.fate}${infill ? `; as an infill, surprise ${nats(rawScore(search, infill))}` : ""}`;
    const classes = ["node", isKnown ? "" : "not-yet", lead.has(node.number) ? "leads" : "", isGone ? "gone" : "", node.forward === now ? "fresh-node" : "", node.isGreedy ? "greedy" : ""];
    return h("span", { class: classes.filter(Boolean).join(" "), title: isKnown ? plain(lineBreaks(said)) : null, vars: { "--row": row + 2, "--rows": rows, "--depth": depth } },
      h("bdi", null, blanksShown(node.text, true)), infill ? h("b", { class: "ended" }, "]") : null, isGone ? h("b", { class: "sign" }, " ×") : null);
  };
  const first = now - Math.max(0, ...[...search.beginnings.values()].map(({ number }) => tokensOf(search, number).length)) + 1;
  const numbers = Array.from({ length: depth }, (_, at) => h("span", { class: at + first === now ? "node-number current-number" : "node-number", vars: { "--depth": at + 1 } }, String(at + 1)));
  const known = [...search.beginnings.values()].filter(({ fate }) => fate !== "width").length;
  return [h("div", { class: "search-tree", tabindex: "0", role: "img", "aria-label": `${plural(known, "beginning")} so far, as a tree` }, h("div", { class: "nodes" }, numbers, cells.map(cell))),
    h("p", { class: "note" }, "One token after the other, from the left. ", h("b", { class: "ended" }, "]"), " ended there and was judged; ", h("b", { class: "gone-sign" }, "×"), " was given up; where nothing follows, others were better. Greedy decoding's way is ", h("span", { class: "greedy" }, "underlined"), ".")];
}

/** The beginnings that a forward found, as a table; what was given up keeps its reason. */
function beginningsTable(step, search, scale) {
  const best = bestSurprise(search);
  const rows = step.beginnings.map((beginning) => {
    const token = tokensOf(search, beginning.number).pop();
    const before = textOf(search, beginning.parent);
    const isKept = beginning.fate === "followed" || beginning.fate === "end";
    return h("tr", { class: `beginning ${beginning.fate}` },
      h("th", { scope: "row", class: "spelled", title: plain(lineBreaks(before + token.text)) }, h("bdi", null, h("span", { class: "elided" }, h("span", null, blanksShown(before))), h("span", { class: isKept ? "grown" : "grown gone-token" }, blanksShown(token.text || "∅", true)))),
      h("td", { class: "percent by-gap-text" }, percent(token.byGap)), h("td", { class: "percent by-text-text" }, percent(token.byText)),
      h("td", { class: "track-cell" }, surpriseBar(search, beginning, scale, best)), h("td", { class: "nats" }, nats(beginning.score)),
      h("td", { class: "fate" }, h("span", { class: "sign", "aria-hidden": "true" }, FATE_SIGNS[beginning.fate]), FATES[beginning.fate] || plain(beginning.fate), beginning.isGreedy ? h("b", { class: "badge" }, "greedy") : null));
  });
  return [h("div", { class: "beginnings", role: "region", tabindex: "0", "aria-label": "Beginnings" }, h("table", null,
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "beginning, and its new token"), h("th", { scope: "col", class: "percent by-gap-text" }, "gap"), h("th", { scope: "col", class: "percent by-text-text" }, "text"),
      h("th", { scope: "col", colspan: "2" }, "surprise so far"), h("th", { scope: "col" }, "what becomes of it"))),
    h("tbody", null, rows))),
  step.passedOver ? h("p", { class: "note" }, `${capital(plural(step.passedOver, "way"))} to go on ${step.passedOver === 1 ? "was" : "were"} worse than these.`) : null];
}

/** The signs of the bars. */
function surpriseKey(search) {
  const kinds = search.readOn ? ["gap", "text", "behind", "further"] : ["gap", "text", "behind", "hope"];
  return h("p", { class: "surprise-key" }, kinds.map((kind) => h("span", null, h("i", { class: `segment by-${kind}`, "aria-hidden": "true" }), PARTS[kind])),
    bestSurprise(search) === null ? null : h("span", null, h("i", { class: "best-sign", "aria-hidden": "true" }), "the best infill so far"));
}

/** The infills that ended, the best first, and those that the next forward asks about. */
function infillList(search, scale, now) {
  const infills = ranked(search);
  const isAnswered = search.answer !== null;
  const readOn = infills.filter((infill) => infill.isReadOn);
  const farther = Math.max(1, ...readOn.map((infill) => -rawScore(search, infill))) * 1.04;
  const seen = new Set();
  const item = (infill, isWaiting) => {
    const text = textOf(search, infill.beginning);
    const isTwin = seen.has(text);
    seen.add(text);
    const isAnswer = isAnswered && infill.beginning === search.answer;
    const isBest = infill === infills[0];
    const badges = [
      isAnswer ? h("b", { class: "badge answer" }, "the answer") : isBest && !isAnswered ? h("b", { class: "badge best" }, "best") : null,
      infill.isGreedy ? h("b", { class: "badge" }, "greedy") : null,
      isTwin ? h("b", { class: "badge" }, "in other tokens") : null,
      isWaiting ? h("b", { class: "badge" }, "asked next") : infill.forward === now && !isAnswered ? h("b", { class: "badge new" }, "new") : null,
    ];
    const isBehind = !isBest && !isWaiting && Boolean(infill.isReadOn) === Boolean(infills[0].isReadOn) && typeof infill.score === "number";
    return h("li", { class: isWaiting ? "infill waiting" : "infill" }, h("p", { class: "infill-text" }, phrase(text), badges),
      h("p", { class: "infill-bar" }, surpriseBar(search, infill, infill.isReadOn ? { ...scale, reach: farther } : scale, null), h("span", { class: "nats" }, isWaiting ? "" : nats(typeof infill.score === "number" ? rawScore(search, infill) : null))),
      isBehind ? h("p", { class: "behind-by" }, `${times(infills[0].score - infill.score)} less likely`) : null);
  };
  const notAsked = [...search.notAsked.keys()].filter((number) => !search.infills.has(number)).length;
  const list = (items) => (items.length ? h("ol", { class: "infills" }, items) : null);
  const rest = infills.filter((infill) => !infill.isReadOn).map((infill) => item(infill, false));
  if (!isAnswered) rest.push(...search.waiting.map((ending) => item(ending, true)));
  return [list(readOn.map((infill) => item(infill, false))),
    readOn.length && rest.length ? h("p", { class: "note" }, "By the beginning of the text behind only:") : null,
    list(rest),
    infills.length || search.waiting.length ? null : h("p", { class: "note" }, isAnswered ? "No infill has ended." : "No infill has ended yet."),
    notAsked ? h("p", { class: "note" }, `${capital(plural(notAsked, "end"))} ${notAsked === 1 ? "was" : "were"} not asked about: better infills were known.`) : null];
}

/** The score of an infill by all that is known of it; what was read on counts. */
function rawScore(search, infill) {
  return allowance(search, infill) - surprise(search, infill).reduce((sum, [kind, value]) => (kind === "hope" ? sum : sum + value), 0);
}

/** Which rows of a search the cache keeps for its next forward. */
function searchCells(step) {
  const cells = [];
  for (let at = 0; at < Math.min(80, step.rowsKept); at++) cells.push(h("i", { class: "cell" }));
  return cells;
}

/** Every forward of a search as a row of a table. */
function searchTableRows(data) {
  return data.trace.steps.map((step, index) => [step.search, step, index + 1]).filter(([told]) => told).map(([told, step, number]) => {
    const search = searchesAfter(data, number).get(told.gap);
    const count = (...fates) => told.beginnings.filter((beginning) => fates.includes(beginning.fate)).length || "";
    return h("tr", null, h("th", { scope: "row" }, String(number)), [told.gapRows, told.textRows, told.behindRows, count("followed"), count("bound", "patience")].map((cell) => h("td", null, cell ? String(cell) : "")),
      h("td", { class: "tokens" }, told.judged.map((infill) => phrase(textOf(search, infill.beginning)))), h("td", null, milliseconds(step.ms)));
  });
}

const SEARCH_COLUMNS = ["forward", "rows of the gap", "rows of the text", "rows of the text behind", "followed on", "given up", "infills judged", "time"];

function searchLegend(entry) {
  const sign = (kind) => h("i", { class: `segment by-${kind} sample` });
  return [
    entry(sign("gap"), "how surprised the gap's rows are by the tokens. They see the text on both sides, and know when to end."),
    entry(sign("text"), "how surprised the rows of the text are by the same tokens. They see only what stands before, as if there were no gap."),
    entry(sign("behind"), "how surprised the rows of the text are by what stands behind the gap, if the infill ends here"),
    entry(sign("further"), "the same of more of the text behind; read where it names what only some of the best infills have"),
    entry(sign("hope"), "what the text behind will cost at best. A beginning that reaches beyond the line even so is given up."),
    entry(h("i", { class: "best-sign sample" }), "where the best infill so far ends"),
    entry(h("span", { class: "grown" }, "token"), "the new token of a beginning"),
    entry(h("code", { class: "chip" }, h("span", { class: "blank" }, "↵₈")), "a line break, and how far the next line is indented"),
  ];
}
