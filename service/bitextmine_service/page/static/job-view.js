// One job: what it is, where it is, what came of it, what can be done with it.

import { el, facts, number, table } from "./dom.js";
import { duration, time, whole } from "./format.js";
import { progressBar, stageTable } from "./progress.js";

const KINDS = { ingest: "Make corpus", index: "Index", mine: "Mine", score: "Score", matrix: "Matrix" };
const NAMED = 6; // corpora of a matrix, in its title

/** Mine news-de, news-en */
export function jobTitle({ kind, request }) {
  const named = [request.name, request.corpus, request.src, request.tgt, kind === "score" ? request.source : null];
  const names = [...named.filter((name) => typeof name === "string"), ...Object.keys(request.corpora ?? {})];
  const more = names.length > NAMED ? ` and ${whole(names.length - NAMED)} more` : "";
  return `${KINDS[kind] ?? kind} ${names.slice(0, NAMED).join(", ")}${more}`;
}

/** A job as an element; `update(progress)` moves its bar. `acts` has `cancel` and `retry`. */
export function jobView(job, acts) {
  const bar = progressBar("Progress");
  const live = job.state === "queued" || job.state === "running";
  if (job.progress) bar.update(job.progress);
  else bar.wait("waiting for a worker");
  const button = (verb, words) => job.links[verb] && el("button", { type: "button", class: "quiet", id: `job-${verb}`, onclick: acts[verb] }, words);
  const element = el("article", { class: "card" },
    el("h2", { id: "job-title" }, jobTitle(job)),
    el("p", {}, el("span", { class: `state ${job.state}`, id: "job-state" }, job.state), " ", job.cancel_requested && live ? "being cancelled" : ""),
    live ? bar.element : null,
    job.error ? el("p", { class: "problem" }, el("strong", {}, "It failed: "), job.error.detail, " ", el("code", {}, job.error.code)) : null,
    facts([["Sent", time(job.created)], ["Started", job.started && time(job.started)], ["Took", took(job)],
      ["Attempts", job.attempts > 1 ? whole(job.attempts) : null], ["Job", el("code", {}, job.id)]]),
    job.stages?.length ? stageTable(job.stages) : null,
    result(job), job.plan ? planView(job.plan) : null,
    el("p", { class: "row" }, button("cancel", "Cancel"), button("retry", "Try again")));
  return { element, update: bar.update };
}

/** src_truncated -> Source truncated */
function inFull(name) {
  const words = name.replace(/^src_/, "source_").replace(/^tgt_/, "target_").replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function took({ started, finished }) {
  return started && finished ? duration((new Date(finished) - new Date(started)) / 1000) : null;
}

function result({ kind, id, result: found, links }) {
  if (!found) return null;
  const link = links.bitext ? el("a", { class: "go", href: `./bitexts?id=${found.bitext}` }, "Open the bitext")
    : links.corpus ? el("a", { class: "go", href: `./corpora?name=${found.corpus}` }, "Look at the corpus")
      : kind === "matrix" ? el("a", { class: "go", href: `./matrix?job=${id}` }, "Look at the matrix") : null;
  const plain = Object.entries(found).filter(([name, value]) => (typeof value === "number" && value !== 0) || name === "pairs");
  const warnings = (found.warnings ?? []).map((warning) => el("p", { class: "warning" }, warning));
  return el("div", {}, warnings, facts(plain.map(([name, value]) => [inFull(name), Number.isInteger(value) ? whole(value) : value])),
    link ? el("p", {}, link) : null);
}

function size(count) {
  return count ? `${whole(Math.ceil(count / 1e6))} MB` : "-";
}

/** A plan, as it was made before the job was sent. */
export function planView(plan) {
  return plan.method === undefined ? matrixPlan(plan) : searchPlan(plan);
}

function matrixPlan(plan) {
  const embedding = plan.sentences_to_embed && plan.sentences_per_second ? duration(plan.embed_seconds) : null;
  return el("details", { class: "plan", open: true }, el("summary", {}, `The plan: ${plan.pairs === 1 ? "1 pair" : `${whole(plan.pairs)} pairs`} of corpora`),
    facts([["Sentences", whole(plan.sentences)], ["To be embedded", whole(plan.sentences_to_embed)], ["Embedding", embedding],
      ["Searching", duration(plan.search_seconds)], ["Memory", size(plan.memory_bytes)], ["Disk", size(plan.disk_bytes)]]));
}

/** Which search it is, why, and what each would take. */
function searchPlan(plan) {
  const estimates = (plan.estimates ?? []).map((each) => [
    each.method, number(each.seconds === null || each.seconds === undefined ? "-" : duration(each.seconds)),
    number(size(each.memory_bytes)), number(size(each.disk_bytes)), each.refusal || each.how,
  ]);
  const embedding = plan.embedding
    ? `${whole(plan.embedding.sentences)} sentences are to be embedded${plan.embedding.seconds ? `, about ${duration(plan.embedding.seconds)}` : ""}.` : null;
  return el("details", { class: "plan", open: true }, el("summary", {}, `The plan: ${plan.method}`), el("p", {}, plan.reason ? `${plan.reason[0].toUpperCase()}${plan.reason.slice(1)}. ` : "", embedding),
    estimates.length ? table("Estimates", ["Method", "#Time", "#Memory", "#Disk", "Remark"], estimates) : null);
}
