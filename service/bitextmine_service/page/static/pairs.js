// Sentence pairs and sentences, as tables.

import { el } from "./dom.js";
import { score, textOf } from "./format.js";

/** A sentence in its own language and direction. */
export function sentence(text, lang) {
  return el("span", { class: "sentence", ...textOf(lang) }, text);
}

/** Pairs in a table. `more(pair)` gives further cells, named in `head`. */
export function pairTable(caption, pairs, langs, { head = [], more = () => [] } = {}) {
  const cosines = pairs.some((pair) => pair.cosine !== undefined); // judgements keep none
  const columns = ["Margin", ...(cosines ? ["Cosine"] : []), "Source", "Target", ...head];
  const rows = pairs.map((pair) => el("tr", { "data-src": pair.src_row, "data-tgt": pair.tgt_row, "data-margin": pair.margin },
    el("td", { class: "number" }, score(pair.margin)), cosines ? el("td", { class: "number" }, score(pair.cosine)) : null,
    el("td", { class: "text" }, sentence(pair.src, langs.src)), el("td", { class: "text" }, sentence(pair.tgt, langs.tgt)),
    more(pair).map((cell) => el("td", {}, cell))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", { class: "pairs" }, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows)));
}
