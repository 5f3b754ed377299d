// Numbers, times and languages, as people read them.

const WHOLE = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const NAMES = new Intl.DisplayNames("en", { type: "language" });
const RIGHT_TO_LEFT = new Set(["Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Mand", "Samr"]);
const SECONDS_OF = [["d", 86400], ["h", 3600], ["min", 60]];

export function whole(value) {
  return WHOLE.format(value);
}

export function score(value, digits = 3) {
  return value === null || value === undefined ? "-" : value.toFixed(digits);
}

export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)}%`;
}

export function time(iso) {
  return TIME.format(new Date(iso));
}

/** 75 -> 1 min 15 s */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  let left = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of SECONDS_OF) {
    if (left >= size || parts.length) parts.push(`${Math.floor(left / size)} ${unit}`);
    left %= size;
  }
  parts.push(`${left} s`);
  return parts.slice(0, 2).join(" ");
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  for (; count >= 1000 && power < units.length - 1; power += 1) count /= 1000;
  return `${power ? count.toFixed(1) : count} ${units[power]}`;
}

/** deu_Latn -> de, as browsers name languages; null where they cannot. */
export function tag(lang) {
  try {
    return new Intl.Locale(lang.replace("_", "-")).minimize().toString();
  } catch {
    return null;
  }
}

/** deu_Latn -> German */
export function language(lang) {
  const known = tag(lang);
  const name = known && NAMES.of(known);
  return name && name !== known ? name : lang;
}

/** Attributes of an element that holds text of a language: its name for screen readers and fonts, its direction. */
export function textOf(lang) {
  const script = lang?.split("_")[1];
  return { lang: lang ? tag(lang) : null, dir: RIGHT_TO_LEFT.has(script) ? "rtl" : "auto" };
}

const STAGES = {
  "ingest": "reading", "embed": "embedding", "embed-src": "embedding the source", "embed-tgt": "embedding the target", "search": "searching neighbours",
  "score": "scoring", "rescore-forward": "exact scores, source to target", "rescore-backward": "exact scores, target to source",
};

/** A stage's name in words. */
export function stage(name) {
  return STAGES[name] ?? name.replaceAll("-", " ");
}
