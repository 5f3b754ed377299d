// How far a job is: a bar for the stage it is in, and the stages that are behind it.

import { el, number, table } from "./dom.js";
import { duration, stage, whole } from "./format.js";

const LEAST = 0.1; // seconds that a stage took; of less a rate tells nothing

/** A bar with words under it; `update(progress)` fills it: {stage, done, total, rate, eta_seconds}. */
export function progressBar(label) {
  const bar = el("progress", { "aria-label": label, max: 1 });
  const words = el("p", { class: "words" });
  const element = el("div", { class: "progress" }, bar, words);
  return {
    element,
    update(progress) {
      if (progress.total) bar.value = Math.min(progress.done / progress.total, 1);
      else bar.removeAttribute("value");
      words.textContent = inWords(progress);
    },
    part(share, text) {
      bar.value = Math.min(share, 1);
      words.textContent = text;
    },
    wait(text) {
      bar.removeAttribute("value");
      words.textContent = text;
    },
    finish(text) {
      bar.value = 1;
      words.textContent = text;
    },
  };
}

/** embedding the source: 1,200 of 3,000, 430/s, 4.2 s left */
export function inWords({ stage: name, done, total, rate, eta_seconds: left }) {
  const count = total ? `${whole(done)} of ${whole(total)}` : whole(done);
  const parts = [count, rate ? `${whole(Math.round(rate))}/s` : null];
  if (left !== null && left !== undefined) parts.push(`${duration(left)} left`);
  return `${stage(name)}: ${parts.filter(Boolean).join(", ")}`;
}

/** The stages of a job with their rates. */
export function stageTable(stages) {
  const rows = stages.map((each) => [
    stage(each.name),
    each.state,
    number(each.total ? `${whole(each.done)} of ${whole(each.total)}` : whole(each.done)),
    number(each.rate && each.seconds >= LEAST ? `${whole(Math.round(each.rate))}/s` : "-"),
    number(duration(each.seconds)),
    number(each.eta_seconds === null || each.eta_seconds === undefined ? "-" : duration(each.eta_seconds)),
  ]);
  return table("Stages", ["Stage", "State", "#Done", "#Rate", "#Time", "#Left"], rows);
}

