// Corpora: upload, list, look at, index for search, delete.

import { asked, byId, el, number, say, show, table, unbroken } from "./dom.js";
import { all, get, send } from "./api.js";
import { doing, problem } from "./shell.js";
import { follow } from "./events.js";
import { uploadCorpus } from "./upload.js";
import { installedEncoders, offerEncoders } from "./encoders.js";
import { progressBar } from "./progress.js";
import { statisticsView, refusedView } from "./statistics.js";
import { bytes, language, time, whole } from "./format.js";

let encoders = [];

function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function list() {
  const corpora = await all("v1/corpora");
  const rows = corpora.map((corpus) => [
    el("a", { href: `./corpora?name=${encodeURIComponent(corpus.name)}` }, corpus.name), language(corpus.lang),
    number(whole(corpus.sentences)), number(whole(corpus.duplicates)), number(whole(total(corpus.refused))), unbroken(time(corpus.updated)),
  ]);
  const head = ["Name", "Language", "#Sentences", "#Duplicates", "#Refused", "Changed"];
  show(byId("corpora"), corpora.length ? table("Corpora", head, rows) : el("p", { class: "note" }, "There is none yet."));
}

/** Follow a job below `place`, in words. */
async function followed(job, place, label) {
  const bar = progressBar(label);
  show(place, bar.element, el("p", { class: "note" }, el("a", { href: `./jobs?id=${job.id}` }, "the job")));
  const done = await follow(job.id, { onProgress: bar.update, onJob: (state) => state.state === "queued" && bar.wait("waiting for a worker") });
  bar.finish(done.state === "succeeded" ? `${label}: done` : `${label}: ${done.state}`);
  if (done.state !== "succeeded") throw Object.assign(new Error(done.error?.detail ?? done.state), { code: done.error?.code ?? done.state });
  return done;
}

async function upload() {
  const file = byId("upload-file").files[0];
  const place = byId("upload-progress");
  const bar = progressBar("Sending the file");
  show(place, bar.element);
  const wanted = { name: byId("upload-name").value, lang: byId("upload-lang").value.trim(), format: byId("upload-format").value };
  const tell = (done, size) => bar.part(done / size, `sent ${bytes(done)} of ${bytes(size)}`);
  const job = await uploadCorpus(file, wanted, tell);
  const done = await followed(job, place, `Making ${wanted.name}`);
  for (const warning of done.result?.warnings ?? []) place.append(el("p", { class: "warning" }, warning));
  place.append(el("p", {}, el("a", { href: `./corpora?name=${wanted.name}` }, `Look at ${wanted.name}`)));
  say(`${wanted.name} is ready`);
  await list();
}

async function remove(corpus) {
  const text = `Delete ${corpus.name}, ${whole(corpus.sentences)} sentences, with its vectors? Bitexts mined from it stay.`;
  if (!confirm(text)) return;
  await send("DELETE", `v1/corpora/${corpus.name}`);
  location.assign("./corpora");
}

function indexForm(corpus, indexes) {
  const select = el("select", { id: "index-encoder" });
  offerEncoders(select, encoders);
  const place = el("div", { id: "index-progress" });
  const button = el("button", { type: "button", id: "index-go" }, "Index for search");
  button.addEventListener("click", () => doing(button, async () => {
    const wanted = { encoder: select.value };
    await followed(await send("POST", `v1/corpora/${corpus.name}/indexes`, wanted), place, `Indexing by ${select.value}`);
    say("indexed");
  }));
  const known = indexes.map((index) => `${index.encoder} (${whole(index.sentences)} vectors${index.searchable ? ", searchable" : ", needs an index"})`);
  return el("div", {}, el("p", {}, known.length ? `Vectors by ${known.join("; ")}.` : "It has no vectors yet, so it cannot be searched."),
    el("p", { class: "row" }, el("label", { for: "index-encoder" }, "Encoder"), select, button), place);
}

async function detail(name) {
  const path = `v1/corpora/${encodeURIComponent(name)}`;
  const [corpus, statistics, refused, { items: indexes }] = await Promise.all(
    [get(path), get(`${path}/statistics`), get(`${path}/refused`, { limit: 100 }), get(`${path}/indexes`)]);
  const remover = el("button", { type: "button", class: "danger" }, "Delete");
  remover.addEventListener("click", () => doing(remover, () => remove(corpus)));
  const files = corpus.files.map((file) => [file.source || "(no name)", number(whole(file.lines)), number(whole(file.sentences))]);
  show(byId("corpus"), el("article", { class: "card" },
    el("h2", { id: "corpus-name" }, corpus.name), el("p", { class: "lead" }, language(corpus.lang)),
    corpus.warnings.map((warning) => el("p", { class: "warning" }, warning)),
    statisticsView(corpus, statistics),
    table("Files", ["File", "#Lines", "#New sentences"], files),
    refusedView(corpus, refused), el("h3", {}, "Search"), indexForm(corpus, indexes), el("p", { class: "row" }, remover)));
}

async function start() {
  byId("upload-form").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(byId("upload-go"), upload);
  });
  byId("upload-file").addEventListener("change", () => {
    const named = byId("upload-file").files[0]?.name.toLowerCase().replace(/\.(gz|xz|zst)$/, "").replace(/\.(txt|jsonl|tsv)$/, "");
    if (named && !byId("upload-name").value) byId("upload-name").value = named.replace(/[^a-z0-9._-]+/g, "-").replace(/^[^a-z0-9]+/, "").slice(0, 64);
  });
  encoders = await installedEncoders();
  const langs = [...new Set(encoders.flatMap((encoder) => encoder.languages))];
  show(byId("langs"), langs.map((lang) => el("option", { value: lang, label: language(lang) })));
  const name = asked("name");
  await Promise.all([list(), name && detail(name)]);
}

start().catch(problem);
