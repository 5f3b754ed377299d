"""`bitextmine plan` and `calibrate-machine`: what a search will cost, before it starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli import console
from bitextmine.cli.stages import say
from bitextmine.resources import Resources, default_threads, format_bytes
from bitextmine.search.method import DEFAULT_RECALL, LEAST_RECALL, MOST_RECALL, Method

if TYPE_CHECKING:
    from bitextmine.bitext import Bitext
    from bitextmine.corpus import Corpus
    from bitextmine.encoders import Encoder
    from bitextmine.given import GivenVectors
    from bitextmine.mining import MiningParameters
    from bitextmine.planner import Plan
    from bitextmine.workspace import Workspace

MethodOption = Annotated[
    Method, typer.Option(help="How neighbours are searched; auto is exact wherever that takes hours at most.")
]
TargetRecall = Annotated[
    float,
    typer.Option(min=LEAST_RECALL, max=MOST_RECALL, help="Share of the true neighbours that ivf aims at."),
]
Rows = Annotated[int, typer.Option(min=1, max=1 << 40, help="Distinct sentences of this side.")]
_HEADINGS = ("method", "time", "memory", "disk", "how")


def plan(
    src_rows: Rows,
    tgt_rows: Rows,
    dims: Annotated[int, typer.Option(min=1, max=1 << 16, help="Of the encoder's vectors (muse: 512).")],
    k: console.K = 4,
    method: MethodOption = Method.AUTO,
    target_recall: TargetRecall = DEFAULT_RECALL,
    threads: console.Threads = None,
    memory: console.Memory = None,
    gpus: Annotated[int, typer.Option(min=0, max=64, help="GPUs that the search may use.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: console.DataDir = None,
) -> None:
    """Say how a search would be done, and what time, memory and disk each method would take.

    The times come from rates that calibrate-machine measured here, or from cautious guesses where it never ran.

    Example: bitextmine plan --src-rows 1000000 --tgt-rows 1000000 --dims 512 --memory 3GB
    """
    from bitextmine.calibration import load_calibration
    from bitextmine.costs import SearchSize
    from bitextmine.planner import make_plan

    made = make_plan(
        SearchSize(src_rows, tgt_rows, dims, k),
        replace(console.resources(threads, memory, 0), gpus=gpus),
        load_calibration(console.workspace(data_dir, None).root),
        method=method,
        target_recall=target_recall,
    )
    if as_json:
        sys.stdout.write(json.dumps(made.as_json()) + "\n")
    else:
        typer.echo("\n".join(_lines(made)))


def calibrate_machine(threads: console.Threads = None, data_dir: console.DataDir = None) -> None:
    """Measure how fast this machine searches, in some ten seconds, and keep it for plans.

    Do it while nothing else runs. It holds for this CPU and this version of bitextmine.
    """
    from bitextmine.calibration import measure_machine, store_calibration

    place = console.writable_workspace(data_dir, None)
    found = measure_machine(place.root, threads or default_threads())
    per_second = "a second"
    for what, amount in (
        ("8-bit products, one thread", f"{found.products_one / 1e9:,.0f} billion"),
        (f"8-bit products, {found.threads} threads", f"{found.products_all / 1e9:,.0f} billion"),
        ("float32 products", f"{found.float_products / 1e9:,.0f} billion"),
        ("coordinates made bytes", f"{found.quantized / 1e6:,.0f} million"),
        ("coordinates rescored, one thread", f"{found.rescored / 1e6:,.0f} million"),
        ("written to disk", format_bytes(found.written)),
        ("read from disk", format_bytes(found.read)),
    ):
        typer.echo(f"{what:<34}{amount:>14} {per_second}")
    typer.echo(f"kept in {store_calibration(found, place.root)}")


def planned(
    corpora: Sequence[Corpus],
    encoder: Encoder | GivenVectors,
    parameters: MiningParameters,
    limits: Resources,
    place: Workspace,
) -> Plan:
    """The plan of a mining run, by what is known of this machine."""
    from bitextmine.calibration import load_calibration
    from bitextmine.mining import plan_mining

    rates = load_calibration(place.root)
    return plan_mining(corpora[0], corpora[1], encoder, parameters, resources=limits, calibration=rates)


def say_plan(
    plan: Plan,
    corpora: Sequence[Corpus],
    encoder: Encoder | GivenVectors,
    parameters: MiningParameters,
    place: Workspace,
) -> None:
    """Say how a mining run will search, and, where former versions of the corpora were searched, how much is new."""
    from bitextmine.search.grown import foresee

    say(plan.line())
    if plan.method is not Method.EXACT or parameters.postprocess:
        return
    known = foresee(corpora[0], corpora[1], encoder.signature, plan.parameters, place.artifacts)
    if all(known):
        sizes = len(corpora[0]), len(corpora[1])
        new = f"{sizes[0] - known[0]:,} src and {sizes[1] - known[1]:,} tgt"
        share = 1 - known[0] * known[1] / (sizes[0] * sizes[1])
        say(f"of these sentences {new} are new to the search: about {share:.0%} of that time")


def say_search(bitext: Bitext) -> None:
    """Say what share of the true neighbours an approximate search found, and what was there before the corpora grew."""
    for line in (*recall_lines(bitext), *growth_lines(bitext)):
        say(line)


def growth_lines(bitext: Bitext) -> list[str]:
    """What was not searched again, and what became of the pairs that were there before; nothing where all was new."""
    reused, changes = bitext.summary.get("reused"), bitext.summary.get("changes")
    if reused is None:
        return []
    new = " and ".join(
        f"{int(bitext.summary[f'{side}_sentences']) - int(reused[f'{side}_rows']):,} {side}" for side in ("src", "tgt")
    )
    lines = [f"only {new} sentences were new to the search; the neighbours of the others were known"]
    if changes:
        lines.append(
            f"against bitext {changes['since'][:8]}: {changes['added']:,} pairs added ({changes['added_of_new']:,} of "
            f"them with a new sentence), {changes['removed']:,} removed, {changes['rescored']:,} with another margin, "
            f"{changes['unchanged']:,} as they were"
        )
    return lines


def recall_lines(bitext: Bitext) -> list[str]:
    """The measured recall of the search behind a bitext, with its interval; none where it was exact."""
    found = bitext.summary.get("search", {})
    if "quality" in found:  # ivfpq, a direction each
        return [
            _recall(
                way, (side["after"]["value"], side["after"]["low"], side["after"]["high"]), f"{side['rows']:,} rows"
            )
            for way, side in zip((" from source to target", " from target to source"), found["quality"], strict=True)
        ]
    if "recall" in found:
        shares = (found["recall"], found["recall_low"], found["recall_high"])
        return [_recall("", shares, f"{found['held_out']:,} true neighbours")]
    return []


def _recall(way: str, shares: tuple[float, float, float], sample: str) -> str:
    value, low, high = shares
    return f"recall of the search{way} {value:.4f} ({low:.4f} to {high:.4f} with 95 % confidence), measured on {sample}"


def _lines(made: Plan) -> list[str]:
    from bitextmine.planner import format_seconds

    size = made.size
    rows = [
        (
            f"{each.method} <-" if each is made.chosen else str(each.method),
            format_seconds(each.seconds),
            format_bytes(each.memory_bytes),
            format_bytes(each.disk_bytes),
            f"no: {each.refusal}" if each.refusal else each.how,
        )
        for each in made.estimates
    ]
    vectors = format_bytes(2 * size.dims * (size.src_rows + size.tgt_rows))
    rates = "measured on this machine" if made.calibrated else "guessed; bitextmine calibrate-machine measures them"
    return [
        f"{size} dimensions, k = {size.k}; {made.threads} threads, {format_bytes(made.memory_bytes)} of memory",
        f"{made.method}: {made.reason}",
        "",
        *(f"{a:<10}{b:>10}{c:>12}{d:>12}  {e}" for a, b, c, d, e in (_HEADINGS, *rows)),
        "",
        f"The vectors take {vectors} of disk beside that; encoding the sentences is not in these times.",
        f"The machine's rates are {rates}.",
    ]
