"""A bitext on disk: written with texts and provenance, read by position and by margin, damage found out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextmine import bitext as bitext_module
from bitextmine import pairs_file
from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, SCHEMA, Bitext, MarginRange, Order, SentencePair
from bitextmine.errors import ArtifactError, NotFoundError, ParameterError
from bitextmine.margin import Direction
from tests.unit.bitexts import ROWS, pairs_of, published

TIES = (3, 2.5, 2.5, 2.5, 2.5, 1.3, 1.3, 0, -0.5, -0.5, -2)  # falling, with runs over the ends of row groups


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture(params=[(3, 2), (4, 1), (11, 100), (100, 4)], ids="row groups of {0[0]}, batches of {0[1]}".format)
def row_group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    rows, batch = request.param
    monkeypatch.setattr(bitext_module, "ROW_GROUP", rows)
    monkeypatch.setattr(pairs_file, "BATCH_ROWS", batch)
    return int(rows)


@pytest.mark.usefixtures("row_group")
def test_a_page_is_that_slice_wherever_row_groups_begin_and_end(store: ArtifactStore) -> None:
    bitext = published(store)
    everything = list(bitext.pairs())
    assert len(everything) == len(bitext) == ROWS
    for start in range(ROWS + 2):
        assert list(bitext.pairs(start)) == everything[start:]
        for limit in range(ROWS + 2):
            assert list(bitext.pairs(start, limit)) == everything[start : start + limit]


def test_the_file_holds_row_groups_of_the_size_that_is_written(store: ArtifactStore, row_group: int) -> None:
    metadata = pq.read_metadata(published(store).path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(sizes) == ROWS
    assert set(sizes[:-1]) <= {row_group}


def test_pairs_are_written_with_their_texts_lines_and_scores(store: ArtifactStore) -> None:
    bitext = published(store)
    assert bitext.table().schema.equals(SCHEMA)
    given_pairs = pairs_of(ROWS)
    for row, pair in enumerate(bitext.pairs()):
        other = ROWS - 1 - row
        assert (pair.src, pair.tgt, pair.src_row, pair.tgt_row) == (f"src {row}", f"ziel {other}", row, other)
        assert (pair.src_id, pair.src_line, pair.tgt_id, pair.tgt_line) == (
            str(row + 1),
            row + 1,
            str(other + 1),
            other + 1,
        )
        assert (pair.margin, pair.cosine) == (given_pairs.margin[row], given_pairs.cosine[row])
        assert (pair.src_mean, pair.tgt_mean) == (given_pairs.src_mean[row], given_pairs.tgt_mean[row])
        assert pair.direction is [Direction.FORWARD, Direction.BACKWARD, Direction.BOTH][row % 3]
        assert pair.src_rank == (row % 3 or None)
        assert pair.src_doc_id is None


def test_a_record_has_a_field_for_every_column() -> None:
    assert list(SentencePair.__slots__) == SCHEMA.names


def test_the_file_says_how_it_is_sorted(store: ArtifactStore) -> None:
    (column,) = pq.read_metadata(published(store).path).row_group(0).sorting_columns
    assert (SCHEMA.names[column.column_index], column.descending) == ("margin", True)


@pytest.mark.usefixtures("row_group")
@pytest.mark.parametrize("margins", [TIES, (1.3,) * ROWS], ids=["runs", "all the same"])
def test_a_page_holds_what_a_look_at_every_margin_finds(store: ArtifactStore, margins: tuple[float, ...]) -> None:
    bitext = published(store, margins=margins)
    bounds = [None, *sorted({*margins, 2.6, 1.2, -0.1, 9, -9})]
    for least, most in itertools.product(bounds, bounds):
        if least is not None and most is not None and least > most:
            continue
        expected = [
            pair
            for pair in bitext.pairs()
            if (least is None or pair.margin >= np.float32(least)) and (most is None or pair.margin <= np.float32(most))
        ]
        for order, listed in ((Order.DESC, expected), (Order.ASC, expected[::-1])):
            for start, limit in ((0, 100), (0, 1), (2, 3), (5, 100)):
                page = bitext.page(start, limit, MarginRange(least, most), order)
                assert page.total == len(expected)
                assert page.pairs == listed[start : start + limit], (least, most, order, start, limit)


def test_bounds_are_rounded_as_margins_are(store: ArtifactStore) -> None:
    bitext = published(store, margins=(1.35, 1.34, 1.33, 1.32, 1.31, 1.3, 1.29, 1.28, 1.27, 1.26, 1.25))
    assert min(pair.margin - float(f"{pair.margin:.2f}") for pair in bitext.pairs()) < 0
    for pair in bitext.pairs():
        bound = float(f"{pair.margin:.2f}")
        assert bitext.page(0, 9, MarginRange(bound, bound)).pairs == [pair]


def test_any_range_of_any_falling_margins_is_found(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = st.floats(-4, 4, width=32)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(score, max_size=12), score, score, st.integers(1, 5))
    def check(scores: list[float], one: float, other: float, rows: int) -> None:
        monkeypatch.setattr(bitext_module, "ROW_GROUP", rows)
        falling = sorted(scores, reverse=True)
        store = ArtifactStore(tmp_path_factory.mktemp("any") / "artifacts")
        bitext = published(store, len(falling), falling)
        least, most = sorted((one, other))
        expected = [margin for margin in falling if least <= margin <= most]
        page = bitext.page(0, 100, MarginRange(least, most))
        assert [pair.margin for pair in page.pairs] == expected
        assert page.total == len(expected)

    check()


def test_a_file_without_statistics_is_searched_too(store: ArtifactStore) -> None:
    table = published(store, margins=TIES).table()
    key = ArtifactKey(KIND, {"statistics": False}, {})
    with store.publish(key) as staging:
        pq.write_table(table, staging.path / PAIRS, row_group_size=3, write_statistics=False)
        staging.summary["pairs"] = ROWS
    artifact = store.find(key)
    assert artifact is not None
    page = Bitext(artifact).page(0, 100, MarginRange(-0.5, 2.5))
    assert [pair.margin for pair in page.pairs] == pytest.approx(TIES[1:10])


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (float("nan"), None, "finite"),
        (None, float("inf"), "finite"),
        (float("-inf"), 1, "finite"),
        (1e39, None, "finite"),
        (2, 1, "the least margin 2 is above the most 1"),
    ],
)
def test_bounds_that_no_margin_can_meet_are_refused(least: float | None, most: float | None, said: str) -> None:
    with pytest.raises(ParameterError, match=said) as caught:
        MarginRange(least, most)
    assert caught.value.code == "invalid-threshold"


def test_pages_of_no_pairs_are_empty(store: ArtifactStore) -> None:
    bitext = published(store, rows=0)
    assert (len(bitext), list(bitext.pairs()), list(bitext.pairs(0, 5))) == (0, [], [])
    assert bitext.table().num_rows == 0
    page = bitext.page(0, 5, MarginRange(0, 1), Order.ASC)
    assert (page.pairs, page.total) == ([], 0)
    bitext.check(whole=True)


def zeroed(bitext: Bitext, start: float, stop: float) -> None:
    """Lose a part of the file; the size stays."""
    content = bytearray(bitext.path.read_bytes())
    first, last = int(start * len(content)), int(stop * len(content))
    content[first:last] = bytes(last - first)
    bitext.path.write_bytes(content)


READS: dict[str, Callable[[Bitext], object]] = {
    "table": lambda bitext: bitext.table(),
    "pairs": lambda bitext: list(bitext.pairs()),
    "page": lambda bitext: bitext.page(0, 10),
    "bounds": lambda bitext: bitext.page(0, 10, MarginRange(1, 1.1)),
    "check": lambda bitext: bitext.check(),
}


@pytest.mark.parametrize("read", READS)
def test_a_damaged_bitext_is_told_as_such_in_one_line(store: ArtifactStore, read: str) -> None:
    bitext = published(store)
    zeroed(bitext, 1 / 8, 1 / 2)
    with pytest.raises(ArtifactError, match=r"pairs\.parquet is damaged") as caught:
        READS[read](bitext)
    assert "\n" not in str(caught.value)


def test_no_byte_of_a_page_can_change_unseen(store: ArtifactStore) -> None:
    bitext = published(store)
    sound, content = list(bitext.pairs()), bitext.path.read_bytes()
    footer = 8 + int.from_bytes(content[-8:-4], "little")
    refused = 0
    reads: list[tuple[Callable[[], list[object]], list[object]]] = [
        (lambda: list(bitext.pairs()), list(sound)),
        (lambda: list(bitext.table(["src"])["src"].to_pylist()), [pair.src for pair in sound]),
    ]
    for place in range(4, len(content) - footer, 7):
        bitext.path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        for read, expected in reads:
            try:
                found = read()
            except ArtifactError:
                refused += 1
            else:
                assert found == expected, f"byte {place}"
        with pytest.raises(ArtifactError, match="not the file that was published"):
            bitext.check()
    assert refused > 0.5 * (len(content) - footer) / 7


@pytest.mark.parametrize("whole", [False, True])
def test_of_a_large_file_only_the_footer_is_checked_unless_all_is_wanted(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    bitext = published(store)
    monkeypatch.setattr(bitext_module, "HASHED_BYTES", bitext.size - 1)
    bitext.check(whole=whole)
    zeroed(bitext, 1 / 8, 1 / 4)
    if whole:
        with pytest.raises(ArtifactError, match="not the file that was published"):
            bitext.check(whole=True)
    else:
        bitext.check()
        zeroed(bitext, 0.99, 1)
        with pytest.raises(ArtifactError):
            bitext.check()


@pytest.mark.parametrize("other", ["fewer pairs", "another column"])
def test_a_file_that_is_another_is_refused(store: ArtifactStore, other: str) -> None:
    bitext = published(store)
    table = bitext.table()
    if other == "fewer pairs":
        table = table.slice(1)
    else:
        table = table.set_column(SCHEMA.names.index("src"), "src", pa.array([b"x"] * ROWS))
    pq.write_table(table, bitext.path)
    with pytest.raises(ArtifactError, match="does not hold the pairs"):
        list(bitext.pairs())


@pytest.mark.parametrize("read", READS)
def test_a_bitext_that_is_deleted_meanwhile_is_not_there(store: ArtifactStore, read: str) -> None:
    bitext = published(store)
    store.delete(KIND, bitext.digest)
    with pytest.raises(NotFoundError) as caught:
        READS[read](bitext)
    assert caught.value.code == "bitext-not-found"


def test_a_bitext_that_is_deleted_while_it_is_read_is_read_to_its_end(store: ArtifactStore) -> None:
    bitext = published(store)
    everything = list(bitext.pairs())
    pairs = bitext.pairs()
    first = next(pairs)
    store.delete(KIND, bitext.digest)
    assert [first, *pairs] == everything
