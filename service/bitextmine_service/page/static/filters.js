// What filters dropped, with counts, and the pairs that they dropped.

import { el, number, show, table } from "./dom.js";
import { get } from "./api.js";
import { doing } from "./shell.js";
import { sentence } from "./pairs.js";
import { percent, score, whole } from "./format.js";

const SHOWN = 20;

/** The filters of a bitext; null where it went through none. */
export function filtersView(bitext) {
  if (!bitext.filters?.length) return null;
  const place = el("div", { "aria-live": "polite" });
  const before = bitext.unfiltered_pairs;
  const rows = bitext.filters.map((filter) => {
    const button = el("button", { type: "button", class: "quiet small", disabled: !filter.dropped }, filter.name);
    button.addEventListener("click", () => doing(button, () => rejected(bitext, filter.name, place)));
    return [button, number(whole(filter.dropped)), number(percent(filter.dropped / before, 1)), number(whole(filter.alone))];
  });
  return el("section", { class: "card" }, el("h3", {}, "Filters"),
    el("p", {}, `${whole(bitext.pairs)} of ${whole(before)} pairs passed all filters.`),
    table("What filters dropped", ["Filter", "#Dropped first", "#Share", "#Alone it would drop"], rows), place);
}

async function rejected(bitext, filter, place) {
  const { items, total } = await get(`v1/bitexts/${bitext.id}/rejected`, { filter, limit: SHOWN });
  const rows = items.map((pair) => [number(score(pair.margin)), sentence(pair.src, bitext.src_lang), sentence(pair.tgt, bitext.tgt_lang), pair.reason]);
  show(place, table(`Dropped by ${filter}: ${whole(items.length)} of ${whole(total)}`, ["#Margin", "Source", "Target", "Reason"], rows));
}
