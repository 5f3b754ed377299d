"""The documents of corpora, in the order of their lines, and the links between them."""

from __future__ import annotations

import gzip
import json
from itertools import chain
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.documents import (
    DocumentLinks,
    Documents,
    documents_of,
    link_documents,
    read_links,
    stored_links,
    whole_corpus,
)
from bitextmine.errors import ArtifactError, BitextmineError, NotFoundError, ParameterError
from bitextmine.preparation import PreparationParameters, prepare

Line = tuple[str | None, str]  # document, text


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(
    lines: list[Line], lang: str, store: ArtifactStore, *, shard_rows: int = 3, after: Corpus | None = None
) -> Corpus:
    path = store.root.parent / f"{lang}{len(lines)}.jsonl"
    path.write_text("".join(json.dumps({"text": text, "doc_id": document}) + "\n" for document, text in lines))
    return ingest(CorpusFile(path, lang, CorpusFormat.JSONL), store, shard_rows=shard_rows, after=after)


def texts_of(corpus: Corpus, documents: Documents) -> dict[str | None, list[str]]:
    return {
        name: corpus.take("text", documents.rows_of(number)).to_pylist() for number, name in enumerate(documents.names)
    }


def test_a_document_has_its_sentences_in_the_order_of_its_lines_repeated_ones_too(store: ArtifactStore) -> None:
    lines: list[Line] = [
        ("b", "one"), ("b", "two"), ("a", "one"), (None, "nobody's"), ("b", "one"), ("a", "three"), ("c", "two"),
        ("a", "one"), (None, "one"),
    ]  # fmt: skip
    for shard_rows in (1, 2, 100):
        corpus = corpus_of(lines, "deu_Latn", store, shard_rows=shard_rows)
        documents = documents_of(corpus)
        assert texts_of(corpus, documents) == {"b": ["one", "two", "one"], "a": ["one", "three", "one"], "c": ["two"]}
        assert documents.names == ["b", "a", "c"]
        assert documents.lines_of(0).tolist() == [1, 2, 5]
        assert documents.lines_of(1).tolist() == [3, 6, 8]
        assert documents.without == 2


def test_a_document_goes_on_in_files_that_were_appended(store: ArtifactStore) -> None:
    first = corpus_of([("a", "one"), ("b", "two")], "deu_Latn", store)
    second = corpus_of([("b", "one"), ("a", "two"), ("a", "one")], "deu_Latn", store, after=first)
    third = corpus_of([("d", "four"), ("b", "three"), ("a", "five"), ("a", "one")], "deu_Latn", store, after=second)
    documents = documents_of(third)
    wanted = {"a": ["one", "two", "one", "five", "one"], "b": ["two", "one", "three"], "d": ["four"]}
    assert texts_of(third, documents) == wanted
    assert documents.lines_of(0).tolist() == [1, 2, 3, 3, 4]


def test_prepared_documents_have_their_sentences_in_the_order_of_their_texts(store: ArtifactStore) -> None:
    words = ("eins", "zwei", "drei", "vier", "fünf", "sechs")
    texts = {
        "a": ["Das Haus ist alt.", "Der See ist kalt.", "Ja, so ist es."],
        "b#2": [
            "Wir gehen jetzt.",
            "Ja, so ist es.",
            "Der Weg ist weit.",
            "Das Haus ist alt.",
            "Dann kommt ein Fluss.",
        ],
        "c": [*(f"Hier steht Haus {word}." for word in words), "Der See ist kalt."],
    }
    texts["c"] += [f"Dort steht Haus {word}." for word in words]  # more than nine: 10 comes after 9
    path = store.root.parent / "articles.jsonl"
    records = ({"text": " ".join(lines), "title": name, "id": name} for name, lines in texts.items())
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    more = store.root.parent / "more.jsonl"
    more.write_text(
        json.dumps({"text": "Neu ist das nicht. Der Weg ist weit. Aber gut.", "title": "d", "id": "d"}) + "\n"
    )
    for shard_rows in (2, 100):
        corpus = prepare([path, more], "de", store, PreparationParameters(shard_rows=shard_rows))
        found = texts_of(corpus, documents_of(corpus))
        assert found == texts | {"d": ["Neu ist das nicht.", "Der Weg ist weit.", "Aber gut."]}
        whole = whole_corpus(corpus)
        assert corpus.take("text", whole.rows_of(0)).to_pylist() == list(chain(*found.values()))


def test_ids_that_look_like_those_of_prepared_documents_do_not_change_the_order_of_lines(store: ArtifactStore) -> None:
    path = store.root.parent / "odd.jsonl"
    ids = ["x#9", "x#1", "x#99999999999999999999", "#", "x#1"]
    records = [{"text": f"sentence {n}", "id": name, "doc_id": "d"} for n, name in enumerate(ids)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    first = ingest(CorpusFile(path, "deu_Latn", CorpusFormat.JSONL), store, shard_rows=2)
    assert documents_of(first).lines.tolist() == [1, 2, 3, 4, 5]


def test_a_corpus_without_documents_can_be_taken_as_one(store: ArtifactStore) -> None:
    corpus = corpus_of([(None, "one"), (None, "two"), (None, "one")], "deu_Latn", store)
    assert len(documents_of(corpus)) == 0
    whole = whole_corpus(corpus)
    assert whole.names == [None]
    assert corpus.take("text", whole.rows_of(0)).to_pylist() == ["one", "two", "one"]
    assert whole.lines.tolist() == [1, 2, 3]


def linked_names(src: Corpus, tgt: Corpus, links: DocumentLinks | None) -> set[tuple[str | None, str | None]]:
    linked = link_documents(src, tgt, links)
    return {(linked.src.names[a], linked.tgt.names[b]) for a, b in linked.pairs.tolist()}


def test_documents_of_one_id_are_linked_unless_links_are_given(store: ArtifactStore) -> None:
    src = corpus_of([("a", "1"), ("b", "2"), ("c", "3")], "deu_Latn", store)
    tgt = corpus_of([("c", "4"), ("x", "5"), ("a", "6")], "eng_Latn", store)
    assert linked_names(src, tgt, None) == {("a", "a"), ("c", "c")}
    links = DocumentLinks.of([("a", "x"), ("b", "x"), ("a", "c"), ("a", "x"), ("gone", "a"), ("b", "gone")])
    assert linked_names(src, tgt, links) == {("a", "x"), ("b", "x"), ("a", "c")}
    assert link_documents(src, tgt, links).counts() == {
        "src": 3, "tgt": 3, "linked": 3, "unknown_links": 2, "src_without": 0, "tgt_without": 0
    }  # fmt: skip


def test_corpora_without_linked_documents_are_refused(store: ArtifactStore) -> None:
    src = corpus_of([("a", "1"), (None, "2")], "deu_Latn", store)
    none = corpus_of([(None, "4"), (None, "5")], "eng_Latn", store)
    for pair in ((src, none), (none, src)):
        with pytest.raises(ParameterError, match=r"eng_Latn2\.jsonl \(eng_Latn\) has no document ids") as caught:
            link_documents(*pair)
        assert caught.value.code == "no-documents"
    other = corpus_of([("b", "1"), ("b", "3")], "fra_Latn", store)
    for links, said in ((None, "'a'.*'b'"), (DocumentLinks.of([("a", "y")]), "none of the 1 links")):
        with pytest.raises(ParameterError, match=said) as caught:
            link_documents(src, other, links)
        assert caught.value.code == "no-linked-documents"


def test_a_doc_id_that_only_a_copy_has_counts(store: ArtifactStore) -> None:
    src = corpus_of([(None, "1"), ("a", "1")], "deu_Latn", store)
    tgt = corpus_of([("a", "2")], "eng_Latn", store)
    assert linked_names(src, tgt, None) == {("a", "a")}


def test_links_are_named_by_what_they_say_and_can_be_stored(store: ArtifactStore) -> None:
    links = DocumentLinks.of([("b", " y "), ("Cafe\u0301", "x"), ("b", "y")])
    assert (links.src.to_pylist(), links.tgt.to_pylist()) == (["Café", "b"], ["x", "y"])
    assert links == DocumentLinks.of([("Café", "x"), ("b", "y")])
    assert links != DocumentLinks.of([("Café", "y"), ("b", "x")])
    artifact = links.publish(store)
    assert links.publish(store).digest == artifact.digest
    assert stored_links(store, artifact.digest) == links
    with pytest.raises(NotFoundError, match="gone"):
        stored_links(store, "0" * 32)
    file = artifact.path / "links.jsonl"
    file.write_text(file.read_text().replace("x", "z"))
    with pytest.raises(ArtifactError, match="not the file"):
        stored_links(store, artifact.digest)


PAGE = {"pageid": 1, "title": "Munich", "langlinks": [{"lang": "de", "*": "München"}, {"lang": "fr", "*": "Munich"}]}
PAGE_2 = {"title": "Köln", "langlinks": [{"lang": "en", "title": "Cologne"}]}
THIRD = {"title": "Rome", "langlinks": [{"lang": "en", "title": "Rome"}, {"lang": "de", "title": "Rom"}]}
ALONE = {"title": "Nowhere"}
ENTITY = {"id": "Q64", "sitelinks": {"dewiki": {"title": "Berlin"}, "enwiki": {"title": "Berlin (city)"}}}
FOREIGN = {"id": "Q1", "sitelinks": {"frwiki": {"title": "Univers"}}}
TITLES = [("München", "Munich"), ("Köln", "Cologne"), ("Rom", "Rome")]


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("links.tsv", "a\tx\r\n\nb c\ty\n", [("a", "x"), ("b c", "y")]),
        ("links", "\ufeffa\tx", [("a", "x")]),
        ("links.jsonl", '["a", 7]\n{"src": 1, "tgt": "x"}\n', [("a", "7"), ("1", "x")]),
        ("links.json", '[["a", "x"], ["b", "y"]]', [("a", "x"), ("b", "y")]),
        ("links.json", '["a", "x"]', [("a", "x")]),
        ("api.json", json.dumps({"query": {"pages": {"1": PAGE, "2": PAGE_2, "3": THIRD, "4": ALONE}}}), TITLES),
        ("api2.json", json.dumps({"batchcomplete": True, "query": {"pages": [PAGE, PAGE_2, THIRD]}}), TITLES),
        ("pages.jsonl", "\n".join(map(json.dumps, [PAGE, PAGE_2, THIRD])), TITLES),
        ("wd.json", json.dumps({"entities": {"Q64": ENTITY, "Q1": FOREIGN}}), [("Berlin", "Berlin (city)")]),
        ("wd.ndjson", json.dumps(ENTITY), [("Berlin", "Berlin (city)")]),
    ],
)
def test_links_are_read_as_people_write_them(
    tmp_path: Path, name: str, content: str, wanted: list[tuple[str, str]]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_links(tmp_path / name, "deu_Latn", "eng_Latn") == DocumentLinks.of(wanted)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    assert read_links(tmp_path / f"{name}.gz", "deu_Latn", "eng_Latn") == DocumentLinks.of(wanted)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("l.tsv", b"a\tx\nb\n", "line 2: 1 columns"),
        ("l.tsv", b"a\tx\ty\n", "line 1: 3 columns"),
        ("l.tsv", b"a\t \n", "line 1: a document's id cannot be ' ': it is empty"),
        ("l.tsv", b"a\tx\x07\n", "control character U\\+0007"),
        ("l.jsonl", b'["a", "\\ud800"]', "control character U\\+D800"),
        ("l.tsv", b"a\tx\n\xff\ty\n", "line 2: not UTF-8"),
        ("l.tsv", b"\n\n", "no link"),
        ("l.tsv", b"", "no link"),
        ("l.jsonl", b'["a", "x"]\n["a"\n', "line 2: not JSON"),
        ("l.jsonl", b'["a", null]\n', "line 1: a document's id is a string or an integer, not null"),
        ("l.jsonl", b'["a", true]\n', "not true"),
        ("l.jsonl", b'["a", "b", "c"]\n', "neither a pair"),
        ("l.jsonl", b'{"a": "b"}\n', "without"),
        ("l.jsonl", b"7\n", "neither a pair"),
        ("l.json", b"[" * 100_000, "not JSON"),
        ("l.json", b"[]", "no link from de to en"),
        ("l.json", b'{"title": "A", "langlinks": 3}', "not a list of objects"),
        ("l.json", b'{"title": "A", "langlinks": [{"lang": "en"}]}', "not null"),
        ("l.json", b'{"sitelinks": 3}', "not an object"),
        ("l.json", b'{"sitelinks": []}', "no link"),
        ("l.json", b'{"sitelinks": {"dewiki": 3, "enwiki": 4}}', "not null"),
    ],
)
def test_what_links_nothing_is_refused_with_its_place(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BitextmineError, match=said) as caught:
        read_links(tmp_path / name, "deu_Latn", "eng_Latn")
    assert caught.value.code == "invalid-links"
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_links_that_are_not_there_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.tsv", tmp_path):
        with pytest.raises(BitextmineError, match=str(path)) as caught:
            read_links(path, "deu_Latn", "eng_Latn")
        assert caught.value.code == "file-not-found"
