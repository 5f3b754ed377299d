"""Preparation end to end: provenance, what is taken from every kind of file, former versions, and bad input."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.embeddings import VECTORS, embed
from bitextmine.encoders import Encoder, Encoding
from bitextmine.errors import CorpusInputError
from bitextmine.preparation import (
    PreparationParameters,
    SourceKind,
    expand_sources,
    kind_of,
    prepare,
    rehearse,
    rejects,
    report_of,
)

ARTICLE = "Berlin\n\nBerlin ist die Hauptstadt. Es hat viele Einwohner.\nDie Spree fließt durch die Stadt.\n"
TEXTS = [f"The {noun} costs {number} and opens at nine." for number, noun in enumerate(["museum", "lake", "map"] * 4)]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def jsonl(path: Path, *records: dict[str, Any]) -> Path:
    return written(path, *(json.dumps(record) for record in records))


def rows_of(corpus: Corpus, *columns: str) -> list[tuple[Any, ...]]:
    rows = np.arange(len(corpus))
    return list(zip(*(corpus.take(column, rows).to_pylist() for column in columns), strict=True))


def parsed(**wanted: object) -> PreparationParameters:
    return PreparationParameters.parse(wanted)


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


def tmx(path: Path, *units: tuple[str, str]) -> Path:
    body = ""
    for number, (src, tgt) in enumerate(units):
        variants = f'<tuv xml:lang="de-DE"><seg>{src}</seg></tuv><tuv xml:lang="en"><seg>{tgt}</seg></tuv>'
        body += f'<tu tuid="u{number}">{variants}</tu>'
    return written(path, f'<?xml version="1.0"?><tmx version="1.4"><header/><body>{body}</body></tmx>')


def moses(path: Path, **texts: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for lang, text in texts.items():
            archive.writestr(f"corpus.{lang}", text)
    return path


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


class RecordingEncoder(Encoder):
    """An encoder that remembers the sentences it was given."""

    seen: list[str]

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.seen += sentences
        return super().encode_counted(sentences, progress=progress)


def bits(corpus: Corpus, encoder: Encoder, store: ArtifactStore) -> NDArray[np.uint16]:
    """The float16 bits of all vectors, as they lie on the disk."""
    shards = [np.load(shard.path / VECTORS) for shard in embed(corpus, encoder, store).artifacts]
    return np.concatenate(shards).view(np.uint16)


def test_of_added_files_only_new_sentences_are_read_and_embedded(
    tmp_path: Path, store: ArtifactStore, encoders: Path
) -> None:
    encoder = RecordingEncoder.open(encoders / "tiny")
    assert isinstance(encoder, RecordingEncoder)
    encoder.seen = []
    parameters = parsed(shard_rows=4)
    first = written(tmp_path / "a.txt", *TEXTS[:6])
    former = prepare([first], "en", store, parameters)
    before = bits(former, encoder, store)
    assert encoder.seen == TEXTS[:6]
    encoder.seen = []
    second = written(tmp_path / "b.txt", TEXTS[0], TEXTS[1].upper(), *TEXTS[6:])
    messages: list[tuple[str, int, int | None]] = []
    grown = prepare(
        [first, second], "en", store, parameters, after=former, progress=lambda *report: messages.append(report)
    )
    read = next(total for stage, _, total in messages if stage == "prepare")
    assert read == second.stat().st_size, "the first file was hashed, not read again"
    assert (bits(grown, encoder, store)[:6] == before).all()
    assert encoder.seen == TEXTS[6:]
    assert [part.source for part in grown.parts] == ["a.txt", "b.txt"]
    assert grown.shards[1].grown_from == ((former.shards[1].digest, 2),)
    (reject,) = rejects(grown)
    assert (reject.source, reject.line, reject.rule) == ("b.txt", 2, "near-duplicate")


@pytest.mark.parametrize("change", ["content", "order", "parameters", "name", "excluded"])
def test_a_former_corpus_that_does_not_fit_is_passed_over(change: str, tmp_path: Path, store: ArtifactStore) -> None:
    first, second = written(tmp_path / "a.txt", *TEXTS[:3]), written(tmp_path / "b.txt", *TEXTS[3:6])
    former = prepare([first], "en", store)
    sources, parameters = [first, second], PreparationParameters()
    match change:
        case "content":
            written(first, *TEXTS[1:4])
        case "order":
            sources = [second, first]
        case "parameters":
            parameters = parsed(rules={"length": {"most": 499}})
        case "name":
            sources = [first.rename(tmp_path / "c.txt"), second]
        case _:
            parameters = parsed(exclude=[str(written(tmp_path / "old.txt", TEXTS[0]))])
    corpus = prepare(sources, "en", store, parameters, after=former)
    assert {part.run for part in corpus.parts} == {0}
    scratch = prepare(sources, "en", ArtifactStore(tmp_path / "other"), parameters)
    assert rows_of(corpus, "text", "id", "line") == rows_of(scratch, "text", "id", "line")
    assert corpus.digest == scratch.digest


def test_a_corpus_is_found_wherever_its_files_lie(tmp_path: Path, store: ArtifactStore) -> None:
    here = [written(tmp_path / "here" / name, *TEXTS[:3]) for name in ("x/a.txt", "y/a.txt")]
    there = [written(tmp_path / "there" / name, *TEXTS[:3]) for name in ("x/a.txt", "y/a.txt")]
    corpus = prepare(here, "en", store)
    assert prepare(there, "eng_Latn", store).digest == corpus.digest
    assert [part.source for part in corpus.parts] == ["x/a.txt", "y/a.txt"]
    assert prepare(here[:1], "en", store).parts[0].source == "a.txt"


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


def test_patterns_are_expanded_in_order(tmp_path: Path) -> None:
    for name in ("d/b.txt", "d/a.txt", "d/e/c.txt", "d/.hidden", "d/_SUCCESS", "d/.git/x", "z.txt", "odd[1].txt"):
        written(tmp_path / name, "Ein Satz.")

    def found(*patterns: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in expand_sources(patterns, tmp_path)]

    assert found("d") == ["d/a.txt", "d/b.txt", "d/e/c.txt"]
    assert found("z.txt", "d/*.txt", "d/b.txt") == ["z.txt", "d/a.txt", "d/b.txt"]
    assert found("**/c.txt") == ["d/e/c.txt"]
    assert found("odd[1].txt") == ["odd[1].txt"], "a file that is there is meant, whatever its name"
    assert found(str(tmp_path / "d" / "a*")) == ["d/a.txt"]


@pytest.mark.parametrize(
    ("pattern", "said", "code"),
    [
        ("empty", "the directory empty has no files", "file-not-found"),
        ("", "'' names no file", "file-not-found"),
        ("a\0b", r"'a\\x00b' names no file", "file-not-found"),
        ("*.xyz", r"no file matches '\*\.xyz'", "file-not-found"),
        ("missing.txt", "cannot read .*missing.txt: No such file", "file-not-found"),
        ("mixed", "mixed matches files of different formats: .*a.txt is text, .*b.jsonl is jsonl", "mixed-formats"),
        ("mixed/*", "different formats", "mixed-formats"),
        ("fifo", "not a regular file", "file-not-found"),
    ],
)
def test_patterns_that_say_nothing_useful_are_refused(pattern: str, said: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "fifo")
    written(tmp_path / "mixed" / "a.txt", "Ein Satz.")
    jsonl(tmp_path / "mixed" / "b.jsonl", {"text": "Ein Satz."})
    with pytest.raises(CorpusInputError, match=said) as caught:
        expand_sources([pattern], tmp_path)
    assert caught.value.code == code


def broken(folder: Path, name: str) -> Path:  # noqa: C901 - a list of ways
    """A file that cannot be prepared."""
    path = folder / name
    table = pa.table({"text": [f"Satz Nummer {n}." for n in range(5_000)]})
    match name:
        case "columns.parquet":
            pq.write_table(pa.table({"content": ["Ein Satz."]}), path)
        case "numbers.parquet":
            pq.write_table(pa.table({"text": [1]}), path)
        case "cut.parquet":
            pq.write_table(table, path)
            path.write_bytes(path.read_bytes()[:-100])
        case "flipped.parquet":
            pq.write_table(table, path)
            content = bytearray(path.read_bytes())
            content[40:400] = b"\xff" * 360
            path.write_bytes(content)
        case "lie.parquet":
            path.write_text("Ein Satz.\n")
        case "cut.txt.gz":
            path.write_bytes(gzip.compress(os.urandom(4_000).hex().encode())[:-50])
        case "binary.txt":
            path.write_bytes(bytes(range(128, 256)) * 10)
        case "lines.jsonl":
            path.write_text("Ein Satz.\n")
        case "list.json":
            path.write_text('[\n{"text": "Ein Satz."}\n]\n')
        case "tags":
            path.write_text('<doc id="1" url="x" title="T">\nEin Satz.\n</doc>\n')
        case "page.txt":
            path.write_text("<!DOCTYPE html><p>Ein Satz.\n")
        case "cut.tmx":
            path.write_text("<tmx><body><tu>")
        case "three.zip":
            moses(path, de="a\n", en="b\n", fr="c\n")
        case _:
            path.touch()
    return path


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("columns.parquet", "unknown-columns", "has no column 'text'; its columns are: content"),
        ("numbers.parquet", "unknown-columns", "the column 'text' holds int64, not strings"),
        ("cut.parquet", "corrupt-input", "is damaged"),
        ("flipped.parquet", "corrupt-input", "is damaged"),
        ("lie.parquet", "corrupt-input", "is no Parquet file"),
        ("cut.txt.gz", "truncated-input", "its compressed stream ends early"),
        ("binary.txt", "empty-corpus", "line 1: not UTF-8"),
        ("lines.jsonl", "empty-corpus", "line 1: not JSON"),
        ("list.json", "unsupported-input", "not JSONL"),
        ("tags", "unsupported-input", "wikiextractor --json"),
        ("page.txt", "unsupported-input", "an HTML page"),
        ("cut.tmx", "truncated-input", "ends early, line 1"),
        ("three.zip", "unsupported-input", "holds 3 texts"),
        ("empty", "empty-corpus", "nothing is left of 0 lines in 1 file"),
    ],
)
def test_a_broken_file_is_named_and_nothing_is_published(
    name: str, code: str, said: str, tmp_path: Path, store: ArtifactStore
) -> None:
    path = broken(tmp_path, name)
    with pytest.raises(CorpusInputError, match=said) as caught:
        prepare([path], "de", store)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    good = written(tmp_path / "good.txt", "Ein guter Satz.")
    if name == "empty":
        assert len(prepare([good, path], "de", store)) == 1
        return
    with pytest.raises(CorpusInputError, match=name.replace(".", r"\.")):
        prepare([good, path], "de", store)
    assert not list(store.root.glob("corpus/*"))
    assert not list(store.root.glob(".staging/*"))


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


def test_nothing_to_prepare_is_said(tmp_path: Path, store: ArtifactStore) -> None:
    with pytest.raises(CorpusInputError, match="no file to prepare"):
        prepare([], "de", store)
    path = written(tmp_path / "a.txt", "%%%%", "&&&&", "x")
    with pytest.raises(CorpusInputError, match=r"nothing is left of 3 lines in 1 file \(2 punctuation, 1 length\)"):
        prepare([path], "de", store)


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path, store: ArtifactStore) -> None:
    path = written(tmp_path / "a.txt", *TEXTS)
    second = written(tmp_path / "b.txt", *TEXTS)

    def meddle(stage: str, done: int, total: int | None) -> None:
        if stage == "prepare" and done:
            written(second, "Something else.")

    with pytest.raises(CorpusInputError) as caught:
        prepare([path, second], "en", store, progress=meddle)
    assert caught.value.code == "input-changed"
