/* The page: draws the state after a forward, and goes from one to the next. */
(() => {
  if (typeof document === "undefined") return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const steps = data.trace ? data.trace.steps : [];
  const sums = totals(data);
  const several = data.gaps.length > 1;
  const byId = (id) => document.getElementById(id);
  let now = 0;
  let tallest = 0; // lines of the longest state drawn so far
  let timer = null;
  let chosen = null; // the token that the pointer or the focus is on: "gap:rank"

  const fill = (id, ...children) => byId(id).replaceChildren(...children.flat(Infinity).filter(Boolean));

  // ---- what does not change -------------------------------------------------------------------------------------

  const POLICIES = {
    left_to_right: ["left to right", "Places are filled from left to right, one after the other."],
    verified: ["left to right", "Places are filled from left to right. A draft of several tokens is checked in one forward, and what is right of it is kept: the text is the one that going token by token would give, in fewer forwards."],
    block: ["block", "The gap is filled block after block; inside a block, places may be filled in any order."],
    window: ["window", "The order of the places is drawn at random, but near the front of the gap first: tokens appear in any order within a moving window."],
    beam: ["beam search", "Several beginnings of the infill grow side by side. Two kinds of rows judge them: those of the gap, which see both sides, and rows that merely follow the text before. Where an infill may end, these also say how well the text behind follows it. The answer is the infill that surprises both least for its length."],
    uniform: ["uniform", "First the length of the gap is drawn; then its places are filled in an order drawn at random."],
  };
  const REVEALS = {
    threshold: "a forward reveals every place it is sure enough of, at least one",
    first_hitting: "a forward reveals the place that is next in the order, one in each gap",
  };

  function drawOnce() {
    const { trace } = data;
    byId("path").textContent = plain(data.path);
    byId("places").textContent = data.gaps.map((gap) => `${gap.line}:${gap.column}`).join(", ");
    const [policy, policyOption] = trace ? trace.policy.split(":") : ["", ""];
    const [reveal, revealOption] = trace ? trace.reveal.split(":") : ["", ""];
    const named = (name, option, table) => (table[name] ? table[name][0] : plain(name)) + (option ? ` (${plain(option)})` : "");
    const rule = plain(reveal.replace(/_/g, " ")) + (revealOption ? ` (${plain(revealOption)})` : "");
    fill("setting", plain(data.model), trace && (policy === "beam"
      ? [" · ", h("b", null, "beam search"), ` of `, h("b", null, plural(Number(policyOption), "beginning")), policyOption === "1" ? "" : " at once"]
      : reveal === "verified"
      ? [" · ", h("b", null, "left to right"), ", drafts ", h("b", null, "verified")]
      : [" · order ", h("b", null, named(policy, policyOption, POLICIES)), " · reveal rule ", h("b", null, rule)]));
    const fact = (value, what) => h("div", null, h("dt", null, what), h("dd", null, value));
    const tokens = data.gaps.reduce((sum, gap) => sum + gap.tokens, 0);
    fill("facts", fact(grouped(tokens), tokens === 1 ? "token" : "tokens"), 
      fact(...forwardsFact()),
      fact(milliseconds(data.ms), "in all"),
      trace && fact(`${grouped(trace.leftRows + trace.rightRows + trace.islandRows - trace.rowsEncoded)} of ${grouped(trace.leftRows + trace.rightRows + trace.islandRows)}`, "context rows reused"),
      sums.judged ? fact(grouped(sums.judged), sums.judged === 1 ? "infill judged" : "infills judged") : null,
      sums.drafts ? fact(`${sums.verified} of ${sums.drafts}`, "draft tokens were right") : null);
    drawLegend();
    const article = (title, ...text) => h("div", null, h("h3", null, title), h("p", null, text));
    fill("method", policy === "beam" ? [
      article("Two questions", "What fits here, seen from both sides? And what would a text say that simply goes on, and comes to the text behind? A model knows the second from all the code that it ever read. ",
        "An infill is to answer both: its score is the mean of the two."),
      article("Surprise", "The less likely, the more surprising: something certain costs nothing, one chance in two 0.7, one in ten 2.3, one in a hundred 4.6. Surprises of tokens add up. Since each adds some, a little is let off for each, so that the bars of longer infills begin further left. The infill whose bar ends furthest left wins."),
      article("What cannot win is given up", "When infills have ended, a beginning must still have a chance: what it costs so far, and at least a share of what the text behind costs behind the infill that it follows best, must stay under the best. ",
        "And if nothing better has ended for some forwards, the search is over."),
      article("Reading on", "At first only the beginning of the text behind is judged. Where it goes on to name what only some of the best infills have, they are judged once more, as far as that. Greedy decoding's infill is always among them.")] : [
      article("Sets, not just the next word", "A usual code model writes one token after the other, at the end of a text. This one fills places inside a text, in sets: ",
        "one place, a few in a row, or several far apart, also of several gaps. Each set sees all that was settled before it, on both sides."),
      article("Rows", "The network is run again and again; one run is a forward. A forward is fed rows. The row of a known token stays in the cache, and says what comes next. ",
        "A mask stands at an unknown place, says what belongs there, and leaves nothing behind. A draft is a guess, fed as if it were known; the row before it tells whether it was right."),
      article("The cache is a gap buffer", "An editor keeps text as two stacks with the cursor between them. The cache does the same: rows before the gap, rows behind it, and room between. ",
        "When you type or move, most rows stay as they are, so the next infill starts from there."),
      article("No length is given", "A gap has more room than it needs. It ends where the network says ⟨eoi⟩, the end of the infill; that may be at once."),
    ], trace && POLICIES[policy] && article(`Here: ${named(policy, policyOption, POLICIES)}${reveal === "verified" ? ", verified" : ""}`,
        POLICIES[reveal === "verified" ? "verified" : policy][1], REVEALS[reveal] && reveal !== "verified" && policy !== "beam" ? ` By the rule “${plain(trace.reveal.replace(/_/g, " ").replace(":", " "))}”, ${REVEALS[reveal]}.` : ""));
    document.querySelector("main").classList.toggle("of-search", steps.some((step) => step.search));
    drawTimeline();
    drawTable();
    byId("numbers").checked = Boolean(trace) && !/^(verified|left_to_right|beam)/.test(trace.policy);
  }

  /** Encoding takes forwards too, which the trace does not show. */
  function forwardsFact() {
    const encoding = steps.length ? data.forwards - steps.length : 0;
    return encoding > 0 ? [`${grouped(steps.length)} + ${encoding}`, "forwards + encoding"] : [grouped(data.forwards), data.forwards === 1 ? "forward" : "forwards"];
  }

  function drawLegend() {
    const entry = (sign, text) => h("div", null, h("dt", null, sign), h("dd", null, text));
    const sample = (className, text, p) => h("span", { class: `tok ${className}`, vars: { "--p": p } }, text);
    const isSearch = steps.some((step) => step.search);
    const isPlain = steps.some((step) => !step.search) || !steps.length;
    fill("legend",
      entry(sample("known", "token", 0.7), "known before this forward. The line under it is as long as the network was sure."),
      entry(sample("fresh clean", "token", 0.9), "new: read off the token before it"),
      isSearch ? searchLegend(entry) : null,
      isPlain ? [entry(sample("fresh mask-head", "token", 0.5), "new: said by a mask on its own place"),
      entry(h("del", { class: "dropped" }, "token"), "a draft that was wrong, or stood behind a wrong one"),
      entry(h("span", { class: "ghost" }, "token"), "a draft: the next forward checks it"),
      entry(h("span", { class: "hole mask" }), "unknown; a mask asks about it in the next forward"),
      entry(h("span", { class: "hole" }), "unknown, without a mask of its own: the token before it will tell, or it is asked about later"),
      entry(h("s", { class: "cut" }, "token"), "said, but cut off the answer")] : null,
      entry(h("span", { class: "keys" }, h("kbd", null, "←"), h("kbd", null, "→"), h("kbd", null, "space")), "step and play; Home and End; + and − for the speed; N for numbers. Tab reaches the tokens, arrows go through them."));
  }

  // ---- the code -------------------------------------------------------------------------------------------------

  function drawCode(state) {
    const lines = [];
    let number = 1;
    let line = [];
    let marked = false;
    const endLine = () => {
      lines.push(h("div", { class: marked ? "line touched" : "line" }, h("span", { class: "number" }, String(number)), h("span", { class: "text", dir: "ltr" }, line.length ? line : "\u200b")));
      number++;
      line = [];
      marked = false;
    };
    const leaveOut = (count) => {
      if (!count) return;
      lines.push(h("div", { class: "line left-out" }, h("span", { class: "number" }, "⋯"), h("span", { class: "text" }, `${plural(count, "line")} more`)));
      number += count;
    };
    const context = (text) => lineBreaks(text).split("\n").forEach((part, at) => {
      if (at) endLine();
      if (part) line.push(h("span", { class: "context" }, plain(part)));
    });
    /* A token may reach over several lines: each part is a piece of it. */
    const pieces = (text, make) => lineBreaks(text).split("\n").forEach((part, at, parts) => {
      const breaks = at < parts.length - 1;
      if (at) endLine();
      marked = true;
      if (part || breaks || !text) line.push(make(plain(part), breaks, at === 0));
    });
    data.stretches.forEach((stretch, index) => {
      const first = index === 0;
      const last = index === data.stretches.length - 1;
      if (!first) context(stretch.head);
      if (last) {
        endLine();
        leaveOut(stretch.leftOut);
        return;
      }
      if (first) leaveOut(stretch.leftOut);
      else if (stretch.leftOut) {
        endLine();
        leaveOut(stretch.leftOut);
      }
      context(stretch.tail);
      marked = true;
      line.push(h("span", { class: "edge begin" }, several ? h("sup", null, String(index + 1)) : null));
      const found = data.trace ? slots(state, index, data) : [];
      if (!data.trace) pieces(data.gaps[index].text, (part) => h("span", { class: "tok known" }, part));
      for (const slot of found) drawSlot(slot, index, pieces);
      marked = true;
      line.push(h("span", { class: found.length ? "edge end" : "edge end empty" }));
    });
    fill("code", lines);
    byId("code").style.setProperty("--lines", String(Math.max(lines.length, tallest)));
    tallest = Math.max(lines.length, tallest);
    const tokens = [...byId("code").querySelectorAll(".tok[data-key]")];
    const entry = tokens.find((token) => token.classList.contains("fresh")) || tokens[0];
    if (entry) entry.tabIndex = 0;
  }

  function drawSlot(slot, gap, pieces) {
    const key = `${gap}:${slot.rank}`;
    const blankEnd = (breaks) => (breaks ? h("span", { class: "blank" }, "↵") : null);
    if (slot.kind === "mask" || slot.kind === "unknown") {
      pieces("", () => h("span", { class: slot.kind === "mask" ? "hole mask" : "hole", title: `place ${slot.rank}: unknown` }, h("span", { class: "spoken" }, "unknown")));
    } else if (slot.kind === "dropped") {
      const text = lineBreaks(slot.text).replace(/\n/g, "↵");
      pieces(" ", () => h("del", { class: "dropped" }, plain(text) || "∅"));
    } else if (slot.kind === "draft") {
      pieces(slot.text === EOI ? "⟨eoi⟩" : slot.text, (part, breaks) => h("span", { class: "ghost", title: "a draft: the next forward checks it" }, part, blankEnd(breaks)));
    } else {
      const kinds = `tok ${slot.kind === "known" ? "known" : slot.kind} ${slot.reveal.head === "clean" ? "clean" : "mask-head"}`;
      const text = slot.kind === "end" ? "⟨eoi⟩" : slot.kind === "cut" ? lineBreaks(slot.text).replace(/\n/g, "↵") : slot.text;
      if (slot.kind === "end" && !slot.fresh && now === steps.length) return;
      pieces(text, (part, breaks, first) => h(slot.kind === "cut" ? "s" : "span", {
        class: slot.fresh && slot.kind === "end" ? `${kinds} fresh` : kinds,
        "data-key": key,
        "data-forward": first ? slot.reveal.forward : null,
        tabindex: first ? "-1" : null,
        role: first ? "button" : null,
        "aria-label": first ? describe(slot.reveal) : null,
        vars: { "--p": typeof slot.reveal.probability === "number" ? slot.reveal.probability : 0 },
      }, part || (breaks ? null : "\u2009"), blankEnd(breaks)));
    }
  }

  function describe(reveal) {
    const text = reveal.text === EOI ? "end of the infill" : plain(reveal.text.replace(/\n/g, "line break ")).trim() || "blank";
    return `${text}, ${percent(reveal.probability)}, forward ${reveal.forward}`;
  }

  // ---- how sure -------------------------------------------------------------------------------------------------

  function drawSure(state) {
    for (const token of document.querySelectorAll(".tok.chosen")) token.classList.remove("chosen");
    let reveals = [];
    let note = "";
    if (chosen) {
      const [gap, rank] = chosen.split(":").map(Number);
      const reveal = state.gaps[gap] && state.gaps[gap].known.get(rank);
      if (reveal) reveals = [reveal];
      for (const token of document.querySelectorAll(`.tok[data-key="${chosen}"]`)) token.classList.add("chosen");
    }
    const told = now ? steps[now - 1].search : null;
    byId("sure-title").textContent = told && !reveals.length ? "Infills" : "How sure it was";
    if (told && !reveals.length) return fill("sure", infillList(searchOf(told), scale(told.gap), now));
    if (!reveals.length) {
      state.gaps.forEach((gap) => reveals.push(...[...gap.fresh].sort((a, b) => a - b).map((rank) => gap.known.get(rank))));
      if (!reveals.length) note = now === 0 ? "Nothing is revealed yet. As soon as there are tokens, point at one of them, tap it, or reach it with Tab." : "This forward revealed nothing.";
    }
    fill("sure", note && h("p", { class: "note" }, note), h("ol", { class: reveals.length > 3 ? "cards many" : "cards" }, reveals.map(card)));
  }

  const HEADS = { clean: "read off the token before", mask: "said by a mask", length: "the length, drawn or told" };

  function card(reveal) {
    const bar = (text, probability, main) => h("li", { class: main ? "bar main" : "bar" }, chip(text),
      h("span", { class: "track" }, h("span", { class: "level", vars: { "--p": probability ?? 0 } })), h("span", { class: "percent" }, percent(probability)));
    const asText = ({ byText }) => h("li", { class: "bar as-text" }, h("span", null, "as mere text"), h("span", { class: "track" }, h("span", { class: "level", vars: { "--p": byText } })), h("span", { class: "percent" }, percent(byText)));
    return h("li", { class: `card ${reveal.head === "clean" ? "clean" : "mask-head"}` },
      h("p", null, several ? `gap ${reveal.gap + 1}, ` : "", `place ${reveal.rank} · forward ${reveal.forward} · ${HEADS[reveal.head] || ""}`),
      h("ol", { class: "bars" }, bar(reveal.text, reveal.probability, true), reveal.byText === undefined ? null : asText(reveal), reveal.alternatives.map(([text, probability]) => bar(text, probability, false))));
  }

  const searchOf = (told) => searchesAfter(data, now).get(told.gap);
  const scales = new Map();
  function scale(gap) {
    if (!scales.has(gap)) scales.set(gap, scaleOf(data, gap));
    return scales.get(gap);
  }

  // ---- one forward ----------------------------------------------------------------------------------------------

  const LANES_TITLE = byId("lanes-title").textContent;
  const SEARCH_TITLE = "The search";

  function drawLanes() {
    if (now === 0) {
      if (steps.length && steps[0].search) byId("lanes-title").textContent = SEARCH_TITLE;
      fill("lanes", h("p", { class: "note" }, steps.length ? "Go to the first forward to see the rows it is fed." : "There is no forward to show."));
      return;
    }
    const step = steps[now - 1];
    byId("lanes-title").textContent = step.search ? SEARCH_TITLE : LANES_TITLE;
    if (step.search) {
      const search = searchOf(step.search);
      fill("lanes", searchPanel(step.search, search, searchesAfter(data, steps.length).get(search.gap), scale(search.gap), now));
      return holdHeight(byId("lanes"));
    }
    const known = revealsOf(steps, now);
    const lanes = data.gaps.map((_, gap) => {
      const rows = step.rows.filter((row) => row.gap === gap);
      const reveals = new Map(known.filter((reveal) => reveal.gap === gap).map((reveal) => [reveal.rank, reveal]));
      const ranks = [...new Set([...rows.map((row) => row.rank), ...reveals.keys()])].sort((a, b) => a - b);
      if (!ranks.length) return h("p", { class: "note" }, several ? `Gap ${gap + 1} took no part.` : "Only rows of the context were fed.");
      const columns = inColumns(ranks, rows, reveals);
      const cells = (make) => columns.map((column, index) => {
        const jump = index && columns[index - 1].last < column.first - 1;
        return h("td", { class: jump ? "jump" : null }, make(column));
      });
      return h("div", { class: "lane", tabindex: columns.length > 6 ? "0" : null, role: "region", "aria-label": `Rows of gap ${gap + 1}` }, h("table", null,
        h("tr", { class: "ranks" }, h("th", { scope: "row" }, several ? `gap ${gap + 1}` : "place"), cells(({ first, last }) => (first === last ? String(first) : `${first} to ${last}`))),
        h("tr", { class: "fed" }, h("th", { scope: "row" }, "in"), cells((column) => fedCell(column.rows, step))),
        h("tr", { class: "read" }, h("th", { scope: "row" }, "out"), cells(({ first }) => (reveals.has(first) ? readCell(reveals.get(first)) : null)))));
    });
    fill("lanes", lanes);
    holdHeight(byId("lanes"));
  }

  /** Ranks as the columns of a lane; five or more masks in a row that revealed nothing share one. */
  function inColumns(ranks, rows, reveals) {
    const columns = ranks.map((rank) => ({ first: rank, last: rank, rows: rows.filter((row) => row.rank === rank) }));
    const isQuiet = (column) => !reveals.has(column.first) && column.rows.every((row) => row.kind === "mask");
    const joined = [];
    for (let at = 0; at < columns.length; at++) {
      let end = at;
      while (end < columns.length && isQuiet(columns[end]) && columns[end].first === columns[at].first + end - at) end++;
      if (end - at < 5) joined.push(columns[at]);
      else {
        joined.push({ first: columns[at].first, last: columns[end - 1].last, rows: columns.slice(at, end).flatMap((column) => column.rows) });
        at = end - 1;
      }
    }
    return joined;
  }

  /** What stands below must not jump from forward to forward: an element never gets smaller again. */
  function holdHeight(element) {
    element.style.minHeight = `${Math.max(element.offsetHeight, parseFloat(element.style.minHeight) || 0)}px`;
  }

  function fedCell(rows, step) {
    const signs = [];
    for (const row of rows.filter((row) => row.kind !== "mask")) {
      if (row.kind === "infill") signs.push(h("span", { class: "row infill" }, "⟨infill⟩", h("small", null, "cached")));
      else if (row.outcome === "dropped" && wasRight(row, step)) signs.push(h("span", { class: "row draft right-row" }, chip(row.text), h("small", null, "✓ once more")));
      else if (row.outcome === "dropped") signs.push(h("span", { class: "row draft dropped-row" }, chip(row.text), h("small", null, "✗ dropped")));
      else if (row.kind === "draft") signs.push(h("span", { class: "row draft right-row" }, chip(row.text), h("small", null, "✓ right")));
      else signs.push(h("span", { class: "row clean-row" }, chip(row.text), h("small", null, "cached")));
    }
    const masks = rows.filter((row) => row.kind === "mask").length;
    if (masks) signs.push(h("span", { class: "row mask-row" }, h("span", { class: "hole mask" }), h("small", null, masks > 1 ? `${masks} masks` : "mask")));
    return signs;
  }

  function readCell(reveal) {
    const clean = reveal.head === "clean";
    const arrow = clean ? h("span", { class: "arrow", title: "said by the row before" }, "↘") : h("span", { class: "arrow", title: "said by the mask on this place" }, "↓");
    return h("span", { class: clean ? "row out clean" : "row out mask-head" }, reveal.head === "length" ? null : arrow,
      chip(reveal.text), h("small", null, percent(reveal.probability)));
  }

  // ---- the cache ------------------------------------------------------------------------------------------------

  function drawCache(state) {
    const { trace } = data;
    if (!trace) return fill("cache");
    const rows = trace.leftRows + trace.rightRows + trace.islandRows;
    const part = (className, count, name, note) => (count || className !== "islands") && h("div", { class: `part ${className}`, vars: { "--rows": Math.max(1, Math.sqrt(count)) } },
      h("span", { class: "box" }), h("p", null, h("b", null, grouped(count)), " ", h("span", null, name), note && h("small", null, " ", note)));
    const gaps = state.gaps.map((gap, index) => {
      const told = now ? steps[now - 1].search : null;
      if (told && told.gap === index) {
        return h("div", { class: "part gap", vars: { "--rows": Math.max(4, Math.min(20, told.rowsKept)) } }, h("span", { class: "box cells" }, searchCells(told)),
          h("p", null, h("b", null, grouped(told.rowsKept)), " ", h("span", null, several ? `gap ${index + 1}` : "the gap"), h("small", null, ` of beginnings; ${grouped(rowsOf(steps[now - 1]))} fed`)));
      }
      const fed = now ? steps[now - 1].rows.filter((row) => row.gap === index) : [];
      const kept = fed.filter((row) => isKept(row) && gap.rows.has(row.rank)).length;
      const cells = [];
      for (let at = 0; at < gap.rows.size; at++) cells.push(h("i", { class: at >= gap.rows.size - kept ? "cell new" : "cell" }));
      for (const row of fed) if (row.outcome === "dropped") cells.push(h("i", { class: "cell gone" }));
      for (const row of fed) if (row.kind === "mask") cells.push(h("i", { class: "cell asked" }));
      return h("div", { class: "part gap", vars: { "--rows": Math.max(4, Math.min(20, cells.length)) } }, h("span", { class: "box cells" }, cells),
        h("p", null, h("b", null, grouped(gap.rows.size)), " ", h("span", null, several ? `gap ${index + 1}` : "the gap"), kept || fed.length > kept ? h("small", null, " ", [kept ? `${kept} new` : "", fed.length > kept ? `${fed.length - kept} not kept` : ""].filter(Boolean).join(", ")) : null));
    });
    const reused = rows - trace.rowsEncoded;
    fill("cache",
      h("div", { class: "strip" }, part("islands", trace.islandRows, several ? "islands: text between the gaps, other files" : "islands: other files"),
        part("left", trace.leftRows, "left stack", "text before"), gaps, part("right", trace.rightRows, "right stack", "text behind")),
      rows ? h("p", { class: "note" }, h("span", { class: "meter", vars: { "--p": reused / rows }, role: "img", "aria-label": `${percent(reused / rows)} reused` }),
        `${grouped(reused)} of ${grouped(rows)} context rows were in the cache before (${percent(reused / rows)}), ${grouped(trace.rowsEncoded)} were encoded for this request. `,
        "Rows that are kept never change; a new forward only adds to them.") : null);
  }

  // ---- all forwards ---------------------------------------------------------------------------------------------

  const KINDS = [["infill", "⟨infill⟩"], ["clean", "known tokens"], ["verified", "drafts, right"], ["dropped", "drafts, dropped"], ["mask", "masks"],
    ["bygap", "rows of the gap"], ["bytext", "rows of the text"], ["behind", "rows of the text behind"]];
  const PLAIN_KINDS = KINDS.slice(0, 5);
  const yieldOf = ({ search, reveals }) => (search ? (search.readOn ? h("span", { class: "yield-word" }, "read on") : search.judged.length ? [String(search.judged.length), h("span", { class: "yield-word" }, " ended")] : "") : reveals.length ? `+${reveals.length}` : "");

  function drawTimeline() {
    const timeline = byId("timeline");
    timeline.setAttribute("aria-valuemax", String(steps.length));
    timeline.classList.toggle("crowded", steps.length > 16);
    timeline.classList.toggle("dense", steps.length > 60);
    timeline.classList.toggle("packed", steps.length > 150);
    const bars = steps.map((step, index) => {
      const counts = countRows(step);
      const kinds = KINDS.filter(([kind]) => counts[kind]).map(([kind, name]) => `${counts[kind]} ${name}`).join(", ");
      return h("div", { class: "forward", "data-step": index + 1, vars: { "--ms": Math.max(1, Math.sqrt(step.ms || 1)) },
        title: `forward ${index + 1}: ${kinds || "context only"}; ${step.search ? plural(step.search.judged.length, "infill") + " judged" : plural(step.reveals.length, "token") + " revealed"}; ${milliseconds(step.ms)}` },
      h("span", { class: "yield" }, yieldOf(step)),
      h("span", { class: "stack" }, KINDS.map(([kind]) => counts[kind] ? h("span", { class: `share ${kind}`, vars: { "--part": counts[kind] / sums.mostRows } }) : null)));
    });
    fill("timeline", h("div", { class: "forward start", "data-step": 0, title: "before the first forward" }, h("span", { class: "yield" }, ""), h("span", { class: "stack" })), bars);
    const seek = (event) => {
      const bars = [...timeline.children];
      const bar = bars.find((bar) => event.clientX < bar.getBoundingClientRect().right) || bars[bars.length - 1];
      go(Number(bar.dataset.step), true);
    };
    timeline.addEventListener("pointerdown", (event) => {
      timeline.setPointerCapture(event.pointerId);
      seek(event);
    });
    timeline.addEventListener("pointermove", (event) => timeline.hasPointerCapture(event.pointerId) && seek(event));
  }

  function drawTable() {
    const table = (head, rows, className) => rows.length ? h("table", { class: className }, h("thead", null, h("tr", null, head.map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, rows)) : null;
    const head = ["forward", ...PLAIN_KINDS.map(([, name]) => name), "revealed", "time"];
    const rows = steps.flatMap((step, index) => {
      if (step.search) return [];
      const counts = countRows(step);
      return h("tr", null, h("th", { scope: "row" }, String(index + 1)), PLAIN_KINDS.map(([kind]) => h("td", null, counts[kind] ? String(counts[kind]) : "")),
        h("td", { class: "tokens" }, step.reveals.map((reveal) => chip(reveal.text, reveal.head === "clean" ? "" : "by-mask"))), h("td", null, milliseconds(step.ms)));
    });
    fill("table", table(head, rows, null), data.trace ? table(SEARCH_COLUMNS, searchTableRows(data), "of-search") : null);
  }

  const inOut = ({ search, reveals }) => (search ? `${plural(search.judged.length, "infill")} judged` : `${inWords(reveals.length)} out`);

  // ---- going on -------------------------------------------------------------------------------------------------

  function draw() {
    const state = stateAfter(data, now);
    const { title, say } = narrate(data, now);
    byId("story-title").textContent = title;
    fill("story", say.map((parts) => h("p", null, sayParts(parts))));
    drawCode(state);
    drawSure(state);
    drawLanes();
    drawCache(state);
    document.querySelectorAll(".forward").forEach((bar, index) => {
      bar.classList.toggle("past", index < now);
      bar.classList.toggle("current", index === now);
    });
    const step = now ? steps[now - 1] : null;
    fill("now", h("b", null, title), step ? ` · ${plural(rowsOf(step), "row")} in · ${inOut(step)} · ${milliseconds(step.ms)}` : null);
    const timeline = byId("timeline");
    timeline.setAttribute("aria-valuenow", String(now));
    timeline.setAttribute("aria-valuetext", title);
    for (const [id, at] of [["first", 0], ["back", 0], ["forth", steps.length], ["end", steps.length]]) byId(id).disabled = now === at;
    byId("code").classList.toggle("numbers", byId("numbers").checked);
    document.title = `${plain(data.path)} · ${title}`;
    keepInView();
  }

  /** Scroll the code, not the page, to what is new. */
  function keepInView() {
    const frame = byId("code");
    const target = frame.querySelector(".fresh") || frame.querySelector(".edge");
    if (!target) return;
    const inside = target.getBoundingClientRect();
    const around = frame.getBoundingClientRect();
    if (inside.top < around.top + 40 || inside.bottom > around.bottom - 40) frame.scrollTop += inside.top - around.top - around.height / 3;
  }

  function go(step, byHand) {
    const target = Math.max(0, Math.min(steps.length, step));
    if (byHand) pause();
    if (target === now) return;
    now = target;
    chosen = null;
    const inCode = byId("code").contains(document.activeElement);
    draw();
    if (inCode) byId("timeline").focus();
    try {
      history.replaceState(null, "", `#step=${now}`);
    } catch {
      // some viewers give a page no address to change
    }
  }

  function pause() {
    clearTimeout(timer);
    timer = null;
    byId("story").setAttribute("aria-live", "polite");
    drawPlay();
  }

  function play() {
    if (now >= steps.length) go(0, false);
    byId("story").setAttribute("aria-live", "off");
    schedule();
    drawPlay();
  }

  function schedule() {
    const speed = Number(byId("speed").value);
    const real = steps[now] && steps[now].ms ? steps[now].ms : 50;
    clearTimeout(timer);
    timer = setTimeout(() => {
      go(now + 1, false);
      if (now >= steps.length) pause();
      else schedule();
    }, speed || Math.max(30, real));
  }

  function drawPlay() {
    byId("play").classList.toggle("playing", timer !== null);
    byId("play").setAttribute("aria-label", timer === null ? "Play" : "Pause");
  }

  function changeSpeed(by) {
    const speed = byId("speed");
    speed.selectedIndex = Math.max(0, Math.min(speed.options.length - 1, speed.selectedIndex + by));
    if (timer !== null) schedule();
  }

  function onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("select, .lane, .beginnings, .search-tree, summary")) return;
    const token = event.target.closest(".tok[data-key]");
    if (token && moveInCode(token, event.key)) return event.preventDefault();
    const onButton = event.target.closest("button, input");
    const actions = {
      ArrowRight: () => go(now + 1, true),
      ArrowLeft: () => go(now - 1, true),
      ArrowUp: event.target.closest("#timeline") ? () => go(now + 1, true) : null,
      ArrowDown: event.target.closest("#timeline") ? () => go(now - 1, true) : null,
      PageUp: event.target.closest("#timeline") ? () => go(now + 10, true) : null,
      PageDown: event.target.closest("#timeline") ? () => go(now - 10, true) : null,
      Home: () => go(0, true),
      End: () => go(steps.length, true),
      " ": onButton ? null : () => (timer === null ? play() : pause()),
      "+": () => changeSpeed(1),
      "=": () => changeSpeed(1),
      "-": () => changeSpeed(-1),
      n: () => byId("numbers").click(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Arrow keys go through the tokens when one has the focus; Escape leaves them. */
  function moveInCode(token, key) {
    const tokens = [...byId("code").querySelectorAll(".tok[data-key][tabindex]")];
    const at = tokens.indexOf(token) + { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[key];
    if (key === "Escape") return byId("timeline").focus(), true;
    if (Number.isNaN(at)) return key === "Enter" || key === " ";
    const target = tokens[Math.max(0, Math.min(tokens.length - 1, at))];
    token.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
    return true;
  }

  function choose(event) {
    const token = event.target.closest && event.target.closest(".tok[data-key]");
    const focused = document.activeElement && document.activeElement.closest(".tok[data-key]");
    const key = token ? token.dataset.key : focused ? focused.dataset.key : null;
    if (key === chosen) return;
    chosen = key;
    drawSure(stateAfter(data, now));
  }

  function stepOfAddress() {
    const match = /^#step=(\d{1,6}|end)$/.exec(location.hash);
    return match ? (match[1] === "end" ? steps.length : Math.min(steps.length, Number(match[1]))) : null;
  }

  drawOnce();
  byId("app").hidden = false;
  drawCode(stateAfter(data, steps.length)); // so that the room it needs is there from the beginning
  now = stepOfAddress() ?? 0;
  draw();
  byId("first").addEventListener("click", () => go(0, true));
  byId("back").addEventListener("click", () => go(now - 1, true));
  byId("forth").addEventListener("click", () => go(now + 1, true));
  byId("end").addEventListener("click", () => go(steps.length, true));
  byId("play").addEventListener("click", () => (timer === null ? play() : pause()));
  byId("speed").addEventListener("change", () => timer !== null && schedule());
  byId("numbers").addEventListener("change", () => byId("code").classList.toggle("numbers", byId("numbers").checked));
  for (const event of ["pointerover", "pointerdown", "focusin", "focusout"]) byId("code").addEventListener(event, choose);
  byId("code").addEventListener("pointerleave", choose);
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", () => go(stepOfAddress() ?? now, true));
  window.addEventListener("resize", () => { byId("lanes").style.minHeight = ""; });
  window.addEventListener("beforeprint", () => { byId("all").open = true; });
})();
