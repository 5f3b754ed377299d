// Jobs: list with filters, one job live, the plan of a mining job, and sending it.

import { asked, byId, el, say, show, table, unbroken } from "./dom.js";
import { all, get, send } from "./api.js";
import { doing, problem } from "./shell.js";
import { follow, isOver } from "./events.js";
import { installedEncoders, offerEncoders } from "./encoders.js";
import { jobTitle, jobView, planView } from "./job-view.js";
import { inWords } from "./progress.js";
import { time } from "./format.js";

const PAGE = 25;
let applied = {}; // the filters of what is shown: those of the form may have been changed since
let cursor = null;
let shown = [];

function filters() {
  return { state: byId("filter-state").value, kind: byId("filter-kind").value, corpus: byId("filter-corpus").value };
}

function outcome(job) {
  if (job.error) return job.error.detail;
  if (job.links.bitext) return el("a", { href: `./bitexts?id=${job.result.bitext}` }, "bitext");
  if (job.links.corpus) return el("a", { href: `./corpora?name=${job.result.corpus}` }, job.result.corpus);
  if (job.kind === "matrix" && job.result) return el("a", { href: `./matrix?job=${job.id}` }, "matrix");
  return job.progress ? inWords(job.progress) : "";
}

function render() {
  const rows = shown.map((job) => [
    el("a", { href: `./jobs?id=${job.id}` }, jobTitle(job)), el("span", { class: `state ${job.state}` }, job.state), unbroken(time(job.created)), outcome(job),
  ]);
  const none = el("p", { class: "note" }, "No job is like that.");
  show(byId("jobs"), rows.length ? table("Jobs, the newest first", ["Job", "State", "Sent", "Outcome"], rows) : none);
  byId("more").hidden = !cursor;
}

async function list(further = false) {
  const page = await get("v1/jobs", { ...applied, limit: PAGE, cursor: further ? cursor : null });
  cursor = page.next_cursor;
  shown = further ? [...shown, ...page.items] : page.items;
  render();
}

function filter() {
  applied = filters();
  return list();
}

/** Show a job and follow it to its end. */
async function detail(id) {
  const place = byId("job");
  let view = null;
  const draw = (job) => {
    view = jobView(job, { cancel: () => act("cancel", job), retry: () => act("retry", job) });
    show(place, view.element);
  };
  const first = await get(`v1/jobs/${encodeURIComponent(id)}`);
  draw(first);
  if (isOver(first)) return;
  const done = await follow(first.id, { onJob: draw, onProgress: (progress) => view.update(progress) });
  if (done) say(`the job has ${done.state}`);
  await list();
}

async function act(verb, job) {
  await doing(null, async () => {
    const changed = await send("POST", `v1/jobs/${job.id}/${verb}`);
    if (verb === "retry") location.assign(`./jobs?id=${changed.id}`);
    else say("the job is being cancelled");
  });
}

function request() {
  const threshold = byId("mine-threshold").valueAsNumber;
  return {
    src: byId("mine-src").value, tgt: byId("mine-tgt").value, encoder: byId("mine-encoder").value, k: byId("mine-k").valueAsNumber,
    ...(Number.isNaN(threshold) ? {} : { threshold }),
  };
}

async function plan() {
  const { src, tgt, encoder, k } = request();
  show(byId("plan"), planView(await get("v1/plan", { src, tgt, encoder, k })));
}

async function mine() {
  const job = await send("POST", "v1/mining-jobs", request());
  location.assign(`./jobs?id=${job.id}`);
}

async function start() {
  const listening = [["filters", filter], ["mine-form", () => doing(byId("mine-go"), mine)]];
  for (const [id, act_] of listening) {
    byId(id).addEventListener("submit", (event) => {
      event.preventDefault();
      Promise.resolve(act_()).catch(problem);
    });
  }
  byId("plan-go").addEventListener("click", () => doing(byId("plan-go"), plan));
  byId("more").addEventListener("click", () => doing(byId("more"), () => list(true)));
  const id = asked("id");
  if (id) detail(id).catch(problem);
  await filter();
  offerEncoders(byId("mine-encoder"), await installedEncoders());
  const corpora = await all("v1/corpora");
  for (const [place, chosen] of [["mine-src", 0], ["mine-tgt", 1]]) {
    show(byId(place), corpora.map((corpus, index) => el("option", { value: corpus.name, selected: index === chosen }, `${corpus.name} (${corpus.lang})`)));
  }
}

start().catch(problem);
