"""Which rows of a corpus pass a filter."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitextmine.encoders import Encoder, open_encoder
from bitextmine.online.filters import Filter, rows_where
from bitextmine.online.sentences import SentenceReader
from tests.online_place import SHARD_ROWS, Place, sentences

ODD = 'say "so" \\ or / Ünï'


@pytest.fixture(scope="module")
def tiny(encoders: Path) -> Encoder:
    return open_encoder("tiny", encoders)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, tiny: Encoder) -> SentenceReader:
    """40 sentences in three shards, of the documents a, b and c in turn; every fifth has none, and no metadata."""
    place = Place(tmp_path_factory.mktemp("place"), tiny)
    records = []
    for n, text in enumerate(sentences("house", 40)):
        meta = {"domain": "news" if n % 2 else "law", "odd": ODD, "n": str(n % 4)}
        records.append({"text": text} if n % 5 == 0 else {"text": text, "doc_id": "abc"[n % 3], "meta": meta})
    again = {"text": records[7]["text"], "doc_id": "z", "meta": {"domain": "other"}}
    corpus = place.add("en", "eng_Latn", [*records, again], embedded=False)
    assert len(corpus) == 40 > 2 * SHARD_ROWS
    return SentenceReader(corpus)


def rows(reader: SentenceReader, **wanted: object) -> list[int]:
    found: list[int] = rows_where(reader, Filter.of(**wanted)).tolist()  # type: ignore[arg-type]
    return found


def test_all_rows_pass_an_empty_filter(reader: SentenceReader) -> None:
    assert rows(reader) == list(range(40))
    assert Filter.of().passes_all
    assert not Filter.of(doc_ids=[]).passes_all


def test_a_document_is_one_of_those(reader: SentenceReader) -> None:
    of_a = [n for n in range(40) if n % 3 == 0 and n % 5]
    assert rows(reader, doc_ids=["a"]) == of_a
    assert rows(reader, doc_ids=["c", "a"]) == sorted({*of_a, *(n for n in range(40) if n % 3 == 2 and n % 5)})
    assert rows(reader, doc_ids=["d"]) == rows(reader, doc_ids=[]) == []


def test_a_repeated_sentence_is_in_each_of_its_documents(reader: SentenceReader) -> None:
    assert rows(reader, doc_ids=["z"]) == [7]
    assert 7 in rows(reader, doc_ids=["b"])
    assert rows(reader, doc_ids=["z"], meta={"domain": "news"}) == [7]  # the metadata of its first appearance
    assert rows(reader, doc_ids=["z"], meta={"domain": "other"}) == []


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"domain": "law"}, [n for n in range(0, 40, 2) if n % 5]),
        ({"domain": "law", "n": "2"}, [n for n in range(2, 40, 4) if n % 5]),
        ({"odd": ODD}, [n for n in range(40) if n % 5]),
        ({"domain": "la"}, []),
        ({"domain": ""}, []),
        ({"n": "news"}, []),
        ({"dom": "law"}, []),
        ({'domain": "law", "x': "law"}, []),
    ],
)
def test_metadata_must_be_just_that(reader: SentenceReader, meta: dict[str, str], expected: list[int]) -> None:
    assert rows(reader, meta=meta) == expected


def test_both_must_pass(reader: SentenceReader) -> None:
    both = set(rows(reader, doc_ids=["a"])) & set(rows(reader, meta={"domain": "news"}))
    assert rows(reader, doc_ids=["a"], meta={"domain": "news"}) == sorted(both)
    assert both


def test_a_corpus_without_metadata_has_no_row_with_some(tmp_path: Path, tiny: Encoder) -> None:
    place = Place(tmp_path, tiny)
    corpus = place.add("en", "eng_Latn", sentences("house", 20), embedded=False)
    reader = SentenceReader(corpus)
    assert rows(reader, meta={"domain": "law"}) == []
    assert rows(reader) == list(range(20))
    assert reader.at(3).meta == {}


def test_sentences_come_with_their_provenance(reader: SentenceReader) -> None:
    found = reader.at(37)
    assert (found.text, found.doc_id, found.line, found.source) == (sentences("house", 38)[-1], "b", 38, "en.jsonl")
    assert found.meta == {"domain": "news", "odd": ODD, "n": "1"}
    assert reader.at(35).doc_id is None
    assert reader.at(35).id == "36"
