// Bitexts: the list, and one of them with its threshold, its pairs, and what is said of them.

import { asked, byId, el, facts, number, say, show, table, unbroken } from "./dom.js";
import { all, answered, get, save, send } from "./api.js";
import { doing, problem } from "./shell.js";
import { Threshold } from "./threshold.js";
import { Judging } from "./judging.js";
import { Words } from "./words.js";
import { filtersView } from "./filters.js";
import { duration, language, score, time, whole } from "./format.js";

const SHOWN = 20;
const NEAR = 3; // bins to each side

let bitext = null;
let threshold = null;
let judging = null;

function path(rest = "") {
  return `v1/bitexts/${bitext.id}${rest}`;
}

async function list() {
  const found = await all("v1/bitexts");
  const rows = found.map((each) => [
    el("a", { href: `./bitexts?id=${each.id}` }, `${each.src_source || "(no name)"}, ${each.tgt_source || "(no name)"}`),
    `${language(each.src_lang)}, ${language(each.tgt_lang)}`, number(whole(each.pairs)), each.encoder, each.filtered_from ? "filtered" : each.made_by, unbroken(time(each.created)),
  ]);
  const head = ["Made of", "Languages", "#Pairs", "Encoder", "By", "Made"];
  show(byId("bitexts"), rows.length ? table("Bitexts, the newest first", head, rows)
    : el("p", { class: "note" }, "There is none yet: ", el("a", { href: "./jobs" }, "mine two corpora"), "."));
}

function thresholdWhenMined() {
  return bitext.threshold === null ? "none" : score(bitext.threshold);
}

function describe() {
  byId("bitext-title").textContent = `${language(bitext.src_lang)} and ${language(bitext.tgt_lang)}`;
  const spent = Object.values(bitext.seconds).reduce((sum, each) => sum + each, 0);
  show(byId("bitext-facts"), facts([
    ["Source", `${bitext.src_source} (${whole(bitext.src_sentences)})`], ["Target", `${bitext.tgt_source} (${whole(bitext.tgt_sentences)})`],
    ["Pairs", whole(bitext.pairs)], ["Encoder", bitext.encoder], ["Margin", bitext.margin === null ? "the score of its alignment" : `${bitext.margin}, k = ${bitext.k}`],
    ["Pairs kept", bitext.retrieval], ["Threshold when mined", bitext.made_by === "mining" ? thresholdWhenMined() : null],
    ["Made in", duration(spent)],
  ]));
}

/** What the choice beside "Show" stands for: pairs, and what to call them. */
async function wanted() {
  const bounds = threshold.bounds(NEAR);
  const sampled = { size: SHOWN };
  switch (byId("which").value) {
    case "near": return ["Random pairs near the threshold", await get(path("/sample"), { ...sampled, ...bounds.near })];
    case "below": return ["Random pairs below the threshold", bounds.below ? await get(path("/sample"), { ...sampled, ...bounds.below }) : { items: [], total: 0 }];
    case "best": return ["The best pairs", await get(path("/pairs"), { limit: SHOWN, ...bounds.kept })];
    case "worst": return ["The worst pairs that stay", await get(path("/pairs"), { limit: SHOWN, order: "asc", ...bounds.kept })];
    case "judged": {
      const { items } = await get(path("/judgements"));
      return ["The pairs that were judged", { items, total: items.length }];
    }
    default: return ["Random pairs that stay", await get(path("/sample"), { ...sampled, ...bounds.kept })];
  }
}

async function showPairs() {
  const [title, { items, total }] = await wanted();
  const caption = `${title}: ${whole(items.length)} of ${whole(total)}`;
  show(byId("pairs"), items.length ? judging.table(caption, items) : el("p", { class: "note" }, `${title}: there are none.`));
  threshold.dim(byId("pairs"));
  say(caption);
}

async function download() {
  const form = byId("format").value;
  const compress = form === "moses" ? null : byId("compress").value;
  await save(path("/download"), { format: form, compress, ...threshold.bounds(NEAR).kept });
}

async function downloadJudged() {
  const response = await answered(path("/judgements"));
  const { items } = await response.json();
  const lines = items.map((item) => `${JSON.stringify(item)}\n`);
  const link = el("a", { download: `judgements-${bitext.id.slice(0, 12)}.jsonl` });
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function remove() {
  if (!confirm(`Delete this bitext of ${whole(bitext.pairs)} pairs, and what was said of them?`)) return;
  await send("DELETE", path());
  location.assign("./bitexts");
}

async function open(id) {
  bitext = await get(`v1/bitexts/${encodeURIComponent(id)}`);
  byId("bitext").hidden = false;
  describe();
  threshold = new Threshold(() => get(path("/histogram"), { bins: 120 }));
  judging = new Judging(path("/judgements"), { src: bitext.src_lang, tgt: bitext.tgt_lang }, new Words(bitext.encoder), () => threshold.load());
  show(byId("filters"), filtersView(bitext));
  const listening = [["download-form", "submit", "download", download], ["pairs-form", "submit", "show", showPairs],
    ["delete", "click", "delete", remove], ["download-judged", "click", "download-judged", downloadJudged]];
  for (const [from, kind, button, work] of listening) {
    byId(from).addEventListener(kind, (event) => {
      event.preventDefault();
      doing(byId(button), work);
    });
  }
  await Promise.all([threshold.load(), judging.load()]);
  await showPairs();
}

const id = asked("id");
if (id) open(id).catch(problem);
list().catch(problem);
