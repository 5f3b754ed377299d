"""Scored pairs as the file of a bitext, in the order and with the columns of a mined one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bitextmine.bitext import ROW_GROUP, SCHEMA
from bitextmine.pair_files import IngestedPairs
from bitextmine.pairs_file import pairs_writer
from bitextmine.progress import Progress
from bitextmine.scoring.neighborhoods import Neighborhoods, hashes_of
from bitextmine.scoring.scores import PairScores

_STAGE = "score"


def falling_order(pairs: IngestedPairs, scores: PairScores) -> NDArray[np.int64]:
    """The pairs that have a margin, by falling margin, then by rising source and target row, then as in the file."""
    scored = np.flatnonzero(np.isfinite(scores.margin))
    src, tgt = pairs.column("src_row")[scored], pairs.column("tgt_row")[scored]
    order: NDArray[np.int64] = scored[np.lexsort((tgt, src, -scores.margin[scored]))]
    return order


def write_scored(
    path: Path,
    pairs: IngestedPairs,
    scores: PairScores,
    order: NDArray[np.int64],
    hoods: tuple[Neighborhoods | None, Neighborhoods | None],
    progress: Progress,
) -> int:
    """Write these pairs in this order, a row group at a time; returns how many are of a sentence with itself."""
    identical = 0
    with pa.OSFile(str(path), "wb") as sink, pairs_writer(sink) as writer:
        for start in range(0, len(order), ROW_GROUP):
            progress(_STAGE, start, len(order))
            batch, same = _batch(pairs, scores, order[start : start + ROW_GROUP], hoods)
            identical += same
            writer.write_batch(batch, row_group_size=ROW_GROUP)
        progress(_STAGE, len(order), len(order))
    return identical


def _batch(
    pairs: IngestedPairs,
    scores: PairScores,
    chosen: NDArray[np.int64],
    hoods: tuple[Neighborhoods | None, Neighborhoods | None],
) -> tuple[pa.RecordBatch, int]:
    """The rows of these pairs, and how many of them are of a sentence with itself."""
    rows = [pairs.take(f"{side}_row", chosen).to_numpy() for side in ("src", "tgt")]
    hashes = [hashes_of(corpus, of) for corpus, of in zip((pairs.src, pairs.tgt), rows, strict=True)]
    line = pairs.take("line", chosen)
    columns: dict[str, pa.Array] = {
        "margin": pa.array(scores.margin[chosen]),
        "cosine": pa.array(scores.cosine[chosen]),
        "src_mean": pa.array(scores.src_mean[chosen], from_pandas=True),  # NaN, which is unknown, becomes null
        "tgt_mean": pa.array(scores.tgt_mean[chosen], from_pandas=True),
        "src_rank": _ranks(hoods[0], rows[0], hashes[1]),
        "tgt_rank": _ranks(hoods[1], rows[1], hashes[0]),
        "direction": pa.nulls(len(chosen), pa.string()),  # they were given, not found from a side
    }
    for side, corpus, of in zip(("src", "tgt"), (pairs.src, pairs.tgt), rows, strict=True):
        columns |= {side: corpus.take("text", of), f"{side}_row": pa.array(of), f"{side}_line": line}
        columns |= {f"{side}_{name}": pairs.take(f"{side}_{name}", chosen) for name in ("id", "doc_id")}
    batch = pa.record_batch([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)
    return batch, int((hashes[0] == hashes[1]).all(axis=1).sum())


def _ranks(hood: Neighborhoods | None, rows: NDArray[np.int64], hashes: NDArray[np.uint64]) -> pa.Array:
    if hood is None:
        return pa.nulls(len(rows), pa.int16())
    ranks = hood.ranks(rows, hashes)
    return pa.array(ranks, mask=ranks == 0)
