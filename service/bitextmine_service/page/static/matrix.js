// The heat map of language pairs: of all bitexts, or of a matrix job, live; and the form that sends one.

import { asked, byId, el, number, say, show, table } from "./dom.js";
import { all, get, send } from "./api.js";
import { doing, problem } from "./shell.js";
import { follow, isOver } from "./events.js";
import { installedEncoders, offerEncoders } from "./encoders.js";
import { heatMap } from "./heat-map.js";
import { language, percent, score, time, whole } from "./format.js";

const LOOK_EVERY = 2000; // milliseconds, while a job runs

let cells = [];

function share(pairs, src, tgt) {
  return pairs / Math.max(Math.min(src, tgt), 1);
}

/** Cells of all bitexts: {src_lang, tgt_lang, name, pairs, share, href}. */
function ofBitexts(bitexts) {
  return bitexts.map((each) => ({
    src_lang: each.src_lang, tgt_lang: each.tgt_lang, name: `${each.src_source}, ${each.tgt_source}`, pairs: each.pairs,
    share: share(each.pairs, each.src_sentences, each.tgt_sentences), href: `./bitexts?id=${each.id}`, state: "done",
    threshold: each.threshold,
  }));
}

/** The same of the report of a matrix job. */
function ofReport({ pairs, corpora }) {
  return pairs.map((pair) => ({
    src_lang: pair.src_lang, tgt_lang: pair.tgt_lang, name: `${pair.src}, ${pair.tgt}`, state: pair.state, error: pair.error,
    pairs: pair.result.pairs ?? null, threshold: pair.result.threshold?.value ?? null,
    share: pair.result.pairs === undefined ? null : share(pair.result.pairs, corpora[pair.src].sentences, corpora[pair.tgt].sentences),
    href: pair.result.bitext ? `./bitexts?id=${pair.result.bitext}` : null,
  }));
}

function draw() {
  const known = cells.filter((cell) => cell.src_lang !== cell.tgt_lang || cell.pairs !== null);
  show(byId("matrix"), known.length ? heatMap(known, byId("matrix-color").value)
    : el("p", { class: "note" }, "Nothing was mined yet."));
  const rows = known.map((cell) => [
    cell.href ? el("a", { href: cell.href }, cell.name) : cell.name, language(cell.src_lang), language(cell.tgt_lang), cell.error || cell.state,
    number(cell.pairs === null ? "-" : whole(cell.pairs)), number(cell.share === null ? "-" : percent(cell.share, 1)), number(score(cell.threshold)),
  ]);
  show(byId("matrix-pairs"), known.length ? el("details", {}, el("summary", {}, "As a list"),
    table("Pairs of corpora", ["Corpora", "Source", "Target", "State", "#Pairs", "#Share", "#Threshold"], rows)) : null);
}

async function showBitexts() {
  show(byId("matrix-state"));
  cells = ofBitexts(await all("v1/bitexts"));
  draw();
}

async function report(id) {
  try {
    cells = ofReport(await get(`v1/matrix-jobs/${id}/report`));
  } catch (error) {
    if (error.code !== "matrix-not-found") throw error; // it ended before it had begun
  }
  draw();
}

function inWords() {
  const done = cells.filter((cell) => cell.state === "done").length;
  return `${whole(done)} of ${whole(cells.length)} pairs of corpora are done.`;
}

/** Show a matrix job, and follow it while it runs. */
async function showJob(id) {
  let job = await get(`v1/jobs/${encodeURIComponent(id)}`);
  const begun = () => isOver(job) || job.stages?.length > 0; // only then there is a report
  if (begun()) await report(id);
  const tell = () => show(byId("matrix-state"), el("p", {}, el("span", { class: `state ${job.state}`, id: "matrix-job-state" }, job.state),
    ` ${inWords()} `, el("a", { href: `./jobs?id=${job.id}` }, "the job")), job.error ? el("p", { class: "problem" }, job.error.detail) : null);
  tell();
  if (isOver(job)) return;
  const looking = setInterval(() => begun() && report(id).then(tell).catch(problem), LOOK_EVERY);
  const onProgress = () => { job = { ...job, stages: [true] }; };
  try {
    job = (await follow(id, { onProgress, onJob: (state) => { job = state; tell(); } })) ?? job;
  } finally {
    clearInterval(looking);
  }
  await report(id);
  tell();
  say(`${job.state}: ${inWords()}`);
}

async function offerJobs(chosen) {
  const { items } = await get("v1/jobs", { kind: "matrix", limit: 50 });
  byId("matrix-of").append(...items.map((job) => {
    const names = Object.keys(job.request.corpora ?? {});
    return el("option", { value: job.id, selected: job.id === chosen }, `matrix job of ${time(job.created)}, ${whole(names.length)} corpora`);
  }));
}

async function offerCorpora() {
  const corpora = await all("v1/corpora");
  show(byId("matrix-corpora"), corpora.map((corpus) => {
    const box = el("input", { type: "checkbox", name: "corpus", value: corpus.name });
    return el("label", { class: "check" }, box, `${corpus.name} (${language(corpus.lang)}, ${whole(corpus.sentences)})`);
  }), corpora.length ? null : el("p", { class: "note" }, "There is none yet."));
}

async function sendJob() {
  const corpora = [...byId("matrix-corpora").querySelectorAll(":checked")].map((box) => box.value);
  const precision = byId("matrix-precision").valueAsNumber;
  const request = { corpora, encoder: byId("matrix-encoder").value, ...(Number.isNaN(precision) ? {} : { precision }) };
  const job = await send("POST", "v1/matrix-jobs", request);
  location.assign(`./matrix?job=${job.id}`);
}

async function start() {
  const id = asked("job");
  byId("matrix-color").addEventListener("change", draw);
  byId("matrix-of").addEventListener("change", (event) => location.assign(event.target.value ? `./matrix?job=${event.target.value}` : "./matrix"));
  byId("matrix-form").addEventListener("submit", (event) => event.preventDefault());
  byId("matrix-job").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(byId("matrix-go"), sendJob);
  });
  const shown = (id ? showJob(id) : showBitexts()).catch(problem);
  offerEncoders(byId("matrix-encoder"), await installedEncoders());
  await Promise.all([offerJobs(id), offerCorpora()]);
  await shown;
}

start().catch(problem);
