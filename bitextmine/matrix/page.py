"""The report as one HTML page: a heat map of all pairs of languages, and what there is to say of each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from bitextmine.files import write_atomically
from bitextmine.matrix.record import PAGE, PairState

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #fff; --line: #c9c9d1; --hot: 20 110 100; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ee; --paper: #16161a; --line: #44444e; --hot: 70 190 170; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } caption { text-align: start; font-weight: 600; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: end; font-variant-numeric: tabular-nums; }
th { font-weight: 600; } th[scope=row] { text-align: start; } td a { color: inherit; }
.heat td { background: rgb(var(--hot) / var(--warm, 0)); } .heat .failed { background: #b3261e; color: #fff; }
.scroll { overflow-x: auto; } section { border-top: 1px solid var(--line); padding-top: .5rem; }
svg { width: 100%; max-width: 40rem; height: 8rem; } svg rect { fill: rgb(var(--hot)); }
svg rect.below { fill: var(--line); } thead th:first-child { text-align: start; } .bad { color: #b3261e; }
"""
_MOST_WARM = 0.6  # so that the figures in the cells stay readable


def write_page(record: Mapping[str, Any], directory: Path) -> None:
    """Write the page of a report, whole or not at all.

    Raises:
        DiskFullError: no room; the page from before is untouched.
    """
    write_atomically(directory / PAGE, report_page(record).encode())


def report_page(record: Mapping[str, Any]) -> str:
    """HTML without scripts and without anything from elsewhere."""
    counts = record["counts"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Matrix {escape(record['matrix'][:8])}</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style><main>",
        f"<h1>Matrix {escape(record['matrix'][:8])}: {_total(record):,} pairs of sentences</h1>",
        f"<p>{_state(record)}: {counts['done']} of {len(record['pairs'])} pairs of corpora are mined, "
        f"{counts['failed']} failed. Encoder {escape(record['encoder'])}; begun {_moment(record['started'])}"
        f"{', ended ' + _moment(record['finished']) if record['finished'] else ''}.</p>",
        _heat_map(record),
        _table_of_corpora(record["corpora"]),
        _table_of_seconds(record["seconds"]),
        "<h2>Pairs</h2>",
        *(_section(pair) for pair in record["pairs"]),
        "</main></html>\n",
    ]
    return "\n".join(parts)


def _state(record: Mapping[str, Any]) -> str:
    if record["finished"]:
        return "Finished"
    if record.get("stopped"):
        return "Stopped before all was done; started again, it goes on"
    return f"Under way{', as of ' + _moment(record['written']) if 'written' in record else ''}"


def _moment(stamp: str) -> str:
    """A time of the record, to the second."""
    return escape(f"{stamp[:10]} {stamp[11:19]} UTC")


def _total(record: Mapping[str, Any]) -> int:
    return sum(int(pair["result"].get("pairs", 0)) for pair in record["pairs"])


def _heat_map(record: Mapping[str, Any]) -> str:
    """A row and a column for each corpus; each pair is in both of its cells."""
    names = list(record["corpora"])
    pairs = {frozenset((pair["src"], pair["tgt"])): pair for pair in record["pairs"]}
    most = max((int(pair["result"].get("pairs", 0)) for pair in pairs.values()), default=0)
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    rows = [
        f"<tr><th scope=row>{escape(name)}</th>"
        + "".join(_cell(pairs.get(frozenset((name, other))), most) for other in names)
        + "</tr>"
        for name in names
    ]
    caption = "<caption>Pairs of sentences that were kept, by corpora</caption>"
    table = f"<table class=heat>{caption}<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<div class=scroll tabindex=0 role=region aria-label='Heat map'>{table}</div>"


def _cell(pair: Mapping[str, Any] | None, most: int) -> str:
    if pair is None:
        return "<td></td>"
    link = f"<a href='#{_anchor(pair)}'>"
    if pair["state"] == PairState.FAILED:
        return f"<td class=failed>{link}failed</a></td>"
    if pair["state"] != PairState.DONE:
        return f"<td>{link}{escape(pair['state'])}</a></td>"
    count = int(pair["result"]["pairs"])
    warm = _MOST_WARM * log10(1 + count) / log10(1 + most) if most else 0.0
    return f"<td style='--warm: {warm:.2f}'>{link}{count:,}</a></td>"


def _table_of_corpora(corpora: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (name, corpus["lang"], f"{corpus['sentences']:,}", f"{corpus['to_embed']:,}", corpus["source"])
        for name, corpus in corpora.items()
    ]
    return _table("Corpora", ("corpus", "language", "sentences", "to embed at first", "files"), rows)


def _table_of_seconds(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    rows = [
        (stage, f"{spent:,.1f}", f"{spent / total:.0%}" if total else "")
        for stage, spent in sorted(seconds.items(), key=lambda each: -each[1])
    ]
    return _table("Time by what was made, over all processes", ("stage", "seconds", "share"), rows)


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th scope=col>{escape(each)}</th>" for each in heads)
    body = "".join(
        f"<tr><th scope=row>{escape(row[0])}</th>" + "".join(f"<td>{escape(each)}</td>" for each in row[1:]) + "</tr>"
        for row in rows
    )
    return (
        f"<div class=scroll><table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _anchor(pair: Mapping[str, Any]) -> str:
    """Of this pair alone: no name has a plus sign."""
    return escape(f"{pair['src']}+{pair['tgt']}", quote=True)


def _section(pair: Mapping[str, Any]) -> str:
    title = f"{escape(pair['src'])} – {escape(pair['tgt'])}"
    heading = f"<section id='{_anchor(pair)}'><h3>{title}</h3>"
    if pair["state"] == PairState.FAILED:
        return f"{heading}<p class=bad>Failed: {escape(pair['error'])} ({escape(pair['code'])})</p></section>"
    if pair["state"] != PairState.DONE:
        return f"{heading}<p>{escape(pair['state'].capitalize())}.</p></section>"
    result = pair["result"]
    facts = (
        f"<p>{result['pairs']:,} of {result['mined']['pairs']:,} mined pairs stay. {escape(_threshold(result))} "
        f"Bitext {escape(result['bitext'])}; {result['seconds']:,.1f} s.</p>"
    )
    return f"{heading}{facts}{_histogram(result)}{_filters(result['filters'])}</section>"


def _threshold(result: Mapping[str, Any]) -> str:
    threshold = result["threshold"]
    why = f" {threshold['why'].rstrip('.').capitalize()}." if "why" in threshold else ""
    if threshold.get("value") is None:
        return why.strip() or "No threshold."
    said = f"Threshold {threshold['value']:.4f}"
    if "precision" in threshold:
        return f"{said}: precision {threshold['precision']:.3f} ({threshold['low']:.3f} to {threshold['high']:.3f})."
    return f"{said}.{why}"


def _histogram(result: Mapping[str, Any]) -> str:
    """The margins of all candidates, those below the threshold pale; of the pairs that stay, where no more is known."""
    threshold = result["threshold"]
    margins = threshold.get("margins", result["histogram"])
    least = threshold.get("value")
    if least is None and "why" in threshold:
        least = float("inf")
    what = "all candidates" if "margins" in threshold else "the pairs that stay"
    return _bars(margins, what, float("-inf") if least is None else least)


def _bars(histogram: Mapping[str, Any], what: str, threshold: float) -> str:
    counts, edges = histogram["counts"], histogram["edges"]
    most = max(counts, default=0)
    if not most:
        return ""
    bars = "".join(
        f"<rect{' class=below' if edges[at + 1] <= threshold else ''} x='{at}' y='{100 - 100 * count / most:.2f}' "
        f"width='.9' height='{100 * count / most:.2f}'>"
        f"<title>{edges[at]:.3f} to {edges[at + 1]:.3f}: {count:,}</title></rect>"
        for at, count in enumerate(counts)
    )
    label = f"Margins of {what}, {edges[0]:.3f} to {edges[-1]:.3f}"
    pale = "; those below the threshold are pale" if threshold > edges[0] else ""
    return (
        f"<svg role=img aria-label='{label}' viewBox='0 0 {len(counts)} 100' preserveAspectRatio='none'>{bars}</svg>"
        f"<p>{label}{pale}.</p>"
    )


def _filters(filters: Sequence[Mapping[str, Any]]) -> str:
    if not filters:
        return ""
    rows = [(each["name"], f"{each['dropped']:,}", f"{each['alone']:,}") for each in filters]
    return _table("Dropped by filters", ("filter", "dropped", "would drop alone"), rows)
