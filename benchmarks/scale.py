"""The tables of docs/scale.md: what mining takes at every size, worked out from measured constants.

    python benchmarks/scale.py

Nothing is measured here. Each constant names where it was measured; searches are estimated by the planner's own cost
model (bitextmine.costs) at the rates of the machine of docs/benchmarks.md. A core-hour is an hour of one of its cores.
`tests/unit/test_scale.py` sees that docs/scale.md has what this prints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitextmine.calibration import Calibration
from bitextmine.costs import Estimate, SearchSize, Work, exact_cost, ivf_cost, ivfpq_cost
from bitextmine.resources import format_bytes

HOUR = 3600.0
K = 4
TEXT_BYTES = 136  # of a sentence in sentences.arrow: 81 of text, 55 of ids and offsets (a million package descriptions)
PAIR_BYTES = 139  # of a mined pair in pairs.parquet, both texts included (65,614 pairs)
PREPARED = 20_900  # sentences a second and core, all rules of `bitextmine prepare`
FILTERED = 5_800  # pairs a second and core, default filters
PAIRS_A_SENTENCE = 0.225  # pairs mined a sentence of the smaller side's two: WikiMatrix's 135 million of 600
# docs/benchmarks.md, "The mining engine" and "The whole command": two cores of an EPYC (Zen 5)
RATES = Calibration(
    cpu="AMD EPYC (Zen 5)",
    version="",
    measured=True,
    threads=2,
    products_one=4.03e11,
    products_all=7.85e11,
    quantized=9.7e7,
    rescored=3.5e9,
    float_products=3.4e10,
    written=6e8,
    read=2.4e9,
)
NODE_CORES, NODE_MEMORY, NODES = 32, 512 * 10**9, 16
THREADS = 8  # of a search; `ivf` keeps lists for each thread, so that more of them want more memory
GPU_CORES = 100  # a GPU against a core, as the planner guesses it; not measured


@dataclass(frozen=True, slots=True)
class Embedder:
    """An encoder on one core."""

    name: str
    dims: int
    rate: float  # sentences a second

    @property
    def vector_bytes(self) -> int:
        return 2 * self.dims


# docs/benchmarks.md, "Encoding": news, one thread
ENCODERS = (
    Embedder("muse", 512, 2200),
    Embedder("e5-small, int8", 384, 352),
    Embedder("LaBSE-sized, int8", 768, 120),
)


def node_work(rows: Sequence[int], dims: int, threads: int = THREADS) -> Work:
    return Work(SearchSize(rows[0], rows[1], dims, K), 0.98, threads, RATES)


def estimates(rows: Sequence[int], dims: int, threads: int = THREADS) -> dict[str, Estimate]:
    """Of each method, on one node."""
    work = node_work(rows, dims, threads)
    return {
        "exact": exact_cost(work, NODE_MEMORY)[0],
        "ivf": ivf_cost(work).within(NODE_MEMORY),
        "ivfpq": ivfpq_cost(work, NODE_MEMORY, 0)[0].within(NODE_MEMORY),
    }


# docs/benchmarks.md, "Approximate search": rows a side, method, seconds on two threads
MEASURED = ((20_000, "exact", 0.57), (100_000, "exact", 7.3), (300_000, "exact", 57.0), (1_000_000, "exact", 644.0),
            (20_000, "ivf", 0.48), (100_000, "ivf", 4.1), (300_000, "ivf", 19.8),
            (20_000, "ivfpq", 4.6), (100_000, "ivfpq", 25.6), (300_000, "ivfpq", 144.0))  # fmt: skip


def model() -> list[list[str]]:
    """What the cost model says of searches that were measured."""
    rows = [["rows a side", "method", "measured, s", "model, s"]]
    for size, name, seconds in MEASURED:
        found = estimates((size, size), 512, threads=2)[name]
        rows.append([f"{size:,}", f"`{name}`", shown(seconds), shown(found.seconds)])
    return rows


def constants() -> list[list[str]]:
    rows = [["stage", "core-seconds a million sentences", "bytes a sentence on disk"]]
    rows.append(["prepare, all rules", f"{1e6 / PREPARED:,.0f}", f"{TEXT_BYTES}"])
    for encoder in ENCODERS:
        rows.append([f"embed, {encoder.name}", f"{1e6 / encoder.rate:,.0f}", f"{encoder.vector_bytes:,}"])
    rows.append(["neighbours, k = 4", "see below", f"{12 * K}, for each pair of corpora"])
    spec = ivfpq_cost(node_work((10**7, 10**7), 512), NODE_MEMORY, 0)[1][0]
    rows.append([f"index, ivfpq ({spec.kind})", "in the search", f"{spec.bytes_per_vector}"])
    rows.append(["filter", f"{1e6 / FILTERED:,.0f} a million pairs", f"{PAIR_BYTES} a pair"])
    return rows


def searches() -> list[list[str]]:
    """Core-hours of one search both ways, by size and method, and its memory."""
    head = ["rows a side", "`exact`", "`ivf`, target 0.98", "`ivfpq`", "memory: `exact`", "`ivf`", "`ivfpq`"]
    rows = [head]
    for size in (500_000, 5_000_000, 50_000_000, 500_000_000):
        found = estimates((size, size), 512)
        hours = [core_hours(each) for each in found.values()]
        memory = [format_bytes(each.memory_bytes) for each in found.values()]
        rows.append([f"{size:,}", *hours, *memory])
    return rows


def bottlenecks() -> list[list[str]]:
    """Core-hours of each stage for two corpora of half the sentences each, and the largest of them."""
    rows = [
        ["sentences", "prepare", "embed, muse", "embed, LaBSE-sized", "search", "filter", "disk, muse", "bottleneck"]
    ]
    for size in (10**6, 10**7, 10**8, 10**9):
        name, search = cheapest((size // 2, size // 2))
        pairs = PAIRS_A_SENTENCE * size
        hours = {
            "prepare": size / PREPARED / HOUR,
            "embedding": size / ENCODERS[0].rate / HOUR,
            "embedding by LaBSE": size / ENCODERS[2].rate / HOUR,
            "search": search.seconds * THREADS / HOUR,
            "filter": pairs / FILTERED / HOUR,
        }
        disk = size * (TEXT_BYTES + ENCODERS[0].vector_bytes + 12 * K) + pairs * PAIR_BYTES * 2 + search.disk_bytes
        with_muse = {stage: each for stage, each in hours.items() if stage != "embedding by LaBSE"}
        cells = [shown(each) for each in hours.values()]
        cells[3] += f" (`{name}`)"
        rows.append([f"{size:,}", *cells, format_bytes(disk), max(with_muse, key=with_muse.__getitem__)])
    return rows


def wikimatrix_sizes() -> list[int]:
    """85 corpora of 600 million sentences, 134 million in English; the others fall by a power of their rank."""

    def total(power: float) -> float:
        return math.fsum(134e6 / rank**power for rank in range(1, 86))

    low, high = 0.5, 3.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) > 600e6 else (low, middle)
    return [round(134e6 / rank**low) for rank in range(1, 86)]


def wikimatrix_pairs() -> list[tuple[int, int]]:
    """The 1,620 largest of the 3,570."""
    sizes = wikimatrix_sizes()
    every = [(sizes[i], sizes[j]) for i in range(85) for j in range(i + 1, 85)]
    return sorted(every, key=lambda pair: -pair[0] * pair[1])[:1620]


def wikimatrix() -> list[list[str]]:
    """Each stage of all; the search by each method."""
    rows = [["stage", "core-hours", f"hours on {NODES} nodes", "GPU-hours, guessed", "disk"]]
    sizes, pairs = wikimatrix_sizes(), wikimatrix_pairs()
    total = sum(sizes)
    rows.append(stage("prepare", total / PREPARED / HOUR, total * TEXT_BYTES, gpu=False))
    for encoder in ENCODERS:
        rows.append(stage(f"embed, {encoder.name}", total / encoder.rate / HOUR, total * encoder.vector_bytes))
    found = 12 * K * sum(map(sum, pairs))
    for name in ("exact", "ivf", "ivfpq"):
        searched = [estimates(pair, 512)[name] for pair in pairs]
        hours = sum(each.seconds for each in searched) * THREADS / HOUR
        together = sum(each.seconds * share_of_node(each) for each in searched) / HOUR / NODES
        fit = sum(each.possible for each in searched)
        title = f"search, `{name}`" + ("" if fit == len(pairs) else f" ({fit:,} pairs fit)")
        rows.append(
            [
                title,
                shown(hours),
                shown(together),
                shown(hours / GPU_CORES) if name != "ivf" else "-",
                format_bytes(found),
            ]
        )
    mined = 135_000_000
    rows.append(stage("filter 135 million pairs", mined / FILTERED / HOUR, 2 * mined * PAIR_BYTES, gpu=False))
    return rows


def largest() -> list[list[str]]:
    """What a few of WikiMatrix's pairs take by themselves, on one node."""
    rows = [["pair, by size", "sentences", "`exact`", "`ivf`", "`ivfpq`", "memory of `ivf`"]]
    pairs = wikimatrix_pairs()
    for rank in (1, 10, 100, 1000):
        pair = pairs[rank - 1]
        found = estimates(pair, 512)
        seconds = [f"{shown(each.seconds / HOUR)} h" for each in found.values()]
        rows.append(
            [
                f"{rank:,}",
                f"{pair[0] / 1e6:.1f} x {pair[1] / 1e6:.1f} million",
                *seconds,
                format_bytes(found["ivf"].memory_bytes),
            ]
        )
    return rows


def cheapest(rows: Sequence[int]) -> tuple[str, Estimate]:
    """Of the methods that fit a node."""
    found = {name: each for name, each in estimates(rows, 512).items() if each.possible}
    return min(found.items(), key=lambda each: each[1].seconds)


def share_of_node(estimate: Estimate) -> float:
    """Of its cores or of its memory, whichever is more: what else fits beside the search."""
    return max(THREADS / NODE_CORES, min(estimate.memory_bytes / NODE_MEMORY, 1.0))


def stage(name: str, hours: float, disk: float, *, gpu: bool = True) -> list[str]:
    on_gpus = shown(hours / GPU_CORES) if gpu else "-"
    return [name, shown(hours), shown(hours / NODES / NODE_CORES), on_gpus, format_bytes(disk)]


def core_hours(estimate: Estimate) -> str:
    return shown(estimate.seconds * THREADS / HOUR)


def shown(number: float) -> str:
    """Two digits that count."""
    if number == 0:
        return "0"
    rounded = float(f"{number:.1e}")
    digits = 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(digits, 0)}f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables() -> list[str]:
    """All of them, in the order of docs/scale.md."""
    return [table(each()) for each in (constants, model, searches, bottlenecks, wikimatrix, largest)]


if __name__ == "__main__":
    print("\n\n".join(tables()))
