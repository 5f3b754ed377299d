"""Sentences that are in both corpora: refused when all are, counted, and left out on demand."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus, CorpusFile, count_identical, identical, identical_pairs, ingest
from bitextmine.encoders import Encoder
from bitextmine.errors import LanguageError, ParameterError
from bitextmine.margin import Retrieval
from bitextmine.mining import MiningParameters, check_languages, mine
from tests.tiny_encoder import build_tiny_encoder

WORDS = "museum lake map station weather book city plan See Karte Bahnhof Stadt lac livre gare ville"
_random = random.Random(7)
TEXTS = [" ".join(_random.sample(WORDS.split(), 6)) for _ in range(40)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(texts: list[str], name: str, lang: str, store: ArtifactStore) -> Corpus:
    path = store.root.parent / name
    content = "".join(f"{text}\n" for text in texts).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return ingest(CorpusFile(path, lang), store, shard_rows=7)


@pytest.mark.parametrize(("name", "lang"), [("copy.txt", "deu_Latn"), ("a.txt.gz", "deu_Latn"), ("a.txt", "eng_Latn")])
def test_the_same_sentences_are_refused_whatever_they_are_called(
    encoder: Encoder, store: ArtifactStore, name: str, lang: str
) -> None:
    one, other = corpus_of(TEXTS, "a.txt", "deu_Latn", store), corpus_of(TEXTS, name, lang, store)
    assert one.digest != other.digest
    for sides in ((one, one), (one, other), (other, one)):
        with pytest.raises(ParameterError, match="hold the same sentences") as caught:
            mine(*sides, encoder, store, MiningParameters())
        assert caught.value.code == "same-corpus"
    assert store.list("embeddings") == []


@pytest.mark.parametrize("at_once", [5, 1000])
def test_shared_sentences_are_counted_in_parts(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(identical, "_HASHES_AT_ONCE", at_once)
    src = corpus_of(TEXTS[:25], "a.txt", "deu_Latn", store)
    for start in (0, 10, 25):
        tgt = corpus_of([*TEXTS[start:][::-1], "more"], "b.txt", "eng_Latn", store)
        assert count_identical(src, tgt) == count_identical(tgt, src) == len(TEXTS[start:25])


def test_pairs_of_one_sentence_are_told(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identical, "_PAIRS_AT_ONCE", 4)
    src = corpus_of(TEXTS, "a.txt", "deu_Latn", store)
    tgt = corpus_of(TEXTS[20:], "b.txt", "eng_Latn", store)
    rows = np.random.default_rng(3).integers(0, [40, 20], (200, 2))
    rows[:50, 0] = rows[:50, 1] + 20
    told = identical_pairs(src, tgt, rows[:, 0], rows[:, 1])
    assert told.tolist() == [a == b + 20 for a, b in rows.tolist()]
    assert identical_pairs(src, tgt, rows[:0, 0], rows[:0, 1]).tolist() == []


@pytest.mark.parametrize("retrieval", Retrieval)
def test_pairs_of_one_sentence_are_dropped_on_demand(
    encoder: Encoder, store: ArtifactStore, retrieval: Retrieval
) -> None:
    src = corpus_of(TEXTS[:30], "a.txt", "deu_Latn", store)
    tgt = corpus_of(TEXTS[25:] + [f"{text} !" for text in TEXTS[:25]], "b.txt", "eng_Latn", store)
    kept = mine(src, tgt, encoder, store, MiningParameters(retrieval=retrieval))
    dropped = mine(src, tgt, encoder, store, MiningParameters(retrieval=retrieval, drop_identical=True))
    assert kept.digest != dropped.digest
    for bitext in (kept, dropped):
        assert (bitext.summary["identical_sentences"], bitext.summary["identical_pairs"]) == (5, 5)
    assert len(kept) - len(dropped) == 5
    assert list(dropped.pairs()) == [pair for pair in kept.pairs() if pair.src != pair.tgt]
    assert dropped.parameters["drop_identical"] is True


def test_languages_can_be_checked_before_there_are_corpora(encoder: Encoder) -> None:
    check_languages(("deu_Latn", "eng_Latn"), encoder, MiningParameters())
    with pytest.raises(LanguageError, match="does not cover que_Latn"):
        check_languages(("deu_Latn", "que_Latn"), encoder, MiningParameters())
    check_languages(("que_Latn",), encoder, MiningParameters(allow_uncovered_languages=True))
