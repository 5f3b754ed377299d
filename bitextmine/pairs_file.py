"""The file of a bitext's pairs: its columns, and how ranges of margins and of positions are read from it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bitextmine.errors import ArtifactError, NotFoundError, ParameterError
from bitextmine.margin import Direction

BATCH_ROWS = 1024
_BUFFER = 1 << 20
_MARGIN = "margin"
SCHEMA = pa.schema(
    [
        ("src_id", pa.string()),
        ("tgt_id", pa.string()),
        ("src", pa.string()),
        ("tgt", pa.string()),
        ("margin", pa.float32()),
        ("cosine", pa.float32()),
        ("src_rank", pa.int16()),  # of tgt among src's k neighbours, from 1; null where it is not among them
        ("tgt_rank", pa.int16()),
        ("src_mean", pa.float32()),  # mean cosine of src to its k nearest targets; null where none were searched
        ("tgt_mean", pa.float32()),
        ("direction", pa.string()),  # forward, backward, both: whose best candidate the pair is; null of given pairs
        ("src_doc_id", pa.string()),
        ("tgt_doc_id", pa.string()),
        ("src_line", pa.int64()),  # in the file that the source corpus names; of given pairs, in theirs
        ("tgt_line", pa.int64()),
        ("src_row", pa.int64()),  # in the corpus artifact
        ("tgt_row", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class SentencePair:
    """One pair, mined or given and scored. See SCHEMA for the columns."""

    src_id: str
    tgt_id: str
    src: str
    tgt: str
    margin: float
    cosine: float
    src_rank: int | None
    tgt_rank: int | None
    src_mean: float | None
    tgt_mean: float | None
    direction: Direction | None
    src_doc_id: str | None
    tgt_doc_id: str | None
    src_line: int
    tgt_line: int
    src_row: int
    tgt_row: int


@dataclass(frozen=True, slots=True)
class MarginRange:
    """The margins from `least` to `most`, both included; None is no bound.

    Margins are float32, and the bounds are rounded alike: 1.3 takes in a margin of 1.3, which is stored as 1.2999999.

    Raises:
        ParameterError: `invalid-threshold`, of a bound that is no finite float32, or a least one above the most.
    """

    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        largest = float(np.finfo(np.float32).max)
        bounds = [bound for bound in (self.least, self.most) if bound is not None]
        if not all(abs(bound) <= largest for bound in bounds):  # NaN is not either
            raise ParameterError("the least and the most margin must be finite numbers", code="invalid-threshold")
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            message = f"the least margin {bounds[0]:g} is above the most {bounds[1]:g}: no pair could match"
            raise ParameterError(message, code="invalid-threshold")


EVERY_MARGIN = MarginRange()


def pair_record(pair: SentencePair) -> dict[str, Any]:
    """A pair as JSON values; float32 scores rounded to the six decimals that they hold."""
    record = {name: getattr(pair, name) for name in SCHEMA.names}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in record.items()}


def pairs_writer(sink: Any, schema: pa.Schema = SCHEMA, *, falling: bool = True) -> pq.ParquetWriter:
    """A writer of such a file: each of its pages has a checksum, and it says how its rows are sorted, by falling
    margin unless they are not."""
    order = [pq.SortingColumn(schema.names.index(_MARGIN), descending=True)] if falling else None
    return pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True, sorting_columns=order)


@contextmanager
def open_pairs(path: Path, rows: int, schema: pa.Schema = SCHEMA) -> Iterator[PairsReader]:
    """A file of so many pairs, open for reading: it stays readable though it be deleted.

    Raises:
        ArtifactError: the file is damaged.
        NotFoundError: `bitext-not-found`, it was deleted meanwhile.
    """
    with damage_named(path):
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=_BUFFER)
    with file:
        if file.metadata.num_rows != rows or not file.schema_arrow.equals(schema):
            raise damaged(path, "it does not hold the pairs that it should")
        yield PairsReader(path, file)


class PairsReader:
    """An open file of pairs."""

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self._path, self._file = path, file
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).tolist()  # of row groups, and the end

    def span(self, margins: MarginRange = EVERY_MARGIN) -> range:
        """The positions of the pairs with such margins: one row group's margins at most are read for each bound.

        Raises:
            ArtifactError: the file is damaged.
        """
        first, stop = 0, self._starts[-1]
        if margins.most is not None:
            most = np.float32(margins.most)
            first = self._count(lambda margin: margin > most)
        if margins.least is not None:
            least = np.float32(margins.least)
            stop = self._count(lambda margin: margin >= least)
        return range(first, stop)

    def pairs(self, positions: range) -> Iterator[SentencePair]:
        """The pairs at rising positions.

        Raises:
            ArtifactError: the file is damaged.
        """
        for batch in self.batches(positions):
            for row in batch.to_pylist():
                yield SentencePair(**row | {"direction": row["direction"] and Direction(row["direction"])})

    def batches(self, positions: range, columns: Sequence[str] = SCHEMA.names) -> Iterator[pa.RecordBatch]:
        """The rows at rising positions, at most BATCH_ROWS at once; what is held in memory does not grow with them.

        Raises:
            ArtifactError: the file is damaged.
        """
        if not positions:
            return
        first_group, last_group = (bisect_right(self._starts, end) - 1 for end in (positions[0], positions[-1]))
        for group in range(first_group, last_group + 1):
            first = self._starts[group]
            for batch in self._batches_of(group, columns):
                if first > positions[-1]:
                    return
                begin, end = max(positions[0] - first, 0), min(positions[-1] + 1 - first, len(batch))
                if begin < end:
                    yield batch.slice(begin, end - begin)
                first += len(batch)

    def _batches_of(self, group: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        missing = self._starts[group + 1] - self._starts[group]
        with damage_named(self._path):
            batches = self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)
            while (batch := next(batches, None)) is not None:
                missing -= len(batch)
                yield batch.select(columns)
        if missing:  # the checksum of a page does not cover its header, which says how many rows it has
            raise damaged(self._path, f"{missing:,} rows are missing")

    def _count(self, above: Callable[[Any], Any]) -> int:
        """How many pairs, of the best, have a margin `above` something. Margins fall, so whole row groups are told."""
        groups = range(len(self._starts) - 1)
        group = bisect_left(groups, True, key=lambda group: not above(self._lowest(group)))
        if group == len(groups):
            return int(self._starts[-1])
        return int(self._starts[group]) + int(np.count_nonzero(above(self._margins(group))))

    def _lowest(self, group: int) -> np.float32:
        statistics = self._file.metadata.row_group(group).column(SCHEMA.names.index(_MARGIN)).statistics
        if statistics is not None and statistics.has_min_max:
            return np.float32(statistics.min)
        return np.float32(self._margins(group)[-1])

    def _margins(self, group: int) -> NDArray[np.float32]:
        with damage_named(self._path):
            margins: NDArray[np.float32] = self._file.read_row_group(group, [_MARGIN])[_MARGIN].to_numpy()
        return margins


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"bitext {path.parent.name} was deleted meanwhile", code="bitext-not-found") from error
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, " ".join(str(error).split())) from error


def damaged(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(f"{path} is damaged ({reason}); delete its folder to mine it again")
