// The histogram of margins, and a threshold in it: how many pairs stay, and how precise they are.

import { byId, show } from "./dom.js";
import { columns } from "./charts.js";
import { percent, score, whole } from "./format.js";

/** The slider of a bitext. Its steps are the lower edges of the histogram's bins, so that counts are exact. */
export class Threshold {
  constructor(load) {
    this.read = load;
    this.slider = byId("threshold");
    this.slider.addEventListener("input", () => this.told());
  }

  /** Read the histogram, which is drawn anew; the slider stays where it is. */
  async load() {
    this.asked = (this.asked ?? 0) + 1;
    const { asked } = this;
    const found = await this.read();
    if (asked !== this.asked) return; // a newer one has been asked for
    this.found = found;
    const { at_least: steps } = this.found;
    this.slider.max = Math.max(steps.length - 1, 0);
    this.slider.disabled = steps.length < 2;
    this.draw();
    this.told();
  }

  get step() {
    return this.slider.valueAsNumber;
  }

  draw() {
    const { edges, counts, pairs } = this.found;
    const digits = edges.at(-1) - edges[0] < 0.5 ? 3 : 2;
    const bars = counts.map((count, index) => ({
      label: score(edges[index], digits), words: `${score(edges[index], 4)} to ${score(edges[index + 1], 4)}`, count,
    }));
    const summary = pairs ? `${whole(pairs)} pairs with margins from ${score(edges[0])} to ${score(edges.at(-1))}.` : "There are no pairs.";
    show(byId("histogram"), columns("Margins", bars, { axis: "margin", summary, show: whole, wide: true }));
    this.bars = byId("histogram").querySelectorAll("svg rect");
  }

  /** Show what the threshold keeps. */
  told() {
    const { edges, at_least: left, pairs, precision, expected } = this.found;
    if (!pairs) return;
    const value = score(edges[this.step], 4);
    this.bars.forEach((bar, index) => bar.classList.toggle("cut", index < this.step));
    byId("threshold-value").textContent = value;
    this.slider.setAttribute("aria-valuetext", value);
    byId("kept").textContent = `${whole(left[this.step])} of ${whole(pairs)} pairs stay (${percent(left[this.step] / pairs, 1)}).`;
    byId("estimate").textContent = `${inWords(precision[this.step])} ${foreseen(expected?.[this.step])}`;
    this.dim(byId("pairs"));
  }

  /** Mark the rows of pairs that do not stay. */
  dim(element) {
    const least = Math.fround(this.found.edges[this.step] ?? -Infinity);
    for (const row of element.querySelectorAll("[data-margin]")) row.classList.toggle("below", Math.fround(row.dataset.margin) < least);
  }

  /** The bounds of the pairs that stay, of those below the threshold, and of those near it. */
  bounds(near) {
    const { edges } = this.found;
    const last = edges.length - 1;
    const at = (index) => edges[Math.min(Math.max(index, 0), last)] ?? null;
    return {
      kept: { min_margin: at(this.step) },
      below: this.step > 0 ? { max_margin: at(this.step) - 1e-6 } : null,
      near: { min_margin: at(this.step - near), max_margin: at(this.step + near) },
    };
  }
}

/** What was estimated when the corpora were mined, if a precision was asked for then. */
function foreseen(point) {
  if (!point) return "";
  const { precision, low, high, recall } = point;
  return `Before filters and without judging, ${percent(precision)} are expected to be good (90% interval ${percent(low)} to ${percent(high)}), `
    + `with ${percent(recall)} of all translations in the corpora.`;
}

function inWords(estimate) {
  if (!estimate) return "How precise they are is not known yet: judge some of them below.";
  const { judged, good, precision, low, high, covered } = estimate;
  const spread = covered < 0.95 ? ` They tell of ${percent(covered)} of the range of scores only: judge more at random.` : "";
  return `About ${percent(precision)} of them are good (95% interval ${percent(low)} to ${percent(high)}; `
    + `${whole(good)} of ${whole(judged)} judged pairs).${spread}`;
}
