"use strict";
/* What a beam search had found after each forward, and how to say it. Knows the page's data and no document. */

const FATES = {
  followed: "followed",
  width: "others are better",
  bound: "cannot win any more",
  patience: "patience is over",
  limit: "as long as allowed",
  end: "as long as was told",
};

/** The searches of the first `count` forwards, by gap: beginnings by number, infills that were judged, and who leads. */
function searchesAfter(data, count) {
  const found = new Map();
  const steps = data.trace ? data.trace.steps : [];
  for (let number = 1; number <= Math.min(count, steps.length); number++) {
    const told = steps[number - 1].search;
    if (!told) continue;
    const search = found.get(told.gap) || { gap: told.gap, weight: told.textWeight, reward: told.lengthRewardNats, beginnings: new Map(), infills: new Map(), notAsked: new Map() };
    found.set(told.gap, search);
    for (const beginning of told.beginnings) search.beginnings.set(beginning.number, { ...beginning, forward: number });
    for (const infill of told.judged) {
      const before = search.infills.get(infill.beginning);
      search.infills.set(infill.beginning, told.readOn && before
        ? { ...before, score: infill.score, furtherLogprob: infill.behindLogprob - before.behindLogprob, isReadOn: true, forward: number }
        : { ...infill, forward: number });
    }
    const isKnown = (ending) => search.infills.has(ending.beginning);
    for (const ending of told.endings) if (ending.fate === "bound") search.notAsked.set(ending.beginning, ending);
    search.waiting = told.endings.filter((ending) => ending.fate === "asked" && !isKnown(ending));
    search.followed = told.beginnings.filter((beginning) => beginning.fate === "followed");
    search.readOn = told.readOn;
    search.answer = told.answer;
    search.last = number;
  }
  return found;
}

/** The judged infills, the best first. Where some were read on, they are comparable with each other only. */
function ranked(search) {
  const value = (infill) => (typeof infill.score === "number" ? infill.score : -Infinity);
  return [...search.infills.values()].sort((a, b) => (b.isReadOn ? 1 : 0) - (a.isReadOn ? 1 : 0) || value(b) - value(a));
}

/** The number of the beginning that the search would answer with if it had to. */
function leader(search) {
  if (search.answer !== null) return search.answer;
  if (search.followed.length) return search.followed[0].number;
  const [best] = ranked(search);
  return best ? best.beginning : 0;
}

/** The tokens of a beginning, each a beginning itself with what it adds to its parent. */
function tokensOf(search, number) {
  const tokens = [];
  for (let at = search.beginnings.get(number); at; at = search.beginnings.get(at.parent)) {
    const parent = search.beginnings.get(at.parent) || { gapLogprob: 0, textLogprob: 0 };
    tokens.unshift({ ...at, byGap: Math.exp(at.gapLogprob - parent.gapLogprob), byText: Math.exp(at.textLogprob - parent.textLogprob) });
  }
  return tokens;
}

/** Whether the time of a search was up before it came to anything, so that what had filled the gap before stays. */
function isAbandoned(data, search) {
  const answer = search.answer === null ? null : search.beginnings.get(search.answer);
  return Boolean(answer) && answer.fate === "followed" && !search.infills.has(search.answer) && data.gaps[search.gap].stop !== "time";
}

const textOf = (search, number) => tokensOf(search, number).map((token) => token.text).join("");

/**
 * What the surprise of a beginning or an infill is made of, in nats: [[kind, nats]]. Kinds: gap and text (its tokens by
 * either kind of row), behind (the text behind it), further (the text that was read on), hope (what is unknown, at best).
 */
function surprise(search, item) {
  const parts = [
    ["gap", -(1 - search.weight) * item.gapLogprob],
    ["text", -search.weight * item.textLogprob],
    ["behind", -search.weight * (item.behindLogprob || 0)],
    ["further", -search.weight * (item.furtherLogprob || 0)],
    ["hope", typeof item.bestScore === "number" && item.fate !== "judged" ? item.score - item.bestScore : 0],
  ];
  return parts.filter(([, nats]) => nats > 0);
}

/** What a beginning or an infill is let off for its length, in nats. */
function allowance(search, item) {
  return search.reward * tokensOf(search, "number" in item ? item.number : item.beginning).length;
}

/**
 * Where the bars of surprise stand: they begin as far before zero as the longest beginning is `allowed` for its length, and
 * `reach` to all that led once, and to the best three of the infills, if they are not far.
 */
function scaleOf(data, gap) {
  const whole = searchesAfter(data, data.trace.steps.length).get(gap);
  const allowed = Math.max(0, ...[...whole.beginnings.values()].map((beginning) => allowance(whole, beginning)));
  let farthest = 1;
  let final = null;
  for (const { search: told } of data.trace.steps) {
    if (!told || told.gap !== gap || told.readOn) continue;
    final = final || [];
    final.push(...told.judged.map((infill) => -infill.score).filter(Number.isFinite));
    farthest = Math.max(farthest, Math.min(...final, Infinity) < Infinity ? Math.min(...final) : 0, ...told.beginnings.filter(({ fate }) => fate === "followed").map(({ score }) => -score));
  }
  const costs = (final || []).sort((one, other) => one - other);
  return { allowed, reach: 1.08 * Math.max(farthest, Math.min(costs[Math.min(2, costs.length - 1)] || 0, 1.6 * (costs[0] || 0))) };
}

/**
 * The beginnings that a whole search followed, laid out as a tree: {cells: [{node, depth, row, rows}], depth}. A cell has
 * as many rows as there are ends behind it; the answer's way comes first, then the best.
 */
function treeOf(whole) {
  const children = new Map();
  for (const node of whole.beginnings.values()) {
    if (node.fate !== "width") children.set(node.parent, [...(children.get(node.parent) || []), node]);
  }
  const onTheWay = wayTo(whole, whole.answer);
  const cells = [];
  let rows = 0;
  let deepest = 0;
  const layOut = (parent, depth) => {
    const own = (children.get(parent) || []).sort((a, b) => onTheWay.has(b.number) - onTheWay.has(a.number) || b.score - a.score);
    for (const node of own) {
      const cell = { node, depth, row: rows, rows: 1 };
      cells.push(cell);
      deepest = Math.max(deepest, depth);
      if (children.has(node.number)) layOut(node.number, depth + 1);
      else rows++;
      cell.rows = rows - cell.row;
    }
  };
  layOut(0, 1);
  return { cells, depth: deepest };
}

/** The numbers of a beginning and of those that it grew from. */
function wayTo(search, number) {
  return new Set(tokensOf(search, number).map((token) => token.number));
}

function times(nats) {
  const ratio = Math.exp(nats);
  if (!(ratio < 10_000)) return "more than 10\u202f000 times";
  return `${ratio < 9.95 ? ratio.toFixed(1).replace(/\.0$/, "") : grouped(Math.round(ratio))} times`;
}

// ---- in words -------------------------------------------------------------------------------------------------------

const named = (search, number) => ({ code: textOf(search, number), isWhole: true });

/** A few of these, and how many more: `a`, `b` and 3 more. */
function enumerated(search, numbers, most = 3) {
  const shown = numbers.length === most + 1 ? most + 1 : most;
  const parts = numbers.slice(0, shown).flatMap((number, at) => [at === 0 ? "" : at === numbers.length - 1 ? " and " : ", ", named(search, number)]);
  if (numbers.length > shown) parts.push(` and ${inWords(numbers.length - shown)} more`);
  return parts.filter((part) => part !== "");
}

/** What happened at a forward of a search; as `narrate`. */
function narrateSearch(data, number) {
  const step = data.trace.steps[number - 1].search;
  const search = searchesAfter(data, number).get(step.gap);
  const before = searchesAfter(data, number - 1).get(step.gap);
  const say = [];
  if (!before) say.push(...searchBegins(data, step));
  if (step.answer !== null) say.push(...searchEnds(data, step, search));
  if (step.readOn) say.push(...aboutReadingOn(step, search, before));
  else {
    say.push(...aboutJudged(step, search, before));
    say.push(...aboutBeginnings(step, search, before));
    if (step.answer === null) say.push(...aboutEndings(step, search));
  }
  return { title: `Forward ${number} of ${data.trace.steps.length}`, say };
}

function searchBegins(data, step) {
  const gap = data.gaps.length > 1 ? `gap ${step.gap + 1}` : "the gap";
  const say = [];
  if (data.gaps.length > 1) say.push([`Now ${gap} is searched, with what the other gaps hold as text around it.`]);
  say.push([`Two rows say how ${gap} may begin: ⟨infill⟩, which sees the text on both sides, and the last of the text before, which has never heard of a gap.`]);
  return say;
}

function aboutBeginnings(step, search, before) {
  const by = (fate) => step.beginnings.filter((beginning) => beginning.fate === fate).map((beginning) => beginning.number);
  const [followed, bound, late, cut, told] = ["followed", "bound", "patience", "limit", "end"].map(by);
  const say = [];
  if (followed.length) {
    const all = step.beginnings.length + step.passedOver;
    const verb = followed.length === 1 ? "is" : "are";
    if (followed.length === all) say.push([`${followed.length === 1 ? "One beginning is" : `All ${inWords(all)} beginnings are`} followed.`]);
    else say.push([`Of ${inWords(all)} ways to ${before ? "go on" : "begin"}, ${inWords(followed.length)} ${verb} followed; `, named(search, followed[0]), followed.length === 1 ? "." : " leads."]);
  }
  if (bound.length) say.push([...enumerated(search, bound, 2), ` ${bound.length === 1 ? "is" : "are"} given up: even if the text behind followed well, ${bound.length === 1 ? "it" : "they"} could not beat the best infill.`]);
  if (late.length) say.push([`No better infill has come for a while, so ${late.length === 1 ? "the beginning that was left is" : `all ${inWords(late.length)} beginnings that were left are`} given up.`]);
  if (cut.length) say.push([...enumerated(search, cut, 2), ` ${cut.length === 1 ? "is" : "are"} as long as is allowed.`]);
  if (told.length) say.push([...enumerated(search, told, 2), ` ${told.length === 1 ? "has" : "have"} the length that was told.`]);
  return say;
}

function aboutEndings(step, search) {
  const asked = step.endings.filter((ending) => ending.fate === "asked").map((ending) => ending.beginning);
  const others = step.endings.length - asked.length;
  const say = [];
  if (asked.length) say.push([`The gap may end behind `, ...enumerated(search, asked), ": the next forward asks how well the text behind follows."]);
  if (others) say.push([`${capital(plural(others, asked.length ? "other end" : "end"))} ${others === 1 ? "is" : "are"} not asked about: better infills are known.`]);
  return say;
}

function aboutJudged(step, search, before) {
  if (!step.judged.length) return [];
  const [best] = ranked(search);
  const [bestBefore] = before ? ranked(before) : [];
  const count = step.judged.length;
  const told = `The text behind told how well it follows ${plural(count, "infill")}`;
  if (!bestBefore) return [count === 1 ? [`${told}, `, named(search, best.beginning), ", the first."] : [`${told}; best behind `, named(search, best.beginning), "."]];
  if (textOf(search, best.beginning) !== textOf(search, bestBefore.beginning)) return [[`${told}: `, named(search, best.beginning), " is the best so far, ", `${times(best.score - bestBefore.score)} as likely as `, named(search, bestBefore.beginning), "."]];
  return [[`${told}; `, named(search, best.beginning), " stays the best."]];
}

function aboutReadingOn(step, search, before) {
  const [best, second] = ranked(search).filter((infill) => infill.isReadOn);
  const [bestBefore] = before ? ranked(before) : [];
  const word = (step.readOn.match(/[\p{L}\p{N}_]+/gu) || [""]).pop();
  const say = [[`${capital(plural(step.judged.length, "infill"))} ${step.judged.length === 1 ? "was" : "were"} judged once more, by more of the text behind: as far as `, { code: word }, ", a word that not all of them have."]];
  if (!second || !bestBefore) return say;
  if (textOf(search, best.beginning) !== textOf(search, bestBefore.beginning)) say.push(["That turned the order: ", named(search, best.beginning), " comes before ", named(search, bestBefore.beginning), " now."]);
  else say.push(["The best stays the best."]);
  return say;
}

function searchEnds(data, step, search) {
  const infills = ranked(search);
  const answer = named(search, step.answer);
  const place = infills.findIndex((infill) => infill.beginning === step.answer);
  const greedy = infills.find((infill) => infill.isGreedy);
  const say = [];
  const done = data.gaps.length > 1 ? `Gap ${step.gap + 1} is done: ` : "Done: ";
  if (isAbandoned(data, search)) return [["The time was up: what was there before the search stays."]];
  if (place < 0) {
    const cut = search.beginnings.get(step.answer);
    if (cut && cut.fate === "limit") say.push([done, answer, " is the answer. It is cut off by a limit, so the text behind cannot judge it; but the gap's rows find it the likeliest."]);
    else say.push(["The time was up: ", answer, " is how far the best beginning came."]);
    return say;
  }
  const wins = [done, answer, ` ${infills.length > 1 ? "wins" : "is the only infill that ended"}`];
  const second = infills.find((infill) => textOf(search, infill.beginning) !== answer.code); // not the same in other tokens
  if (place === 0 && second && Boolean(second.isReadOn) === Boolean(infills[0].isReadOn)) wins.push(`, ${times(infills[0].score - second.score)} as likely as `, named(search, second.beginning));
  else if (place > 0) wins.push(", by the gap's rows alone");
  say.push([...wins, "."]);
  if (!greedy) say.push(["What greedy decoding makes of the gap did not end in time."]);
  else if (greedy.beginning === step.answer) say.push(["It is what greedy decoding makes of the gap, too."]);
  else say.push(["Greedy decoding alone would have said ", named(search, greedy.beginning), Boolean(greedy.isReadOn) === Boolean(infills[place].isReadOn) && infills[place].score > greedy.score ? `: the answer is ${times(infills[place].score - greedy.score)} as likely.` : "."]);
  return say;
}
