// What a corpus is like: counts, lengths, languages and scripts, refused lines.

import { el, facts, number, table } from "./dom.js";
import { columns, rows } from "./charts.js";
import { language, percent, whole } from "./format.js";

const REASONS = {
  "empty": "empty", "too-long": "too long", "not-utf8": "not UTF-8", "control-character": "a control character", "bad-record": "not a record as it should be",
};

function reason(name) {
  return REASONS[name] ?? name.replaceAll("-", " ");
}

function lengths(title, { unit, mean, least, most, quantiles, histogram }) {
  const bars = histogram.map(({ start, stop, count }) => {
    const range = stop === null ? `${whole(start)} and more` : stop === start + 1 ? whole(start) : `${whole(start)} to ${whole(stop - 1)}`;
    return { label: whole(start), words: range, count };
  });
  const summary = `from ${whole(least)} to ${whole(most)} ${unit}, ${mean.toFixed(1)} on average; half of them up to ${whole(quantiles["0.5"])}`;
  return columns(title, bars, { axis: unit, summary, show: whole });
}

function shares(title, found, summary, named = (code) => code) {
  const bars = Object.entries(found).slice(0, 10).map(([code, share]) => ({ label: named(code), count: share }));
  return rows(title, bars, { axis: title, summary, show: (share) => percent(share, 1) });
}

export function statisticsView(corpus, { characters, words, languages, scripts }) {
  const sampled = `${whole(languages.sample)} sentences were looked at`;
  const agree = languages.agree === null ? "the declared language is not one that can be told" : `${percent(languages.agree)} look like the declared language`;
  return el("div", {},
    facts([["Sentences", whole(corpus.sentences)], ["Lines", whole(corpus.lines)], ["Duplicates", whole(corpus.duplicates)],
      ["Refused lines", whole(Object.values(corpus.refused).reduce((sum, count) => sum + count, 0))], ["Version", whole(corpus.version)]]),
    el("div", { class: "charts" }, lengths("Lengths in characters", characters), lengths("Lengths in words", words),
      shares("Languages", languages.shares, `${sampled}; ${agree}.`, (code) => language(code)),
      shares("Scripts", scripts, "Shares of the letters.")));
}

export function refusedView(corpus, { items, next_cursor: more }) {
  if (!items.length) return el("p", {}, "No line was refused.");
  const counts = Object.entries(corpus.refused).map(([name, count]) => `${reason(name)}: ${whole(count)}`);
  const found = items.map((line) => [line.source || "(no name)", number(whole(line.line)), reason(line.reason), line.detail]);
  return el("details", { open: items.length <= 10 }, el("summary", {}, `Refused lines (${counts.join(", ")})`),
    table("Refused lines", ["File", "#Line", "Reason", "What is wrong"], found), more ? el("p", { class: "note" }, "The first 100 are shown.") : null);
}
