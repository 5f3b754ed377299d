"""Preparation end to end: provenance, what is taken from every kind of file, and the account of what is dropped."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from bitextmine.artifacts import ArtifactStore
from bitextmine.errors import CorpusInputError
from bitextmine.preparation import (
    SourceKind,
    kind_of,
    prepare,
    rehearse,
    rejects,
    report_of,
)
from tests.unit.prepared import jsonl, moses, parsed, rows_of, tmx, written

ARTICLE = "Berlin\n\nBerlin ist die Hauptstadt. Es hat viele Einwohner.\nDie Spree fließt durch die Stadt.\n"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def test_lines_stay_lines(tmp_path: Path, store: ArtifactStore) -> None:
    path = written(tmp_path / "a.txt", "Ein Satz. Noch einer.", "Der dritte Satz.")
    corpus = prepare([path], "de", store)
    assert rows_of(corpus, "text", "id", "doc_id", "line") == [
        ("Ein Satz. Noch einer.", "1", None, 1),
        ("Der dritte Satz.", "2", None, 2),
    ]
    assert (corpus.lang, corpus.source, len(corpus.shards)) == ("deu_Latn", "a.txt", 1)
    assert rows_of(prepare([path], "de", store, parsed(split="always")), "text", "id", "line") == [
        ("Ein Satz.", "1#1", 1),
        ("Noch einer.", "1#2", 1),
        ("Der dritte Satz.", "2#1", 2),
    ]


def test_articles_are_split_and_their_sentences_know_them(tmp_path: Path, store: ArtifactStore) -> None:
    path = jsonl(
        tmp_path / "wiki_00", {"id": 7, "title": "Berlin", "text": ARTICLE}, {"id": 8, "title": "", "text": ""}
    )
    assert kind_of(path) is SourceKind.JSONL, "told by the first line"
    corpus = prepare([path], "de", store)
    assert rows_of(corpus, "text", "id", "doc_id", "line") == [
        ("Berlin", "7#1", "7", 1),
        ("Berlin ist die Hauptstadt.", "7#2", "7", 1),
        ("Es hat viele Einwohner.", "7#3", "7", 1),
        ("Die Spree fließt durch die Stadt.", "7#4", "7", 1),
    ]
    assert corpus.summary["refused"] == {"empty": 1}
    lines = prepare([path], "de", store, parsed(split="never"))
    assert [text for (text,) in rows_of(lines, "text")][1] == "Berlin ist die Hauptstadt. Es hat viele Einwohner."


def test_records_of_one_sentence_keep_their_ids_and_metadata(tmp_path: Path, store: ArtifactStore) -> None:
    records = [{"text": "Ein Satz.  Noch einer.", "id": "s1", "doc_id": "d1", "meta": {"year": "1999"}}]
    corpus = prepare([jsonl(tmp_path / "a.jsonl", *records)], "de", store)
    (row,) = rows_of(corpus, "text", "id", "doc_id")
    assert row == ("Ein Satz.  Noch einer.", "s1", "d1")
    assert corpus.shard_column("meta", corpus.shards[0]).to_pylist() == ['{"year": "1999"}']


def test_one_bad_sentence_does_not_take_its_document_along(tmp_path: Path, store: ArtifactStore) -> None:
    text = "Ein guter Satz.\nEin\tTabulator.\n" + "x" * 20_000 + "\nNoch ein guter Satz."
    path = jsonl(tmp_path / "a.jsonl", {"text": text, "doc_id": "d"})
    corpus = prepare([path], "de", store)
    assert [row[0] for row in rows_of(corpus, "text")] == ["Ein guter Satz.", "Noch ein guter Satz."]
    assert corpus.summary["refused"] == {"control-character": 1, "too-long": 1}
    tidied = prepare([path], "de", store, parsed(tidy=["spaces"]))
    assert "Ein Tabulator." in [row[0] for row in rows_of(tidied, "text")]
    with pytest.raises(CorpusInputError, match="too-long"):
        prepare([path], "de", store, parsed(max_document_chars=5_000))


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.txt", bytes), ("a.gz", gzip.compress), ("a.txt.xz", lzma.compress), ("a.zst", zstd.compress)],
)
def test_compression_is_told_by_content(
    name: str, compress: Callable[[bytes], bytes], tmp_path: Path, store: ArtifactStore
) -> None:
    path = tmp_path / name
    path.write_bytes(compress(b"Ein Satz.\nNoch ein Satz.\n"))
    assert len(prepare([path], "de", store)) == 2


def test_parquet_is_read_by_rows(tmp_path: Path, store: ArtifactStore) -> None:
    columns = {
        "other": [1, 2, 3, 4],
        "text": ["Ein Satz.", None, ARTICLE, "Ein anderer Satz."],
        "id": [10, 11, 12, 13],
        "doc_id": ["d", "d", None, "e"],
    }
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=2)
    corpus = prepare([path], "de", store)
    assert rows_of(corpus, "text", "id", "doc_id", "line")[:2] == [
        ("Ein Satz.", "10", "d", 1),
        ("Berlin", "12#1", "12", 3),
    ]
    assert rows_of(corpus, "text", "id", "doc_id", "line")[-1] == ("Ein anderer Satz.", "13", "e", 4)
    assert (corpus.summary["lines"], corpus.summary["refused"]) == (4, {"empty": 1})


PAIRS = [("Guten Tag zusammen.", "Good day, everybody."), ("Wie geht es dir heute?", "How are you today?")]


def test_one_side_of_a_bitext_becomes_a_corpus(tmp_path: Path, store: ArtifactStore) -> None:
    memory = tmx(tmp_path / "a.tmx", *PAIRS)
    assert rows_of(prepare([memory], "de", store), "text", "id", "line") == [
        ("Guten Tag zusammen.", "u0", 1),
        ("Wie geht es dir heute?", "u1", 2),
    ]
    archive = moses(tmp_path / "a.zip", de="Guten Tag zusammen.\n", en="Good day.\n")
    assert rows_of(prepare([archive], "en", store), "text", "line") == [("Good day.", 1)]
    with pytest.raises(CorpusInputError, match=r"no unit that can be used in fra_Latn: 2 units, with de-DE, en"):
        prepare([memory], "fr", store)
    with pytest.raises(CorpusInputError, match="none of whose names ends in fra_Latn"):
        prepare([archive], "fr", store)


@pytest.mark.parametrize("kind", ["tmx", "zip", "tsv", "pairs.jsonl", "txt", "text.jsonl"])
def test_sentences_of_existing_bitexts_are_left_out(kind: str, tmp_path: Path, store: ArtifactStore) -> None:
    there, other = PAIRS[0]
    path = tmp_path / f"old.{kind}"
    match kind:
        case "tmx":
            tmx(path, PAIRS[0])
        case "zip":
            moses(path, de=f"{there}\n", en=f"{other}\n")
        case "tsv":
            written(path, f"1.5\t{other}\t{there}")
        case "pairs.jsonl":
            jsonl(path, {"src": there, "tgt": other})
        case "txt":
            written(path, there)
        case _:
            jsonl(path, {"text": there})
    source = written(tmp_path / "a.txt", *(src.replace(" ", "\u00a0") for src, _ in PAIRS), there.upper())
    parameters = parsed(exclude=[str(path)], tidy=["spaces"])
    corpus = prepare([source], "de", store, parameters)
    assert [row[0] for row in rows_of(corpus, "text")] == [PAIRS[1][0], there.upper()], "what is like it may stay"
    assert [(reject.rule, reject.line, reject.text) for reject in rejects(corpus)] == [("excluded", 1, there)]
    written(path, "Etwas anderes.") if kind == "txt" else path.unlink()
    if kind == "txt":
        assert len(prepare([source], "de", store, parameters)) == 2, "other content of the file is another corpus"
    else:
        with pytest.raises(CorpusInputError) as caught:
            prepare([source], "de", store, parameters)
        assert caught.value.code == "file-not-found"


def test_rejects_say_where_and_why(tmp_path: Path, store: ArtifactStore) -> None:
    first = written(tmp_path / "in" / "x" / "a.txt", "Ein guter Satz.", "%%%%%%", "EIN GUTER SATZ!", "Ein guter Satz.")
    second = jsonl(
        tmp_path / "in" / "b.jsonl", {"text": "This is an English sentence, as anybody sees.", "doc_id": "d"}
    )
    corpus = prepare([first, second], "de", store)
    assert [(one.source, one.line, one.doc_id, one.rule, one.text) for one in rejects(corpus)] == [
        ("x/a.txt", 2, None, "punctuation", "%%%%%%"),
        ("x/a.txt", 3, None, "near-duplicate", "EIN GUTER SATZ!"),
        ("b.jsonl", 1, "d", "language", "This is an English sentence, as anybody sees."),
    ]
    reasons = [one.reason for one in rejects(corpus)]
    assert reasons[0] == "1.00 of it is punctuation and symbols, more than 0.6"
    assert reasons[1] == "nearly the same as sentence 0"
    report = report_of(corpus)
    assert report is not None
    assert report.dropped == {"punctuation": 1, "near-duplicate": 1, "language": 1}
    assert (report.kept, report.duplicates, report.files, report.lines) == (1, 1, 2, 5)
    assert report.examples["language"][0]["source"] == "b.jsonl"


def test_the_kept_rejects_are_bounded_by_rule(
    tmp_path: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitextmine.preparation.rejected.REFUSALS_KEPT", 2)
    path = written(tmp_path / "a.txt", *(f"%%%{'%' * n}" for n in range(5)), "x", "Ein guter Satz.")
    corpus = prepare([path], "de", store)
    assert [one.rule for one in rejects(corpus)] == ["punctuation", "punctuation", "length"]
    assert corpus.summary["preparation"]["dropped"] == {"punctuation": 5, "length": 1}


def test_a_rehearsal_makes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "in" / "a.txt", "%%%%", "&&&&")
    report = rehearse([path], "de")
    assert (report.kept, dict(report.dropped)) == (0, {"punctuation": 2})
    assert [found.name for found in tmp_path.iterdir()] == ["in"]


def test_what_the_rules_cannot_do_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "Hallo allerseits")
    assert rehearse([path], "de").notes == ()
    assert "does not know max" in rehearse([path], "max").notes[0]
    assert "hardly be told" in rehearse([path], "gsw").notes[0]
    assert rehearse([path], "gsw", parsed(rules={"language": False})).notes == ()
    assert "lines only" in rehearse([written(path, "ขอบคุณมาก")], "th").notes[0]


def test_surrogates_and_strange_spaces_cost_a_sentence_at_most(tmp_path: Path, store: ArtifactStore) -> None:
    text = "Ein guter Satz. Halb \ud83d ein Zeichen. Herr A\u00a0. ging. Noch ein guter Satz."
    corpus = prepare([jsonl(tmp_path / "a.jsonl", {"text": text, "title": "T"})], "de", store)
    texts = [row[0] for row in rows_of(corpus, "text")]
    assert texts[0] == "Ein guter Satz."
    assert texts[-1].endswith("Noch ein guter Satz.")
    assert corpus.summary["refused"] == {"control-character": 1}


def test_documents_longer_than_a_block_stay_in_order(
    tmp_path: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{"text": f"Satz {n} von vielen.\nUnd Satz {n} von anderen.", "id": n} for n in range(50)]
    path = jsonl(tmp_path / "a.jsonl", *records)
    whole = rows_of(prepare([path], "de", store), "text", "id", "line")
    assert len(whole) == 100
    monkeypatch.setattr("bitextmine.preparation.reading._BLOCK_CHARS", 100)
    assert rows_of(prepare([path], "de", ArtifactStore(tmp_path / "other")), "text", "id", "line") == whole
