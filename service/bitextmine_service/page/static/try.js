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

/** Make a corpus of a side. What is to be deleted has a source of its run's own: with the file's name alone, a kept bitext of
 * the same sentences would be the same bitext. */
async function corpusOf(side, { names, keep, made }, bar) {
  const file = content(side);
  const name = names[side];
  const source = keep ? file.name : `${name} ${file.name.slice(-100)}`;
  const where = side === "src" ? "source" : "target";
  if (!file.size) throw Object.assign(new Error(`there is no ${where} text`), { code: "nothing-given" });
  const tell = (sent, all) => bar.update({ stage: `sending the ${where}`, done: sent, total: all });
  const job = await uploadCorpus(file, { name, source, lang: byId(`${side}-lang`).value }, tell);
  made.push({ path: `v1/jobs/${job.id}` });
  const ended = await finished(job, bar);
  made.unshift({ path: `v1/corpora/${name}`, name });
  return (await get(`v1/corpora/${name}`)).sentences ?? ended.result.sentences;
}

async function mined({ names, made }, k, bar) {
  const request = { src: names.src, tgt: names.tgt, encoder: byId("try-encoder").value, k };
  const job = await send("POST", "v1/mining-jobs", request);
  made.push({ path: `v1/jobs/${job.id}` });
  const { result: { bitext }, started } = await finished(job, bar);
  const { created } = await get(`v1/bitexts/${bitext}`);
  if (new Date(created) >= new Date(started)) made.push({ path: `v1/bitexts/${bitext}` }); // else it was there before
  return bitext;
}

function note(...words) {
  return el("p", { class: "note" }, words);
}

/** Delete what was made, and say what could not be. */
async function tidied(made) {
  const left = [];
  for (const { path, name } of made) {
    await send("DELETE", path).catch((error) => {
      if (error.status !== 404 && name) left.push(name);
    });
  }
  return note(left.length ? `These temporary corpora could not be deleted: ${left.join(", ")}.` : "The temporary corpora were deleted.");
}

async function go() {
  const stem = `try-${Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("")}`;
  const names = { src: `${stem}-src`, tgt: `${stem}-tgt` };
  const langs = { src: byId("src-lang").value, tgt: byId("tgt-lang").value };
  const run = { names, keep: byId("try-keep").checked, made: [] };
  const bar = progressBar("Finding pairs");
  show(byId("try-pairs"));
  show(byId("try-progress"), bar.element, note(`${run.keep ? "Corpora" : "Temporary corpora"}: ${names.src}, ${names.tgt}`));
  let outcome = () => tidied(run.made);
  try {
    const sides = await Promise.allSettled(SIDES.map((side) => corpusOf(side, run, bar)));
    const failed = sides.find((side) => side.status === "rejected");
    if (failed) throw failed.reason;
    const counts = sides.map((side) => side.value);
    const bitext = await mined(run, Math.min(4, ...counts), bar);
    if (run.keep) outcome = () => note(`Kept as the corpora ${names.src} and ${names.tgt}: `, el("a", { href: `./bitexts?id=${bitext}` }, "open the bitext"));
    const page = await get(`v1/bitexts/${bitext}/pairs`, { limit: SHOWN });
    bar.finish(`${whole(page.total)} pairs of ${whole(counts[0])} and ${whole(counts[1])} sentences`);
    show(byId("try-pairs"), pairTable("Pairs, the best first", page.items, langs));
    say(`${page.total} pairs found`);
    show(byId("try-progress"), bar.element, await outcome());
  } catch (error) {
    show(byId("try-progress"), await outcome());
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
