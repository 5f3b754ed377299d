"""Files whose sentences are not prepared again: read by what they are, and never in vain without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.errors import CorpusInputError
from bitextmine.preparation import prepare, rejects
from tests.unit.prepared import jsonl, parsed, rows_of, tmx, written

TEXTS = ["Guten Tag zusammen.", "Wie geht es dir heute?", "Es regnet schon wieder."]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def left(corpus: Corpus) -> list[str]:
    return [text for (text,) in rows_of(corpus, "text")]


def test_pairs_are_told_by_what_is_in_the_file(tmp_path: Path, store: ArtifactStore) -> None:
    source = written(tmp_path / "a.txt", *TEXTS)
    tabbed = written(tmp_path / "known.txt", f"{TEXTS[0]}\tGood day.", f"{TEXTS[2]}\tIt is raining again.")
    records = jsonl(tmp_path / "records.txt", {"src": "Good day.", "tgt": TEXTS[0]})
    for tidy in ([], ["spaces"]):
        assert left(prepare([source], "de", store, parsed(exclude=[str(tabbed)], tidy=tidy))) == [TEXTS[1]]
        assert left(prepare([source], "de", store, parsed(exclude=[str(records)], tidy=tidy))) == TEXTS[1:]


def test_the_same_bytes_read_otherwise_make_another_corpus(tmp_path: Path, store: ArtifactStore) -> None:
    source = written(tmp_path / "a.txt", *TEXTS)
    lines = [TEXTS[0], "Ja.", "Nein.", f"{TEXTS[1]}\tHow are you today?"]
    text = written(tmp_path / "known.txt", *lines)  # few tabs: sentences, one of which cannot be used
    as_text = prepare([source], "de", store, parsed(exclude=[str(text)]))
    assert left(as_text) == TEXTS[1:]
    pairs = text.rename(tmp_path / "known.tsv")
    as_pairs = prepare([source], "de", store, parsed(exclude=[str(pairs)]))
    assert left(as_pairs) == [TEXTS[0], TEXTS[2]]
    assert as_text.digest != as_pairs.digest
    assert prepare([source], "de", store, parsed(exclude=[str(pairs.rename(tmp_path / "old.tsv"))])).digest == (
        as_pairs.digest
    ), "names do not matter where they do not say how the file is read"


def test_a_former_corpus_that_left_out_other_sentences_is_passed_over(tmp_path: Path, store: ArtifactStore) -> None:
    first, second = written(tmp_path / "a.txt", *TEXTS[:2]), written(tmp_path / "b.txt", TEXTS[2])
    known = written(tmp_path / "known.txt", "Ja.", "Nein.", f"{TEXTS[0]}\tGood day.")
    former = prepare([first], "de", store, parsed(exclude=[str(known)]))
    known = known.rename(tmp_path / "known.tsv")
    grown = prepare([first, second], "de", store, parsed(exclude=[str(known)]), after=former)
    assert left(grown) == TEXTS[1:]
    assert {part.run for part in grown.parts} == {0}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("known.tsv", b"Guten Tag.\nJa.\n", "no tab between source and target"),
        ("known.txt", "Größe\n".encode("latin-1"), "not UTF-8"),
        ("known.jsonl", b'{"source": "Ja.", "target": "Yes."}\n', 'not an object with a string "text"'),
        ("known.jsonl", b"Guten Tag.\n", "not JSON"),
    ],
)
def test_a_file_that_excludes_nothing_is_an_error(
    name: str, content: bytes, said: str, tmp_path: Path, store: ArtifactStore
) -> None:
    source = written(tmp_path / "a.txt", *TEXTS)
    known = tmp_path / name
    known.write_bytes(content)
    with pytest.raises(CorpusInputError, match=said) as caught:
        prepare([source], "de", store, parsed(exclude=[str(known)]))
    assert caught.value.code == "empty-corpus"
    assert str(known) in str(caught.value)
    assert not list(store.root.glob("corpus/*"))


def test_columns_that_tell_nothing_are_an_error(tmp_path: Path, store: ArtifactStore) -> None:
    source = written(tmp_path / "a.txt", *TEXTS)
    known = written(tmp_path / "known.txt", f"a\t1\t{TEXTS[0]}\tGood day.")
    with pytest.raises(CorpusInputError, match=r"known\.txt: nothing tells .* give source, a tab, target") as caught:
        prepare([source], "de", store, parsed(exclude=[str(known)]))
    assert caught.value.code == "unknown-columns"


def test_files_that_may_hold_nothing_of_the_language_are_none(tmp_path: Path, store: ArtifactStore) -> None:
    source = written(tmp_path / "a.txt", *TEXTS)
    blank = written(tmp_path / "blank.txt", "", " ")
    memory = tmx(tmp_path / "known.tmx", (TEXTS[0], "Good day."))
    parameters = parsed(exclude=[str(blank), str(memory)])
    assert left(prepare([source], "de", store, parameters)) == TEXTS[1:]
    french = prepare([written(tmp_path / "b.txt", "Il pleut encore une fois.")], "fr", store, parameters)
    assert not list(rejects(french))
