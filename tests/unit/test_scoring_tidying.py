"""After a file was scored nothing of it stays but its bitext, and nothing goes that others need."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog
from bitextmine.corpus import CorpusFile, ingest
from bitextmine.embeddings import embed
from bitextmine.encoders import Encoder
from bitextmine.pair_files import IngestedPairs, PairFile, PairFormat, ingest_pairs
from bitextmine.resources import Resources
from bitextmine.scoring import ScoringParameters, at_work, score_file, tidy
from tests.tiny_encoder import build_tiny_encoder

SRC = [f"Haus {n}" for n in range(9)]
TGT = [f"house {n}" for n in range(9)]
ALL = ("pairs", "pairs-side", "embeddings", "neighborhoods")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def catalog(tmp_path: Path, store: ArtifactStore) -> Catalog:
    return Catalog(tmp_path / "corpora", store)


def ingested(store: ArtifactStore, name: str, src: list[str], tgt: list[str]) -> IngestedPairs:
    path = store.root.parent / name
    path.write_text("".join(f"{one}\t{other}\n" for one, other in zip(src, tgt, strict=True)))
    return ingest_pairs(PairFile(path, "deu_Latn", "eng_Latn", PairFormat.TSV), store)


def score(pairs: IngestedPairs, encoder: Encoder, store: ArtifactStore) -> str:
    resources = Resources(threads=1, memory_bytes=4 << 30)
    return score_file(pairs, (None, None), encoder, store, ScoringParameters(), resources=resources).digest


def counts(store: ArtifactStore) -> dict[str, int]:
    return {kind: len(store.list(kind)) for kind in ALL}


def test_what_a_scored_file_left_goes_and_its_bitext_stays(
    encoder: Encoder, store: ArtifactStore, catalog: Catalog
) -> None:
    digest = score(ingested(store, "a.tsv", SRC, TGT), encoder, store)
    assert counts(store) == {"pairs": 1, "pairs-side": 2, "embeddings": 2, "neighborhoods": 0}
    assert tidy(store, catalog)
    assert counts(store) == dict.fromkeys(ALL, 0)
    assert [bitext.digest for bitext in store.list("bitext")] == [digest]
    assert score(ingested(store, "a.tsv", SRC, TGT), encoder, store) == digest
    assert tidy(store, catalog)
    assert counts(store) == dict.fromkeys(ALL, 0)


def test_vectors_that_a_corpus_or_another_file_has_stay(
    encoder: Encoder, store: ArtifactStore, catalog: Catalog
) -> None:
    path = store.root.parent / "de.txt"
    path.write_text("".join(f"{text}\n" for text in SRC))
    corpus = ingest(CorpusFile(path, "deu_Latn"), store)
    catalog.add("de", corpus)
    score(ingested(store, "a.tsv", SRC, TGT), encoder, store)
    other = ingested(store, "b.tsv", TGT[::-1], TGT)  # not scored yet, with the same targets
    assert tidy(store, catalog)
    assert counts(store) == {"pairs": 1, "pairs-side": 2, "embeddings": 2, "neighborhoods": 0}
    assert len(embed(corpus, encoder, store)) == len(embed(other.tgt, encoder, store)) == 9
    assert counts(store)["embeddings"] == 2


def test_nothing_goes_while_a_run_is_at_work(encoder: Encoder, store: ArtifactStore, catalog: Catalog) -> None:
    score(ingested(store, "a.tsv", SRC, TGT), encoder, store)
    with at_work(store), at_work(store):
        assert not tidy(store, catalog)
        assert counts(store)["pairs"] == 1
    assert tidy(store, catalog)
    assert counts(store)["pairs"] == 0


def test_what_a_failed_run_left_goes_when_it_is_old(encoder: Encoder, store: ArtifactStore, catalog: Catalog) -> None:
    pairs = ingested(store, "a.tsv", SRC, TGT)
    embed(pairs.src, encoder, store)
    assert tidy(store, catalog)
    assert counts(store) == {"pairs": 1, "pairs-side": 2, "embeddings": 1, "neighborhoods": 0}
    assert tidy(store, catalog, max_age_seconds=0)
    assert counts(store) == dict.fromkeys(ALL, 0)
