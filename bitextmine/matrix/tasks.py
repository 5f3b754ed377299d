"""What a run does somewhere: in this process, in another one, or on another machine.

Each function takes a bench and plain values, makes artifacts, and returns plain values. What exists is not made again,
so a task that was killed is simply done once more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.calibration import load_calibration
from bitextmine.corpus import Corpus
from bitextmine.embeddings import embed_shard
from bitextmine.filtered import filter_bitext
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.histogram import margin_histogram
from bitextmine.matrix.parameters import MatrixParameters
from bitextmine.matrix.searches import Search, plan_pair
from bitextmine.matrix.sources import CorpusSource, read_source
from bitextmine.matrix.threshold import with_threshold
from bitextmine.mining import mine
from bitextmine.progress import Progress, silent

_KEPT_OF_A_BITEXT = ("identical_pairs", "identical_sentences", "search", "reused", "changes")


def prepare_corpus(bench: Bench, source: dict[str, Any], *, progress: Progress = silent) -> dict[str, Any]:
    """Make a corpus of its files; returns its digest and what was counted."""
    wanted = CorpusSource.from_json(source)
    corpus = read_source(wanted, bench.store(f"corpus {wanted.name}"), progress)
    return {"digest": corpus.digest, "sentences": len(corpus), "counts": _plain(corpus.summary)}


def embed_corpus_shard(bench: Bench, digest: str, number: int, *, progress: Progress = silent) -> dict[str, Any]:
    """Embed one shard of a corpus; returns how many sentences were encoded."""
    store = bench.store(f"embed {digest[:8]} {number}")
    corpus = bench.corpus(store, digest)
    return {"encoded": embed_shard(corpus, number, bench.open_encoder(), store, progress=progress)}


def mine_pair(
    bench: Bench,
    src: str,
    tgt: str,
    parameters: dict[str, Any],
    search: dict[str, Any],
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Mine the corpora with these digests, which are embedded; returns the bitext's digest and what there is to say.

    `parameters` and `search` are MatrixParameters and the Search of the plan, as JSON: where the task runs, no other is
    chosen.
    """
    started = time.monotonic()
    store = bench.store(f"pair {src[:8]} {tgt[:8]}")
    corpora = bench.corpus(store, src), bench.corpus(store, tgt)
    wanted = MatrixParameters.from_json(parameters)
    mined, threshold = _mined(bench, corpora, wanted, Search.from_json(search), store, progress)
    kept = filter_bitext(mined, wanted.filters, store, progress=progress) if wanted.filters else mined
    return {
        "bitext": kept.digest,
        "pairs": len(kept),
        "mined": {"bitext": mined.digest, "pairs": len(mined), "histogram": margin_histogram(mined).as_json()},
        "histogram": margin_histogram(kept).as_json(),
        "threshold": threshold,
        "filters": kept.summary.get("filters", []),
        **{name: mined.summary[name] for name in _KEPT_OF_A_BITEXT if name in mined.summary},
        "seconds": round(time.monotonic() - started, 3),
    }


def _mined(
    bench: Bench,
    corpora: Sequence[Corpus],
    wanted: MatrixParameters,
    search: Search,
    store: ArtifactStore,
    progress: Progress,
) -> tuple[Bitext, dict[str, Any]]:
    """The pairs above the threshold, and that with what is known of it."""
    src, tgt = corpora
    encoder, rates = bench.open_encoder(), load_calibration(Path(bench.data_dir or bench.root))
    plan = plan_pair((src, tgt), encoder, wanted.mining, resources=bench.resources, rates=rates, search=search)
    mining, said = with_threshold((src, tgt), encoder, store, wanted, plan=plan, progress=progress)
    return mine(src, tgt, encoder, store, mining, plan=plan, progress=progress), said


def _plain(summary: Any) -> dict[str, Any]:
    """Of a corpus's summary what a report shows: not the lists of its shards."""
    return {name: value for name, value in summary.items() if name not in ("shards", "grown", "parts", "bounds")}
