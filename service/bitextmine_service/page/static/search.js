// The search box: a sentence, and the nearest sentences of all corpora that can be searched.

import { byId, el, say, show } from "./dom.js";
import { all, send } from "./api.js";
import { doing } from "./shell.js";
import { offerLanguages } from "./encoders.js";
import { language, score, whole } from "./format.js";
import { sentence } from "./pairs.js";

const MOST_CORPORA = 64; // of a request

/** Make the search box work, by these encoders. */
export async function startSearch(encoders) {
  const corpora = await all("v1/corpora");
  const langs = [...new Set(corpora.map((corpus) => corpus.lang))];
  const spoken = [...new Set(encoders.flatMap((encoder) => encoder.languages))];
  offerLanguages(byId("search-lang"), spoken, spoken.includes("eng_Latn") ? "eng_Latn" : spoken[0]);
  const select = byId("search-in");
  select.append(...langs.map((lang) => el("option", { value: lang }, language(lang))));
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(byId("search-go"), () => search(encoders, parted(chosen(select.value, langs), corpora)));
  });
}

/** The languages to search: one, all, or all but that of the sentence. */
function chosen(wanted, langs) {
  if (wanted === "others") return langs.filter((lang) => lang !== byId("search-lang").value);
  return wanted ? [wanted] : langs;
}

/** As many of the languages as one request can search all corpora of, at least one, and those that are left out. */
function parted(langs, corpora) {
  let searched = 0;
  const fit = langs.filter((lang) => {
    const count = corpora.filter((corpus) => corpus.lang === lang).length;
    const fits = searched === 0 || searched + count <= MOST_CORPORA;
    if (fits) searched += count;
    return fits;
  });
  return { langs: fit, left: langs.filter((lang) => !fit.includes(lang)) };
}

async function search(encoders, { langs, left }) {
  if (!langs.length) {
    show(byId("hits"), el("p", { class: "note" }, "There is no corpus of another language yet: ", el("a", { href: "./corpora" }, "upload one"), "."));
    return;
  }
  const lang = byId("search-lang").value;
  const encoder = encoders.find((each) => each.languages.includes(lang)) ?? encoders[0];
  const found = await send("POST", "v1/search", {
    texts: [byId("search-text").value], lang, langs, k: byId("search-k").valueAsNumber || 10, encoder: encoder.name, allow_uncovered_languages: true,
  });
  const { hits } = found.results[0];
  show(byId("hits"), hits.length ? el("ol", { class: "hits" }, hits.map(hit)) : el("p", {}, "Nothing was found."), coverage(found, left));
  say(`${hits.length} hits`);
}

function hit(found) {
  const place = `${found.corpus}, ${found.source} line ${whole(found.line)}${found.doc_id ? `, document ${found.doc_id}` : ""}`;
  return el("li", {}, el("p", { class: "big" }, sentence(found.text, found.lang)),
    el("p", { class: "note" }, el("span", { class: "tag" }, `margin ${score(found.margin)}`),
      el("span", { class: "tag" }, `cosine ${score(found.cosine)}`), el("span", { class: "tag" }, language(found.lang)), place));
}

/** What was searched, and what could not be. */
function coverage({ searched, skipped }, left) {
  const sentences = searched.reduce((sum, each) => sum + each.sentences, 0);
  const without = skipped.length
    ? ` Not searchable yet: ${skipped.map((each) => each.corpus).join(", ")}; index them on the page Corpora.` : "";
  const others = left.length
    ? ` A search takes ${MOST_CORPORA} corpora at most, so ${left.map(language).join(", ")} were left out: choose one of them under "Search in".` : "";
  return el("p", { class: "note" }, `${whole(sentences)} sentences of ${whole(searched.length)} corpora were searched.${without}${others}`);
}
