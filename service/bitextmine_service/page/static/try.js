// Try it: two texts become temporary corpora, a bitext, and a table of pairs.

import { byId, el, say, show } from "./dom.js";
import { get, send } from "./api.js";
import { doing, problem } from "./shell.js";
import { follow } from "./events.js";
import { uploadCorpus } from "./upload.js";
import { installedEncoders, offerEncoders, offerLanguages } from "./encoders.js";
import { progressBar } from "./progress.js";
import { pairTable } from "./pairs.js";
import { bytes, whole } from "./format.js";
import { startSearch } from "./search.js";

const SIDES = ["src", "tgt"];
const SHOWN = 200;
const EXAMPLE = {
  src: ["deu_Latn", "Der Zug nach Berlin hat heute zwanzig Minuten Verspätung.", "Im Garten blühen die ersten Rosen.",
    "Sie hat das Buch in einer Nacht gelesen.", "Morgen soll es in den Bergen schneien.", "Das Museum ist montags geschlossen."],
  tgt: ["eng_Latn", "The museum is closed on Mondays.", "Nobody answered the telephone.", "She read the book in one night.",
    "The train to Berlin is twenty minutes late today.", "Snow is expected in the mountains tomorrow."],
};

let encoders = [];

/** What a side holds: a file that was chosen or dropped, or the text. */
function content(side) {
  return byId(`${side}-file`).files[0] ?? new File([byId(`${side}-text`).value], "pasted.txt");
}

function offer() {
  const encoder = encoders.find((each) => each.name === byId("try-encoder").value);
  for (const side of SIDES) offerLanguages(byId(`${side}-lang`), encoder.languages, byId(`${side}-lang`).value || EXAMPLE[side][0]);
}

function acceptDrops(side) {
  const zone = byId(`${side}-side`);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("dropping");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("dropping"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("dropping");
    if (event.dataTransfer.files.length) byId(`${side}-file`).files = event.dataTransfer.files;
  });
}

async function finished(job, bar) {
  const done = await follow(job.id, { onProgress: bar.update, onJob: (state) => state.state === "queued" && bar.wait("waiting for a worker") });
  if (done.state === "succeeded") return done;
  throw Object.assign(new Error(done.error?.detail ?? `the job was ${done.state}`), { code: done.error?.code ?? done.state });
}

async function corpusOf(side, name, bar, made) {
  const file = content(side);
  const where = side === "src" ? "source" : "target";
  if (!file.size) throw Object.assign(new Error(`there is no ${where} text`), { code: "nothing-given" });
  const tell = (sent, all) => bar.update({ stage: `sending the ${where}`, done: sent, total: all });
  const job = await uploadCorpus(file, { name, lang: byId(`${side}-lang`).value }, tell);
  made.push({ path: `v1/jobs/${job.id}` });
  const ended = await finished(job, bar);
  made.unshift({ path: `v1/corpora/${name}`, name });
  return (await get(`v1/corpora/${name}`)).sentences ?? ended.result.sentences;
}

async function mined(names, k, bar, made) {
  const request = { src: names.src, tgt: names.tgt, encoder: byId("try-encoder").value, k };
  const job = await send("POST", "v1/mining-jobs", request);
  made.push({ path: `v1/jobs/${job.id}` });
  const { bitext } = (await finished(job, bar)).result;
  made.push({ path: `v1/bitexts/${bitext}`, bitext });
  return bitext;
}

/** Delete what was made, and say what could not be. */
async function tidied(made) {
  const left = [];
  for (const { path, name } of made) {
    await send("DELETE", path).catch((error) => {
      if (error.status !== 404 && name) left.push(name);
    });
  }
  return left.length ? `These temporary corpora could not be deleted: ${left.join(", ")}.` : "The temporary corpora were deleted.";
}

async function go() {
  const stem = `try-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const names = { src: `${stem}-src`, tgt: `${stem}-tgt` };
  const langs = { src: byId("src-lang").value, tgt: byId("tgt-lang").value };
  const keep = byId("try-keep").checked;
  const made = [];
  const bar = progressBar("Finding pairs");
  show(byId("try-pairs"));
  show(byId("try-progress"), bar.element, el("p", { class: "note" }, `Temporary corpora: ${names.src}, ${names.tgt}`));
  let kept = false;
  try {
    const sides = await Promise.allSettled(SIDES.map((side) => corpusOf(side, names[side], bar, made)));
    const failed = sides.find((side) => side.status === "rejected");
    if (failed) throw failed.reason;
    const counts = sides.map((side) => side.value);
    const bitext = await mined(names, Math.min(4, ...counts), bar, made);
    const page = await get(`v1/bitexts/${bitext}/pairs`, { limit: SHOWN });
    kept = keep;
    bar.finish(`${whole(page.total)} pairs of ${whole(counts[0])} and ${whole(counts[1])} sentences`);
    show(byId("try-pairs"), pairTable("Pairs, the best first", page.items, langs));
    say(`${page.total} pairs found`);
    const where = el("p", { class: "note" }, kept ? `Kept as the corpora ${names.src} and ${names.tgt}: ` : await tidied(made));
    if (kept) where.append(el("a", { href: `./bitexts?id=${bitext}` }, "open the bitext"));
    show(byId("try-progress"), bar.element, where);
  } catch (error) {
    show(byId("try-progress"), el("p", { class: "note" }, await tidied(made)));
    throw error;
  }
}

function fill() {
  for (const side of SIDES) {
    const [lang, ...lines] = EXAMPLE[side];
    byId(`${side}-lang`).value = lang;
    byId(`${side}-text`).value = lines.join("\n");
    byId(`${side}-file`).value = "";
  }
}

function start() {
  for (const side of SIDES) {
    acceptDrops(side);
    byId(`${side}-file`).addEventListener("change", () => say(bytes(content(side).size)));
  }
  byId("try-encoder").addEventListener("change", offer);
  byId("try-example").addEventListener("click", fill);
  byId("try-form").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(byId("try-go"), go);
  });
  return installedEncoders().then((found) => {
    encoders = found;
    if (!encoders.length) throw Object.assign(new Error("no encoder is installed: bitextmine encoders pull muse"), { code: "encoder-not-installed" });
    offerEncoders(byId("try-encoder"), encoders);
    offer();
    return startSearch(encoders);
  });
}

start().catch(problem);
