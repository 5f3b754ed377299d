// Bar charts as drawings that a screen reader can read too: a sentence for the whole, and the numbers as a table.

import { el, number, svg, table } from "./dom.js";

const WIDTH = 480;
const HEIGHT = 150;
const ROW = 26;

/** Columns: bars are {label, count, words}; `axis` names what the labels count. */
export function columns(title, bars, { axis, summary, show = String, wide = false }) {
  const width = wide ? 2 * WIDTH : WIDTH;
  const most = Math.max(...bars.map((bar) => bar.count), 1);
  const step = width / Math.max(bars.length, 1);
  const every = Math.ceil(bars.length / 10);
  const drawn = bars.map((bar, index) => {
    const height = bar.count ? Math.max((HEIGHT * bar.count) / most, 1.5) : 0;
    const box = { x: index * step + 0.5, y: HEIGHT - height, width: Math.max(step - 1, 0.5), height, class: bar.class ?? "bar" };
    return svg("rect", box, svg("title", {}, `${bar.words ?? bar.label}: ${show(bar.count)}`));
  });
  const labels = bars.filter((_, index) => index % every === 0)
    .map((bar, index) => svg("text", { x: (index * every + 0.5) * step, y: HEIGHT + 6, "text-anchor": "middle", "dominant-baseline": "hanging" }, bar.label));
  const line = svg("line", { x1: 0, x2: width, y1: HEIGHT, y2: HEIGHT, class: "axis" });
  const drawing = svg("svg", { viewBox: `-20 -4 ${width + 40} ${HEIGHT + (wide ? 42 : 30)}`, class: wide ? "wide" : null, role: "img", "aria-label": `${title}: ${summary}` }, drawn, line, labels);
  return figure(title, drawing, summary, [axis, "#Count"], bars.map((bar) => [bar.words ?? bar.label, number(show(bar.count))]));
}

/** Bars that lie, each with its name: bars are {label, count}. */
export function rows(title, bars, { axis, summary, show = String }) {
  const most = Math.max(...bars.map((bar) => bar.count), Number.EPSILON);
  const drawn = bars.flatMap((bar, index) => {
    const width = Math.max((260 * bar.count) / most, 1);
    return [
      svg("text", { x: 140, y: index * ROW + 17, "text-anchor": "end" }, bar.label),
      svg("rect", { x: 150, y: index * ROW + 5, width, height: ROW - 8, class: "bar" }),
      svg("text", { x: 158 + width, y: index * ROW + 17 }, show(bar.count)),
    ];
  });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${Math.max(bars.length, 1) * ROW}`, role: "img", "aria-label": `${title}: ${summary}` }, drawn);
  return figure(title, drawing, summary, [axis, "#Share"], bars.map((bar) => [bar.label, number(show(bar.count))]));
}

function figure(title, drawing, summary, head, data) {
  return el("figure", { class: "chart" }, el("figcaption", {}, el("strong", {}, title), ` ${summary}`), drawing,
    el("details", {}, el("summary", {}, "As a table"), table(title, head, data)));
}
