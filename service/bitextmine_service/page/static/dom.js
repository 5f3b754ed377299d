// Elements of the page. Whatever comes from the service is put in as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["checked", "disabled", "hidden", "indeterminate", "open", "selected", "value"]);

/** The element with this id; every page of the shell that asks for it has it. */
export function byId(id) {
  return document.getElementById(id);
}

/** An element with attributes, listeners (`onclick` ...) and children: elements and strings; what is null is left out. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same, of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Puts these in the place of what an element holds. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Tells a screen reader, without moving its focus. */
export function say(text) {
  byId("said").textContent = text;
}

/** A list of terms: [[name, value], ...], values as strings or elements; those that are null are left out. */
export function facts(entries) {
  const known = entries.filter(([, value]) => value !== null && value !== undefined);
  return el("dl", { class: "facts" }, known.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A table with a caption; a cell is a string, an element, or {text, class}. */
export function table(caption, head, rows, attributes = {}) {
  const cells = (row) => row.map((cell) => el("td", cell?.class ? { class: cell.class } : {}, cell?.class ? cell.text : cell));
  const header = head.map((text) => el("th", { scope: "col", class: text.startsWith("#") ? "number" : null }, text.replace(/^#/, "")));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", attributes, el("caption", {}, caption), el("thead", {}, el("tr", {}, header)),
      el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))))));
}

/** A cell of a number: to the right. */
export function number(text) {
  return { text, class: "number" };
}

/** A cell whose text stays on one line. */
export function unbroken(text) {
  return { text, class: "unbroken" };
}

/** The value of a query parameter of the page. */
export function asked(name) {
  return new URLSearchParams(location.search).get(name);
}
