// Which word stands for which: shown on the row under the pointer, and by the arrow keys on a row that has the focus.

import { el, say } from "./dom.js";
import { send } from "./api.js";
import { problem } from "./shell.js";

const PATIENCE = 120; // milliseconds that the pointer rests before the words are asked for
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

export class Words {
  /** `encoder` that the pairs were found by. */
  constructor(encoder) {
    this.encoder = encoder;
    this.known = true; // until it says that it has no vectors of words, or is not here
  }

  /** Have a row of a table show the words of its pair. */
  watch(row, pair) {
    let waiting = null;
    row.addEventListener("pointerenter", () => { waiting = setTimeout(() => this.ready(row, pair), PATIENCE); });
    row.addEventListener("pointerleave", () => clearTimeout(waiting));
    row.addEventListener("pointerover", (event) => mark(row, event.target));
    row.addEventListener("pointerleave", () => mark(row, null));
    row.addEventListener("focusout", () => mark(row, null));
    row.addEventListener("keydown", async (event) => {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      await this.ready(row, pair);
      walk(row, step);
    });
  }

  /** Put the words of a row into elements of their own, once. */
  ready(row, pair) {
    if (!this.known) return null;
    row.words ??= this.aligned(row, pair).catch((error) => {
      if (error.code === "invalid-request") return; // too long a sentence, also the next time
      row.words = undefined;
      if (error.status === 404 || error.status === 422) this.known = false;
      else problem(error);
    });
    return row.words;
  }

  async aligned(row, pair) {
    const request = { encoder: this.encoder, pairs: [{ src: pair.src, tgt: pair.tgt }] };
    const [{ src_words: src, tgt_words: tgt, links }] = (await send("POST", "v1/word-alignments", request)).alignments;
    const [left, right] = row.querySelectorAll(".sentence");
    left.replaceChildren(...parted(pair.src, src, links.map(([i]) => i), links.map(([, j]) => j)));
    right.replaceChildren(...parted(pair.tgt, tgt, links.map(([, j]) => j), links.map(([i]) => i)));
  }
}

/** A text with an element for each of its words that has links: `own` and `others` are the two ends of each link. */
function parted(text, spans, own, others) {
  const characters = Array.from(text);
  const parts = [];
  let at = 0;
  spans.forEach(([start, stop], word) => {
    parts.push(characters.slice(at, start).join(""));
    const linked = others.filter((_, link) => own[link] === word);
    const content = characters.slice(start, stop).join("");
    parts.push(linked.length ? el("span", { class: "word", "data-word": word, "data-links": linked.join(" ") }, content) : content);
    at = stop;
  });
  parts.push(characters.slice(at).join(""));
  return parts;
}

/** Mark a word and those of the other side that stand for it. */
function mark(row, target) {
  for (const each of row.querySelectorAll(".linked")) each.classList.remove("linked");
  const word = target?.closest?.(".word");
  if (!word) return [];
  const other = [...row.querySelectorAll(".sentence")].find((sentence) => !sentence.contains(word));
  const linked = word.dataset.links.split(" ").map((position) => other.querySelector(`[data-word="${position}"]`)).filter(Boolean);
  for (const each of [word, ...linked]) each.classList.add("linked");
  return linked;
}

/** Go to the next or the previous word of the source, and say what stands for it. */
function walk(row, step) {
  const words = [...row.querySelector(".sentence").querySelectorAll(".word")];
  if (!words.length) return;
  const at = words.findIndex((word) => word.classList.contains("linked"));
  const next = words[(at < 0 ? (step > 0 ? 0 : words.length - 1) : at + step + words.length) % words.length];
  const linked = mark(row, next);
  say(`${next.textContent}: ${linked.map((word) => word.textContent).join(" ")}`);
}
