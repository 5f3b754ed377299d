"""Filtered bitexts: what stays, what is dropped and why, and that all that reads bitexts reads them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bitextmine.filtered
from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, SCHEMA, Bitext, MarginRange
from bitextmine.errors import ArtifactError, NotFoundError
from bitextmine.exports import Export, ExportFormat, export_chunks
from bitextmine.filtered import REJECTED, REJECTED_SCHEMA, RejectedPairs, filter_bitext, filtered_from
from bitextmine.filters import FilterSettings, PairBatch, run_filters
from tests.unit.bitexts import with_texts

GOOD = [("Der Regen hört am Abend auf.", "The rain stops in the evening."), ("Wir gehen nach Hause.", "We go home.")]
NUMBERS = ("Es kostet 1250 Euro.", "It costs 1520 euros.")
COPY = ("Radio Tirana live", "Radio Tirana live")
SETTINGS = FilterSettings.defaults().only(["numbers", "copy"])


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def texts(bitext: Bitext) -> list[tuple[str, str]]:
    return [(pair.src, pair.tgt) for pair in bitext.pairs()]


def test_what_stays_is_a_bitext_and_what_is_dropped_is_beside_it(store: ArtifactStore) -> None:
    source = with_texts(store, GOOD[0], NUMBERS, COPY, GOOD[1])
    found = filter_bitext(source, SETTINGS, store)
    assert texts(found) == GOOD
    assert list(found.pairs()) == [list(source.pairs())[row] for row in (0, 3)]
    assert (found.digest != source.digest, filtered_from(found), filtered_from(source)) == (True, source.digest, None)
    assert found.artifact.manifest["inputs"]["bitext"] == source.digest
    assert found.parameters["src_source"] == source.parameters["src_source"]
    assert (len(found), found.summary["unfiltered_pairs"]) == (2, 4)
    counts = {each["name"]: (each["dropped"], each["alone"]) for each in found.summary["filters"]}
    assert counts == {"numbers": (1, 1), "copy": (1, 1)}
    page = RejectedPairs(found).page(0, 10)
    assert [(row["src"], row["tgt"], row["filter"]) for row in page.pairs] == [(*NUMBERS, "numbers"), (*COPY, "copy")]
    assert "numbers disagree" in page.pairs[0]["reason"]
    assert page.total == 2
    assert pq.read_schema(found.artifact.path / REJECTED).equals(REJECTED_SCHEMA)
    found.check(whole=True)


def test_pages_and_exports_read_a_filtered_bitext(store: ArtifactStore) -> None:
    found = filter_bitext(with_texts(store, GOOD[0], NUMBERS, COPY, GOOD[1]), SETTINGS, store)
    assert [pair.src for pair in found.page(1, 1).pairs] == [GOOD[1][0]]
    assert found.page(0, 9, MarginRange(least=1.99)).total == 1
    for form in ExportFormat:
        content = b"".join(export_chunks(found, Export(form=form)))
        assert content
        assert b"1250" not in content
    assert b"".join(export_chunks(found)).count(b"\n") == 2


def test_done_once_and_by_what_decides_it(store: ArtifactStore) -> None:
    source = with_texts(store, GOOD[0], NUMBERS, COPY)
    first = filter_bitext(source, SETTINGS, store)
    made = (first.path.stat().st_mtime_ns, first.path.stat().st_ino)
    again = filter_bitext(source, FilterSettings.parse(SETTINGS.as_json()), store)
    assert again.digest == first.digest
    assert (again.path.stat().st_mtime_ns, again.path.stat().st_ino) == made
    assert filter_bitext(source, SETTINGS.with_bound("copy.most=0.9"), store).digest != first.digest
    assert filter_bitext(source, FilterSettings.none(), store) is source
    assert filter_bitext(first, SETTINGS, store).digest != first.digest  # filtered again: another, of the same pairs


def test_the_same_bytes_come_out_whatever_came_before(tmp_path: Path) -> None:
    pairs = [GOOD[0], NUMBERS, COPY, GOOD[1]] * 3
    files = []
    for place in ("one", "two"):
        store = ArtifactStore(tmp_path / place)
        found = filter_bitext(with_texts(store, *pairs), SETTINGS, store)
        files.append([(found.artifact.path / name).read_bytes() for name in (PAIRS, REJECTED)])
    assert files[0] == files[1]


def test_row_groups_of_any_size_give_the_rows_of_one(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitextmine.filtered, "ROW_GROUP", 4)
    monkeypatch.setattr("bitextmine.pairs_file.BATCH_ROWS", 3)
    pairs = [(f"Satz {n} ist gut und lang", f"sentence {n + (n % 5 == 0) * 1000} is good") for n in range(100, 160)]
    source = with_texts(store, *pairs)
    found = filter_bitext(source, SETTINGS, store)
    batch = PairBatch(
        [a for a, _ in pairs], [b for _, b in pairs], source.table(["margin"])["margin"].to_numpy(), *_LANGS
    )
    dropped = run_filters(lambda: [batch], SETTINGS.filters).dropped_by
    assert texts(found) == [pair for pair, number in zip(pairs, dropped, strict=True) if number < 0]
    assert pq.ParquetFile(found.path).metadata.row_group(0).num_rows == 4
    rejected = RejectedPairs(found)
    assert [row["src"] for row in rejected.page(0, 99).pairs] == [
        pair[0] for pair, number in zip(pairs, dropped, strict=True) if number >= 0
    ]
    assert len(rejected) == 12
    paged = [row["src"] for start in range(0, 12, 5) for row in rejected.page(start, 5, "numbers").pairs]
    assert paged == [row["src"] for row in rejected.page(0, 99).pairs]
    assert sum(len(part) for part in rejected.batches()) == 12


_LANGS = ("deu_Latn", "eng_Latn")


def test_pages_of_what_one_filter_dropped(store: ArtifactStore) -> None:
    found = filter_bitext(with_texts(store, NUMBERS, COPY, GOOD[0], COPY, NUMBERS, COPY), SETTINGS, store)
    rejected = RejectedPairs(found)
    page = rejected.page(1, 1, "copy")
    assert ([row["src_line"] for row in page.pairs], page.total) == ([4], 3)
    assert [row["src_line"] for row in rejected.page(0, 9, "numbers").pairs] == [1, 5]
    assert rejected.page(3, 1, "copy").pairs == []
    assert rejected.page(0, 9, "overlap") == type(page)([], 0)
    assert rejected.page(4, 9).pairs[0]["src_line"] == 6


def test_an_unfiltered_bitext_has_rejected_nothing(store: ArtifactStore) -> None:
    rejected = RejectedPairs(with_texts(store, *GOOD))
    assert (len(rejected), rejected.page(0, 5).pairs, list(rejected.batches())) == (0, [], [])


def test_all_pairs_may_go_and_none(store: ArtifactStore) -> None:
    nothing = filter_bitext(with_texts(store, COPY, NUMBERS), SETTINGS, store)
    assert (len(nothing), texts(nothing), nothing.page(0, 5).total) == (0, [], 0)
    assert b"".join(export_chunks(nothing)) == b""
    everything = filter_bitext(with_texts(store, *GOOD), SETTINGS, store)
    assert (len(everything), len(RejectedPairs(everything)), RejectedPairs(everything).page(0, 3).total) == (2, 0, 0)


def test_identical_pairs_are_counted_among_those_that_stay(store: ArtifactStore) -> None:
    key = ArtifactKey(KIND, {"src_lang": "deu_Latn", "tgt_lang": "eng_Latn"}, {})
    rows = with_texts(store, COPY, ("Haus", "Haus"), NUMBERS).table()
    with store.publish(key) as staging:
        pq.write_table(rows, staging.path / PAIRS)
        staging.summary |= {"pairs": 3, "identical_pairs": 2, "src_sentences": 7}
    source = store.find(key)
    assert source is not None
    found = filter_bitext(Bitext(source), FilterSettings.defaults().only(["numbers"]), store)
    assert (found.summary["identical_pairs"], found.summary["src_sentences"]) == (2, 7)
    found = filter_bitext(Bitext(source), SETTINGS, store)
    assert found.summary["identical_pairs"] == 0


def test_damage_is_named_and_nothing_is_published(store: ArtifactStore) -> None:
    source = with_texts(store, GOOD[0], NUMBERS)
    content = bytearray(source.path.read_bytes())
    content[4:60] = bytes(56)
    source.path.write_bytes(content)
    with pytest.raises(ArtifactError):
        filter_bitext(source, SETTINGS, store)
    assert len(store.published(KIND)) == 1
    store.delete(KIND, source.digest)
    with pytest.raises(NotFoundError) as caught:
        filter_bitext(source, SETTINGS, store)
    assert caught.value.code == "bitext-not-found"


def test_damaged_rejects_are_named(store: ArtifactStore) -> None:
    found = filter_bitext(with_texts(store, GOOD[0], NUMBERS), SETTINGS, store)
    pq.write_table(pa.Table.from_pylist([], SCHEMA), found.artifact.path / REJECTED)
    with pytest.raises(ArtifactError):
        RejectedPairs(found).page(0, 1)
