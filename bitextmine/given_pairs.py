"""The pairs of a file as a bitext, in their order and as they are: nothing is embedded, scored or left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bitextmine.artifacts import ArtifactKey, ArtifactStore, file_sha256
from bitextmine.bitext import KIND, PAIRS, SCHEMA, Bitext
from bitextmine.corpus import CorpusFile, Limits, check_readable
from bitextmine.corpus.refused import REFUSED, RefusalLog
from bitextmine.errors import ArtifactError, CorpusInputError
from bitextmine.margin import Direction
from bitextmine.pair_files import PairBlock, PairFile, read_pairs
from bitextmine.pair_files.parquet import read_parquet
from bitextmine.pairs_file import pairs_writer
from bitextmine.progress import Progress, silent

MADE_BY = "file"
STAGE = "read"
_LARGEST = float(np.finfo(np.float32).max)
_SCORES = ("cosine", "src_mean", "tgt_mean")
_NUMBERS = (("src_rank", 1, 2**15 - 1), ("tgt_rank", 1, 2**15 - 1))
_PLACES = ("src_line", "tgt_line", "src_row", "tgt_row")
_DIRECTIONS = frozenset(direction.value for direction in Direction)


def is_parquet(path: Path) -> bool:
    """Whether the file's name says that it is one of Parquet."""
    return path.suffix.lower() == ".parquet"


def bitext_of_file(
    file: PairFile,
    store: ArtifactStore,
    *,
    parquet: bool = False,
    limits: Limits | None = None,
    progress: Progress = silent,
) -> Bitext:
    """The pairs of a file that can be used, with the scores that it has; holds some thousand in memory.

    Lines that cannot be used are refused, counted and kept with number and reason. `summary["scored"]` says how many
    pairs have a margin. They are in the file's order, so ranges of margins cannot be asked of this bitext.

    Args:
        file: its format is not looked at where `parquet` is true.

    Raises:
        CorpusInputError: the file as a whole is unusable: see `read_pairs`, or `empty-corpus`: no pair can be used.
        DiskFullError: nothing was published.
    """
    limits = limits or Limits()
    check_readable(CorpusFile(file.path, ""))
    file = replace(file, sha256=file_sha256(file.path), tgt_sha256=file_sha256(file.tgt_path) if file.tgt_path else "")
    key = _key(file, parquet)
    if store.find(key) is None:
        with store.publish(key) as staging:
            blocks = read_parquet(file.path, limits, file.sha256) if parquet else read_pairs(file, limits)
            staging.summary |= _write(file, blocks, staging.path, progress)
    if (artifact := store.find(key)) is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return Bitext(artifact)


def _key(file: PairFile, parquet: bool) -> ArtifactKey:
    src_source, tgt_source = file.names
    described = {
        "made_by": MADE_BY,
        "src_lang": file.src_lang,
        "tgt_lang": file.tgt_lang,
        "src_source": src_source,
        "tgt_source": tgt_source,
        "format": "parquet" if parquet else file.format.value,
        "columns": str(file.columns) if file.columns else None,
    }
    digests = (file.sha256, file.tgt_sha256)[: len(file.paths)]
    inputs = {f"content-{number}": digest for number, digest in enumerate(digests)}
    return ArtifactKey(KIND, described, inputs)


def _write(file: PairFile, blocks: Iterator[PairBlock], directory: Path, progress: Progress) -> dict[str, Any]:
    count = lines = scored = 0
    with (
        (directory / REFUSED).open("w", encoding="utf-8") as stream,
        pa.OSFile(str(directory / PAIRS), "wb") as sink,
        pairs_writer(sink, falling=False) as writer,
    ):
        refused = RefusalLog(stream)
        for block in blocks:
            refused.add(block.refused)
            lines += block.lines
            if len(block):
                rows = pa.RecordBatch.from_pylist(list(_rows(block, count)), SCHEMA)
                scored += len(rows) - rows["margin"].null_count
                writer.write_batch(rows)
                count += len(rows)
            progress(STAGE, lines, None)
        if not count:
            why = refused.why_empty(file.label, "pair", lines) if lines else f"{file.label} holds no pair"
            raise CorpusInputError(why, code="empty-corpus")
    return {"pairs": count, "lines": lines, "refused": dict(refused.counts), "scored": scored}


def _rows(block: PairBlock, first: int) -> Iterator[dict[str, Any]]:
    """Rows of SCHEMA; what is not of a column's kind is left out."""
    for number, extra in enumerate(block.extras):
        line = block.src.lines[number]
        row: dict[str, Any] = {"margin": _score(extra.get("margin", extra.get("score")))}
        row |= {name: _score(extra.get(name)) for name in _SCORES}
        row |= {name: _whole(extra.get(name), least, most) for name, least, most in _NUMBERS}
        row |= {name: _place(extra, name, line if name.endswith("line") else first + number) for name in _PLACES}
        direction = extra.get("direction")
        row["direction"] = direction if isinstance(direction, str) and direction in _DIRECTIONS else None
        for side, part in (("src", block.src), ("tgt", block.tgt)):
            row[side], row[f"{side}_doc_id"] = part.texts[number], part.doc_ids[number]
            row[f"{side}_id"] = part.ids[number] or str(line)
        yield row


def _place(extra: Mapping[str, Any], name: str, otherwise: int) -> int:
    found = _whole(extra.get(name), 0, 2**63 - 1)
    return otherwise if found is None else found


def _score(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        score = float(value)
    except (ValueError, OverflowError):
        return None
    return score if isfinite(score) and abs(score) <= _LARGEST else None


def _whole(value: object, least: int, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None
