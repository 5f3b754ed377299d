"""Given pairs are scored as a mining job scores them, in blocks that a crash does not lose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.encoders import Encoder, open_encoder
from bitextmine.errors import CorpusInputError, LanguageError, ParameterError
from bitextmine.margin import Margin
from bitextmine.mining import MiningParameters, mine
from bitextmine.pair_files import IngestedPairs, PairFile, PairFormat, delete_ingested, ingest_pairs
from bitextmine.resources import Resources
from bitextmine.scoring import Background, ScoringParameters, neighborhoods, score_file
from bitextmine.workspace import default_encoders_dir
from tests.tiny_encoder import build_tiny_encoder

DEU, ENG = "deu_Latn", "eng_Latn"
WORDS = ["museum", "lake", "map", "station", "weather", "book", "city", "See", "Karte", "Bahnhof", "lac", "livre"]
RESOURCES = Resources(threads=2, memory_bytes=4 << 30)
SHARD_ROWS = 7


def sentences(seed: int, count: int) -> list[str]:
    chance = np.random.default_rng(seed)
    return [" ".join([*chance.choice(WORDS, 5), str(n)]) for n in range(count)]


SRC, TGT = sentences(1, 60), sentences(2, 45)


@pytest.fixture(scope="module", params=[32, 64], ids=["slow cosines", "compiled cosines"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"), request.param)


@pytest.fixture(scope="module")
def any_encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def corpora(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    return corpus_of(SRC, DEU, store), corpus_of(TGT, ENG, store)


def corpus_of(texts: Sequence[str], lang: str, store: ArtifactStore) -> Corpus:
    path = store.root.parent / f"{lang}-{len(texts)}.txt"
    path.write_text("".join(f"{text}\n" for text in texts))
    return ingest(CorpusFile(path, lang), store, shard_rows=SHARD_ROWS)


def pairs_of(texts: Sequence[tuple[str, str]], store: ArtifactStore) -> IngestedPairs:
    path = store.root.parent / "pairs.tsv"
    path.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in texts))
    return ingest_pairs(PairFile(path, DEU, ENG, PairFormat.TSV), store, shard_rows=SHARD_ROWS)


def named(corpora: tuple[Corpus, Corpus]) -> tuple[Background, Background]:
    return Background(corpora[0], "de"), Background(corpora[1], "en")


def by_texts(bitext: Bitext) -> dict[tuple[str, str], Any]:
    return {(pair.src, pair.tgt): pair for pair in bitext.pairs()}


@pytest.mark.parametrize("margin", list(Margin))
@pytest.mark.parametrize("k", [1, 4, 45])
def test_pairs_of_a_mining_job_get_its_scores_and_ranks(
    encoder: Encoder, store: ArtifactStore, corpora: tuple[Corpus, Corpus], margin: Margin, k: int
) -> None:
    mined = by_texts(mine(*corpora, encoder, store, MiningParameters(k=k, margin=margin)))
    pairs = pairs_of(list(mined), store)
    parameters = ScoringParameters(k=k, margin=margin)
    scored = by_texts(score_file(pairs, named(corpora), encoder, store, parameters, resources=RESOURCES))
    assert set(scored) == set(mined)
    assert len(mined) > 30
    for texts, pair in scored.items():
        truth = mined[texts]
        for name in ("margin", "cosine", "src_mean", "tgt_mean"):
            assert getattr(pair, name) == pytest.approx(getattr(truth, name), abs=1e-6), name
        assert (pair.src_rank, pair.tgt_rank) == (truth.src_rank, truth.tgt_rank)
        assert pair.direction is None


@pytest.mark.encoder
def test_pairs_of_a_mining_job_with_muse_get_its_scores(store: ArtifactStore) -> None:
    encoders = default_encoders_dir()
    if not (encoders / "muse").is_dir():
        pytest.skip(f"muse is not installed in {encoders}: run `bitextmine encoders pull muse`")
    demo = Path(__file__).parents[2] / "demo"
    corpora = tuple(
        ingest(CorpusFile(demo / f"{lang[:3]}.jsonl", lang, CorpusFormat.JSONL), store) for lang in (DEU, ENG)
    )
    encoder = open_encoder("muse", encoders, threads=2)
    mined = by_texts(mine(*corpora, encoder, store, MiningParameters()))
    pairs = pairs_of(list(mined)[::-1], store)
    scored = by_texts(score_file(pairs, named(corpora), encoder, store, ScoringParameters(), resources=RESOURCES))
    assert list(scored) == list(mined)
    for texts, pair in scored.items():
        for name in ("margin", "cosine", "src_mean", "tgt_mean"):
            assert getattr(pair, name) == pytest.approx(getattr(mined[texts], name), abs=1e-5), name


def test_pairs_come_by_falling_margin_with_their_lines(
    any_encoder: Encoder, store: ArtifactStore, corpora: tuple[Corpus, Corpus]
) -> None:
    texts = [(SRC[n % 60], TGT[n % 45]) for n in range(200)]
    pairs = pairs_of([*texts, ("", "rubbish"), ("same", "same")], store)
    bitext = score_file(pairs, named(corpora), any_encoder, store, ScoringParameters(), resources=RESOURCES)
    found = list(bitext.pairs())
    assert sorted(pair.src_line for pair in found) == [*range(1, 201), 202]
    assert all((pair.src, pair.tgt) == texts[pair.src_line - 1] for pair in found if pair.src_line < 201)
    assert all(pair.src_line == pair.tgt_line == int(pair.src_id) for pair in found)
    margins = [pair.margin for pair in found]
    assert margins == sorted(margins, reverse=True)
    assert {name: bitext.summary[name] for name in ("pairs", "lines", "refused", "identical_pairs")} == {
        "pairs": 201,
        "lines": 202,
        "refused": {"empty": 1},
        "identical_pairs": 1,
    }
    refused = [json.loads(line) for line in (bitext.artifact.path / "refused.jsonl").read_text().splitlines()]
    assert [(each["line"], each["reason"]) for each in refused] == [(201, "empty")]
    names = ("made_by", "retrieval", "src_background", "tgt_background", "k", "margin")
    assert {name: bitext.parameters[name] for name in names} == {
        "made_by": "scoring",
        "retrieval": None,
        "src_background": "de",
        "tgt_background": "en",
        "k": 4,
        "margin": "ratio",
    }


def test_without_backgrounds_the_file_is_its_own(any_encoder: Encoder, store: ArtifactStore) -> None:
    texts = [(SRC[n], TGT[n % 20]) for n in range(40)]
    src, tgt = corpus_of(SRC[:40], DEU, store), corpus_of(TGT[:20], ENG, store)
    pairs, parameters = pairs_of(texts, store), ScoringParameters(k=3)
    own = score_file(pairs, (None, None), any_encoder, store, parameters, resources=RESOURCES)
    given = score_file(pairs, named((src, tgt)), any_encoder, store, parameters, resources=RESOURCES)
    half = score_file(pairs, (None, named((src, tgt))[1]), any_encoder, store, parameters, resources=RESOURCES)
    assert own.digest != given.digest != half.digest
    assert list(own.pairs()) == list(given.pairs()) == list(half.pairs())


def test_a_cosine_needs_no_background(any_encoder: Encoder, store: ArtifactStore) -> None:
    parameters = ScoringParameters(k=900, margin=Margin.ABSOLUTE)
    texts = list(zip(SRC, SRC[::-1], strict=True))
    bitext = score_file(pairs_of(texts, store), (None, None), any_encoder, store, parameters, resources=RESOURCES)
    vectors = [np.float16(any_encoder.encode(side)).astype(np.float64) for side in (SRC, SRC[::-1])]
    vectors = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in vectors]
    cosines = np.einsum("nd,nd->n", *vectors)
    for pair in bitext.pairs():
        assert pair.margin == pair.cosine == pytest.approx(cosines[pair.src_line - 1], abs=1e-6)
        assert (pair.src_mean, pair.tgt_mean, pair.src_rank, pair.tgt_rank) == (None, None, None, None)


def test_pairs_whose_neighbourhoods_are_unlike_them_are_refused(
    any_encoder: Encoder, store: ArtifactStore, corpora: tuple[Corpus, Corpus]
) -> None:
    words = [f"{chr(code)}{chr(code + 9)} {chr(code)}" for code in range(0x390, 0x590)]
    vectors = any_encoder.encode(words)
    means = [np.sort(vectors @ any_encoder.encode(side).T)[:, -45:].mean(axis=1) for side in (TGT, SRC)]
    unlike = [word for word, *both in zip(words, *means, strict=True) if sum(both) < -0.001]
    assert len(unlike) > 1
    pairs = pairs_of([(word, word) for word in unlike] + list(zip(SRC[:9], TGT[:9], strict=True)), store)
    parameters = ScoringParameters(k=45)
    bitext = score_file(pairs, named(corpora), any_encoder, store, parameters, resources=RESOURCES)
    assert sorted(pair.src_line for pair in bitext.pairs()) == [len(unlike) + n for n in range(1, 10)]
    assert bitext.summary["refused"] == {"no-margin": len(unlike)}
    refused = [json.loads(line) for line in (bitext.artifact.path / "refused.jsonl").read_text().splitlines()]
    assert [each["line"] for each in refused] == list(range(1, len(unlike) + 1))
    with pytest.raises(CorpusInputError, match="no pair can be scored"):
        score_file(
            pairs_of([(word, word) for word in unlike], store),
            named(corpora),
            any_encoder,
            store,
            parameters,
            resources=RESOURCES,
        )


def test_blocks_that_were_finished_are_not_done_again(
    any_encoder: Encoder, store: ArtifactStore, corpora: tuple[Corpus, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = pairs_of([(SRC[n % 60], TGT[n % 45]) for n in range(90)], store)
    monkeypatch.setattr(neighborhoods, "BLOCK_SHARDS", 2)
    searched: list[int] = []
    search = neighborhoods.nearest_exact

    def counted(queries: Any, *rest: Any, **options: Any) -> Any:
        if len(searched) == 3:
            raise KeyboardInterrupt
        searched.append(len(queries))
        return search(queries, *rest, **options)

    monkeypatch.setattr(neighborhoods, "nearest_exact", counted)
    arguments = pairs, named(corpora), any_encoder, store, ScoringParameters()
    with pytest.raises(KeyboardInterrupt):
        score_file(*arguments, resources=RESOURCES)
    assert store.list("bitext") == []
    monkeypatch.setattr(neighborhoods, "nearest_exact", lambda *a, **b: searched.append(len(a[0])) or search(*a, **b))
    in_blocks = score_file(*arguments, resources=RESOURCES)
    assert searched == [14, 14, 14, 14, 4, 14, 14, 14, 3]  # 60 sources and 45 targets by 14, the first three once
    assert store.list(neighborhoods.KIND) == []
    assert score_file(*arguments, resources=RESOURCES).digest == in_blocks.digest
    assert len(searched) == 9
    at_once = ArtifactStore(store.root.parent / "other")
    monkeypatch.undo()
    whole = score_file(*arguments[:3], at_once, ScoringParameters(), resources=RESOURCES)
    assert list(whole.pairs()) == list(in_blocks.pairs())


def test_what_cannot_be_scored_is_refused_before_any_work(
    any_encoder: Encoder, store: ArtifactStore, corpora: tuple[Corpus, Corpus]
) -> None:
    pairs = pairs_of([(SRC[0], TGT[0]), (SRC[1], TGT[0])], store)
    src, tgt = named(corpora)
    for backgrounds, parameters, code in (
        ((tgt, src), ScoringParameters(), "background-language"),
        ((src, tgt), ScoringParameters(k=46), "k-too-large"),
        ((src, None), ScoringParameters(k=1), "corpus-too-small"),
        ((None, tgt), ScoringParameters(k=3), "k-too-large"),
    ):
        with pytest.raises(ParameterError) as caught:
            score_file(pairs, backgrounds, any_encoder, store, parameters, resources=RESOURCES)
        assert caught.value.code == code
    with pytest.raises(ParameterError):
        ScoringParameters(k=0)
    path = store.root.parent / "pairs.tsv"
    quechua = ingest_pairs(PairFile(path, "que_Latn", ENG, PairFormat.TSV), store)
    with pytest.raises(LanguageError):
        score_file(quechua, (None, tgt), any_encoder, store, ScoringParameters(k=1), resources=RESOURCES)
    allowed = ScoringParameters(k=1, allow_uncovered_languages=True)
    assert len(score_file(quechua, (None, tgt), any_encoder, store, allowed, resources=RESOURCES)) == 2


def test_ingested_pairs_are_found_again_and_can_be_deleted(store: ArtifactStore) -> None:
    path = store.root.parent / "pairs.jsonl"
    records = [{"src": f"Haus {n % 50}", "tgt": f"house {n}", "src_id": f"s{n}", "tgt_doc_id": "d"} for n in range(99)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "{\n")
    file = PairFile(path, DEU, ENG, PairFormat.JSONL, source="given.jsonl")
    pairs = ingest_pairs(file, store)
    assert (len(pairs), len(pairs.src), len(pairs.tgt)) == (99, 50, 99)
    assert pairs.names == ("given.jsonl", "given.jsonl")
    chosen = np.array([98, 0, 50])
    assert pairs.take("src_id", chosen).to_pylist() == ["s98", "s0", "s50"]
    assert pairs.take("tgt_id", chosen).to_pylist() == ["99", "1", "51"]
    assert pairs.take("tgt_doc_id", chosen).to_pylist() == ["d", "d", "d"]
    assert pairs.src.take("text", pairs.column("src_row")[chosen]).to_pylist() == ["Haus 48", "Haus 0", "Haus 0"]
    assert [(each.line, each.reason.value) for each in pairs.refusals()] == [(100, "bad-record")]
    path.unlink()
    found = ingest_pairs(PairFile(path, DEU, ENG, PairFormat.JSONL, source="given.jsonl", sha256=sha_of(pairs)), store)
    assert found.digest == pairs.digest
    delete_ingested(store, pairs)
    assert [store.list(kind) for kind in ("pairs", "pairs-side")] == [[], []]


def sha_of(pairs: IngestedPairs) -> str:
    return str(pairs.artifact.manifest["inputs"]["content"])


def test_sides_that_were_lost_are_made_again(store: ArtifactStore) -> None:
    pairs = pairs_of([("a", "b"), ("c", "d")], store)
    store.delete("pairs-side", pairs.tgt.digest)
    assert len(pairs_of([("a", "b"), ("c", "d")], store).tgt) == 2


def test_a_file_without_a_usable_pair_says_why(store: ArtifactStore) -> None:
    for texts, said in (([], "holds no pair"), ([("", "b"), ("c", "")], "2 empty")):
        with pytest.raises(CorpusInputError, match=said) as caught:
            pairs_of(texts, store)
        assert caught.value.code == "empty-corpus"
    assert [store.list(kind) for kind in ("pairs", "pairs-side")] == [[], []]
