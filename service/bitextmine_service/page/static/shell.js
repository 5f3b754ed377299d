// What every page has: the key, where the service asks for one, and problems in words.

import { byId, el, say, show } from "./dom.js";
import { key, keepKey } from "./api.js";

const form = byId("key-form");
const opener = byId("key-open");

function offerKey(detail) {
  opener.hidden = false;
  form.hidden = false;
  if (detail) show(byId("key-help"), `${detail} `);
  byId("key-field").focus();
}

document.addEventListener("key-needed", (event) => offerKey(key() ? event.detail : ""));
opener.addEventListener("click", () => {
  form.hidden = !form.hidden;
  if (!form.hidden) byId("key-field").focus();
});
opener.hidden = !key();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(byId("key-field").value.trim());
  location.reload();
});
byId("key-forget").addEventListener("click", () => {
  keepKey(null);
  location.reload();
});

let leaving = false;
addEventListener("pagehide", () => { leaving = true; });

/** Show what went wrong. */
export function problem(error) {
  if (leaving || error.name === "AbortError" || error.status === 401) return;
  if (!(error.code ?? "")) console.error(error);
  const code = error.code ? el("code", {}, error.code) : null;
  show(byId("problem"), el("p", { class: "problem" }, el("strong", {}, "That did not work: "), error.message, " ", code,
    el("button", { type: "button", class: "quiet", onclick: calm, "aria-label": "Dismiss" }, "\u00d7")));
}

/** Take the problem away. */
export function calm() {
  show(byId("problem"));
}

/** Do something asynchronous that a button or form asked for: the button rests meanwhile, a problem is shown. */
export async function doing(button, work) {
  calm();
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (error) {
    problem(error);
    say(error.message);
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}
