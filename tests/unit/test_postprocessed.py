"""Post-processed vectors of corpora: artifacts of their own, in place of the encoder's when a corpus is mined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitextmine import postprocessed
from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.embeddings import KIND, Embeddings, embed
from bitextmine.encoders import Encoder
from bitextmine.encoders.postprocess import FittedPostProcessing, PostProcessing
from bitextmine.errors import ArtifactError, ParameterError
from bitextmine.given import GivenVectors
from bitextmine.mining import MiningParameters, mine
from bitextmine.postprocessed import FIT, FIT_KIND, SHARD_KIND, postprocess, sample_of
from bitextmine.vectors import StoredVectors, unit_rows
from tests.tiny_encoder import build_tiny_encoder

CENTRE = PostProcessing.parse("centre")
SENTENCES = [f"the museum {n} of the city {n * 37 % 101}" for n in range(40)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(sentences: list[str], store: ArtifactStore, lang: str = "eng_Latn") -> Corpus:
    path = store.root.parent / f"{lang}-{len(sentences)}.txt"
    path.write_text("".join(f"{sentence}\n" for sentence in sentences))
    return ingest(CorpusFile(path, lang), store, shard_rows=16)


def embeddings_of(sentences: list[str], encoder: Encoder, store: ArtifactStore) -> Embeddings:
    return embed(corpus_of(sentences, store), encoder, store)


@pytest.mark.parametrize("text", ["centre", "outliers,centre", "zca"])
def test_rows_are_those_that_the_fit_makes_of_the_encoders_own(
    encoder: Encoder, store: ArtifactStore, text: str
) -> None:
    plain = embeddings_of(SENTENCES, encoder, store)
    said: list[tuple[str, int, int | None]] = []
    done = postprocess(
        plain, PostProcessing.parse(text), store, stage="postprocess-src", progress=lambda *at: said.append(at)
    )
    rows = plain.block(0, 40)
    expected = PostProcessing.parse(text).fit(rows).apply(rows)
    np.testing.assert_allclose(done.block(0, 40), expected, atol=2e-3)
    assert [done.shard(number).dtype for number in range(3)] == [np.float16] * 3
    assert (len(done), done.dims, done.truncated) == (40, encoder.dims, 0)
    assert said == [("postprocess-src", rows, 40) for rows in (16, 32, 40)]
    np.testing.assert_array_equal(plain.block(0, 40), rows)


def test_what_was_processed_is_found_again_by_its_fit(encoder: Encoder, store: ArtifactStore) -> None:
    plain = embeddings_of(SENTENCES, encoder, store)
    first = postprocess(plain, CENTRE, store)
    made = [store.published(kind) for kind in (FIT_KIND, SHARD_KIND)]
    assert [len(artifacts) for artifacts in made] == [1, 3]
    again = postprocess(plain, CENTRE, store)
    assert [store.published(kind) for kind in (FIT_KIND, SHARD_KIND)] == made
    assert again.digest == first.digest != plain.digest
    (fit,) = store.list(FIT_KIND)
    assert fit.summary["fit"] == FittedPostProcessing.load(fit.path / FIT).digest
    assert {shard.parameters["fit"] for shard in store.list(SHARD_KIND)} == {fit.summary["fit"]}

    others = (
        postprocess(plain, PostProcessing.parse("outliers"), store),
        postprocess(embeddings_of(SENTENCES[:32], encoder, store), CENTRE, store),
    )
    assert len({first.digest, plain.digest, *(other.digest for other in others)}) == 4
    assert len(store.list(SHARD_KIND)) == 3 + 3 + 2, "the same shard in another corpus has another fit"


def test_a_fit_that_was_changed_is_refused(encoder: Encoder, store: ArtifactStore) -> None:
    plain = embeddings_of(SENTENCES, encoder, store)
    postprocess(plain, CENTRE, store)
    (fit,) = store.list(FIT_KIND)
    content = bytearray((fit.path / FIT).read_bytes())
    content[content.index(b"offset0.npy") + 200] ^= 1
    (fit.path / FIT).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"fit\.npz"):
        postprocess(plain, CENTRE, store)


def test_a_sample_is_the_same_rows_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit_rows(np.random.default_rng(1).standard_normal((50, 8))).astype(np.float16)
    shards = [vectors[:20], vectors[20:40], vectors[40:]]
    stored = StoredVectors(shards, 50, 8, 20)
    np.testing.assert_array_equal(sample_of(stored), vectors.astype(np.float32))
    monkeypatch.setattr(postprocessed, "SAMPLE_ROWS", 25)
    sample = sample_of(stored)
    np.testing.assert_array_equal(sample, sample_of(StoredVectors.of(vectors)))
    places = [int(np.flatnonzero((vectors == row).all(axis=1))[0]) for row in sample]
    assert places == sorted(set(places))
    assert len(places) == 25
    assert {place // 20 for place in places} == {0, 1, 2}


def test_mining_searches_in_processed_vectors(encoder: Encoder, store: ArtifactStore) -> None:
    src, tgt = corpus_of(SENTENCES, store), corpus_of([f"{text} !" for text in SENTENCES[4:]], store, "deu_Latn")
    plain = mine(src, tgt, encoder, store, MiningParameters())
    stages: list[str] = []
    parameters = MiningParameters(postprocess=CENTRE)
    bitext = mine(src, tgt, encoder, store, parameters, progress=lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages))[:4] == ["embed-src", "embed-tgt", "postprocess-src", "postprocess-tgt"]
    assert (plain.parameters.get("postprocess"), bitext.parameters["postprocess"]) == (None, "centre")
    assert bitext.artifact.digest != plain.artifact.digest
    centred = []
    for corpus in (src, tgt):
        rows = embed(corpus, encoder, store)
        vectors = rows.block(0, len(rows))
        centred.append(unit_rows(vectors - vectors.mean(axis=0)))
    for pair in bitext.pairs():
        assert pair.cosine == pytest.approx(centred[0][pair.src_row] @ centred[1][pair.tgt_row], abs=3e-3)
    assert {"postprocess-src", "postprocess-tgt"} <= set(bitext.summary["seconds"])
    assert mine(src, tgt, encoder, store, MiningParameters()).artifact.digest == plain.artifact.digest


def test_vectors_from_files_are_processed_and_those_of_zeros_not_fitted_on(
    encoder: Encoder, store: ArtifactStore, tmp_path: Path
) -> None:
    sentences = {"src": SENTENCES, "tgt": [f"{text} !" for text in SENTENCES]}
    vectors = {side: encoder.encode(texts) for side, texts in sentences.items()}
    vectors["tgt"][7] = 0
    for side, rows in vectors.items():
        np.save(tmp_path / f"{side}.npy", rows)
    given = GivenVectors(tmp_path / "src.npy", tmp_path / "tgt.npy")
    corpora = corpus_of(sentences["src"], store), corpus_of(sentences["tgt"], store, "deu_Latn")
    bitext = mine(*corpora, given, store, MiningParameters(postprocess=CENTRE))
    assert bitext.parameters["postprocess"] == "centre"
    assert (bitext.summary["src_zeros"], bitext.summary["tgt_zeros"]) == (0, 1)
    mean = np.delete(vectors["tgt"], 7, axis=0).mean(axis=0)
    offsets = [FittedPostProcessing.load(fit.path / FIT).steps[0].offset for fit in store.list(FIT_KIND)]
    assert [bool(np.abs(offset - mean).max() < 1e-3) for offset in offsets].count(True) == 1
    assert len(offsets) == 2


def test_a_corpus_that_is_too_small_is_refused_before_it_is_embedded(encoder: Encoder, store: ArtifactStore) -> None:
    src, tgt = corpus_of(SENTENCES, store), corpus_of(SENTENCES[::2], store, "deu_Latn")
    with pytest.raises(ParameterError, match=r"deu_Latn-20\.txt \(deu_Latn\) has 20 vectors; zca needs 32") as caught:
        mine(src, tgt, encoder, store, MiningParameters(postprocess=PostProcessing.parse("zca")))
    assert caught.value.code == "too-few-vectors"
    assert store.list(KIND) == []


def test_processed_vectors_go_with_the_corpus_that_they_were_fitted_on(
    encoder: Encoder, store: ArtifactStore, tmp_path: Path
) -> None:
    catalog = Catalog(tmp_path / "corpora", store)
    long, short = corpus_of(SENTENCES, store), corpus_of(SENTENCES[:32], store)
    for name, corpus in (("long", long), ("short", short)):
        catalog.add(name, corpus)
        postprocess(embed(corpus, encoder, store), CENTRE, store)
    kept = postprocess(embed(short, encoder, store), CENTRE, store)
    catalog.delete("long")
    assert [shard.digest for shard in kept.artifacts] == [
        key.digest for key in kept.artifacts if store.open(SHARD_KIND, key.digest)
    ]
    assert (len(store.list(KIND)), len(store.list(FIT_KIND)), len(store.list(SHARD_KIND))) == (2, 1, 2)
    catalog.delete("short")
    assert [store.list(kind) for kind in (KIND, FIT_KIND, SHARD_KIND)] == [[], [], []]
