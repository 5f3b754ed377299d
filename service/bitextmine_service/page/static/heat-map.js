// A table of languages by languages, warmer where there is more.

import { el } from "./dom.js";
import { language, percent, whole } from "./format.js";

const WARMTHS = 6;

/** Cells: {src_lang, tgt_lang, name, pairs, share, href, state, error}; `by` is pairs or share. */
export function heatMap(cells, by) {
  const langs = [...new Set(cells.flatMap((cell) => [cell.src_lang, cell.tgt_lang]))]
    .sort((a, b) => language(a).localeCompare(language(b)));
  const places = new Map();
  for (const cell of cells) {
    const place = `${cell.src_lang} ${cell.tgt_lang}`;
    places.set(place, [...(places.get(place) ?? []), cell]);
  }
  const warmth = warmths([...places.values()].map((found) => best(found, by)[by]).filter((value) => value !== null), by);
  const head = el("tr", {}, el("th", { scope: "col" }, "Source"), langs.map((lang) => el("th", { scope: "col" }, language(lang))));
  const rows = langs.map((src) => el("tr", {}, el("th", { scope: "row" }, language(src)),
    langs.map((tgt) => drawn(places.get(`${src} ${tgt}`), by, warmth))));
  const caption = `Pairs by source (rows) and target (columns), ${by === "pairs" ? "in numbers" : "as shares of the smaller side"}`;
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Heat map" },
    el("table", { class: "heat" }, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, rows)));
}

/** The warmth of a value, from 0: the least of all are cold, the most are warm; numbers of pairs by their logarithms. */
function warmths(values, by) {
  const scaled = by === "pairs" ? Math.log1p : (value) => value;
  const [least, most] = [Math.min(...values), Math.max(...values)].map(scaled);
  return (value) => (most > least ? Math.min(Math.floor((WARMTHS * (scaled(value) - least)) / (most - least)), WARMTHS - 1) : WARMTHS - 1);
}

/** Of several bitexts of two languages the one with the most stands for all. */
function best(found, by) {
  return found.reduce((a, b) => ((b[by] ?? -1) > (a[by] ?? -1) ? b : a));
}

function drawn(found, by, warmth) {
  if (!found) return el("td", {}, el("span", { class: "hidden" }, "none"));
  const most = best(found, by);
  if (most[by] === null) return el("td", { class: most.error ? "failed" : "", title: most.error || most.name }, most.state);
  const text = by === "pairs" ? whole(most.pairs) : percent(most.share, 1);
  const more = found.length > 1 ? ` (the most of ${found.length})` : "";
  const link = most.href ? el("a", { href: most.href, title: `${most.name}${more}` }, text) : text;
  return el("td", { class: `number warm-${warmth(most[by])}` }, link);
}
