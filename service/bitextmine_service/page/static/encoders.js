// Choices of encoders and languages.

import { el, show } from "./dom.js";
import { get } from "./api.js";
import { language } from "./format.js";

const PREFERRED = "muse";

/** The installed encoders; the one that requests take by default comes first. */
export async function installedEncoders() {
  const { items } = await get("v1/encoders");
  const found = items.filter((encoder) => encoder.installed);
  return found.sort((a, b) => (b.name === PREFERRED) - (a.name === PREFERRED));
}

export function offerEncoders(select, encoders) {
  show(select, encoders.map((encoder) => el("option", { value: encoder.name }, encoder.name)));
}

/** Offer languages by their names, keeping what was chosen where it is among them. */
export function offerLanguages(select, langs, chosen = select.value) {
  const named = langs.map((lang) => [language(lang), lang]).sort(([a], [b]) => a.localeCompare(b));
  show(select, named.map(([name, lang]) => el("option", { value: lang, selected: lang === chosen }, name)));
}
