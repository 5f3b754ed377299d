// Pairs to be judged: good or bad, by buttons or by the keys G and B; kept by the service.

import { el, say } from "./dom.js";
import { get, send } from "./api.js";
import { doing } from "./shell.js";
import { pairTable } from "./pairs.js";

const MARKS = [["good", "Good", "g"], ["bad", "Bad", "b"]];

function name(pair) {
  return `${pair.src_row}-${pair.tgt_row}`;
}

export class Judging {
  /** `path` of the judgements, `langs` of the sides, `words` that rows show; `changed` is called after each verdict. */
  constructor(path, langs, words, changed) {
    Object.assign(this, { path, langs, words, changed });
    this.verdicts = new Map();
  }

  async load() {
    const { items } = await get(this.path);
    this.verdicts = new Map(items.map((item) => [name(item), item.verdict]));
  }

  /** A table of pairs with buttons. */
  table(caption, pairs) {
    const element = pairTable(caption, pairs, this.langs, { head: ["Verdict"], more: (pair) => [this.buttons(pair)] });
    const rows = [...element.querySelectorAll("tbody tr")];
    rows.forEach((row, index) => {
      this.words.watch(row, pairs[index]);
      row.addEventListener("keydown", (event) => this.pressed(event, pairs[index], rows, index));
    });
    return element;
  }

  buttons(pair) {
    const group = el("span", { class: "verdict", role: "group", "aria-label": "Verdict" });
    for (const [verdict, words] of MARKS) {
      const button = el("button", { type: "button", class: `quiet ${verdict}`, "data-verdict": verdict }, words);
      button.addEventListener("click", () => doing(button, () => this.set(pair, verdict, group)));
      group.append(button);
    }
    this.mark(pair, group);
    return group;
  }

  mark(pair, group) {
    const verdict = this.verdicts.get(name(pair));
    for (const button of group.children) button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
  }

  /** A verdict; the same again takes it back. */
  async set(pair, verdict, group) {
    const wanted = this.verdicts.get(name(pair)) === verdict ? null : verdict;
    await send("PUT", this.path, { judgements: [{ src_row: pair.src_row, tgt_row: pair.tgt_row, verdict: wanted }] });
    if (wanted) this.verdicts.set(name(pair), wanted); // this one alone: answers may come in another order than they were asked for
    else this.verdicts.delete(name(pair));
    this.mark(pair, group);
    say(wanted ? `marked ${wanted}` : "no longer marked");
    await this.changed();
  }

  pressed(event, pair, rows, index) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const mark = MARKS.find(([, , letter]) => letter === event.key.toLowerCase());
    if (!mark) return;
    event.preventDefault();
    const group = rows[index].querySelector(".verdict");
    doing(null, () => this.set(pair, mark[0], group));
    rows[index + 1]?.querySelector("button").focus();
  }
}
