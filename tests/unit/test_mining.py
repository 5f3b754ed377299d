"""Mining end to end with a real, tiny encoder: sentences that share words are near each other."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import SCHEMA, Bitext
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.embeddings import embed
from bitextmine.encoders import Encoder, Encoding
from bitextmine.errors import BitextmineError, LanguageError, ParameterError
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MAX_K, MiningParameters, mine
from tests.tiny_encoder import build_tiny_encoder

_random = random.Random(11)
NOUNS = "museum lake map station weather book city plan See Karte Bahnhof Stadt lac livre gare ville озеро книга"
SRC = [" ".join(_random.sample(NOUNS.split(), 6)) for _ in range(30)]
TGT = [" ".join(reversed(text.split())) + " !" for text in SRC[5:]] + [
    f"{n} unrelated: {_random.random()}" for n in range(9)
]
TRUE_PAIRS = {(row, row - 5) for row in range(5, 30)}


class CountingEncoder(Encoder):
    calls: int = 0

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.calls += 1
        return super().encode_counted(sentences, progress=progress)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.fixture
def encoder(directory: Path) -> CountingEncoder:
    encoder = CountingEncoder.open(directory)
    assert isinstance(encoder, CountingEncoder)
    return encoder


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(texts: list[str], lang: str, store: ArtifactStore, shard_rows: int = 7) -> Corpus:
    path = store.root.parent / f"{lang}.jsonl"
    records = ({"text": text, "id": f"{lang}-{n}", "doc_id": f"doc{n // 4}"} for n, text in enumerate(texts))
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return ingest(CorpusFile(path, lang, CorpusFormat.JSONL), store, shard_rows=shard_rows)


@pytest.fixture
def corpora(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    return corpus_of(SRC, "deu_Latn", store), corpus_of(TGT, "eng_Latn", store)


def rows(bitext: Bitext) -> list[tuple[int, int]]:
    return [(pair.src_row, pair.tgt_row) for pair in bitext.pairs()]


def test_sentences_that_share_their_words_come_out_as_pairs(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    bitext = mine(*corpora, encoder, store, MiningParameters())
    assert set(rows(bitext)[: len(TRUE_PAIRS)]) == TRUE_PAIRS
    assert all(pair.src == SRC[pair.src_row] and pair.tgt == TGT[pair.tgt_row] for pair in bitext.pairs())


@pytest.mark.parametrize("margin", Margin)
def test_scores_are_made_of_the_exact_cosines_of_the_stored_vectors(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore, margin: Margin
) -> None:
    k = 3
    bitext = mine(*corpora, encoder, store, MiningParameters(k=k, margin=margin))
    src, tgt = (embed(corpus, encoder, store) for corpus in corpora)
    cosines = src.block(0, 30).astype(np.float64) @ tgt.block(0, 34).T.astype(np.float64)
    forward, backward = np.argsort(-cosines, axis=1)[:, :k], np.argsort(-cosines.T, axis=1)[:, :k]
    src_means, tgt_means = -np.sort(-cosines)[:, :k].mean(axis=1), -np.sort(-cosines.T)[:, :k].mean(axis=1)
    means = (src_means[:, None] + tgt_means) / 2
    scores = {Margin.RATIO: cosines / means, Margin.DISTANCE: cosines - means, Margin.ABSOLUTE: cosines}[margin]
    best_tgt = [max(forward[x], key=lambda y: scores[x, y]) for x in range(30)]
    best_src = [max(backward[y], key=lambda x: scores[x, y]) for y in range(34)]
    for pair in bitext.pairs():
        x, y = pair.src_row, pair.tgt_row
        assert pair.cosine == pytest.approx(cosines[x, y], abs=1e-6)
        assert pair.src_mean == pytest.approx(src_means[x], abs=1e-6)
        assert pair.tgt_mean == pytest.approx(tgt_means[y], abs=1e-6)
        assert pair.margin == pytest.approx(scores[x, y], abs=1e-5)
        assert [None, *forward[x]].index(y) == pair.src_rank if y in forward[x] else pair.src_rank is None
        assert [None, *backward[y]].index(x) == pair.tgt_rank if x in backward[y] else pair.tgt_rank is None
        ways = {"forward": best_tgt[x] == y, "backward": best_src[y] == x}
        assert pair.direction == ("both" if all(ways.values()) else next(way for way, one in ways.items() if one))
    margins = [pair.margin for pair in bitext.pairs()]
    assert all(a >= b for a, b in pairwise(margins))
    unpaired = set(range(30)) - {x for x, _ in rows(bitext)}
    assert all(best_tgt[x] in {y for _, y in rows(bitext)} for x in unpaired)


def test_every_pair_says_where_its_sentences_come_from(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    bitext = mine(*corpora, encoder, store, MiningParameters())
    assert bitext.table().schema.equals(SCHEMA)
    for pair in bitext.pairs():
        assert (pair.src_id, pair.tgt_id) == (f"deu_Latn-{pair.src_row}", f"eng_Latn-{pair.tgt_row}")
        assert (pair.src_doc_id, pair.tgt_doc_id) == (f"doc{pair.src_row // 4}", f"doc{pair.tgt_row // 4}")
        assert (pair.src_line, pair.tgt_line) == (pair.src_row + 1, pair.tgt_row + 1)


def test_the_bitext_records_what_made_it(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    parameters = MiningParameters(
        k=3, margin=Margin.DISTANCE, retrieval=Retrieval.INTERSECTION, threshold=0.01, ceiling=0.9
    )
    bitext = mine(*corpora, encoder, store, parameters)
    chosen = {"k": 3, "margin": "distance", "retrieval": "intersection", "threshold": 0.01, "ceiling": 0.9}
    chosen["drop_identical"] = False
    sources = {"src_source": "deu_Latn.jsonl", "tgt_source": "eng_Latn.jsonl"}
    assert bitext.parameters == {
        **chosen, **sources, "src_lang": "deu_Latn", "tgt_lang": "eng_Latn", "encoder": "tiny"
    }  # fmt: skip
    manifest = bitext.artifact.manifest
    assert manifest["inputs"]["encoder"] == encoder.signature
    assert (manifest["inputs"]["src"], manifest["inputs"]["tgt"]) == tuple(corpus.digest for corpus in corpora)
    assert set(bitext.summary["seconds"]) == {"embed-src", "embed-tgt", "search", "score"}
    counts = {"pairs": len(bitext), "src_sentences": 30, "tgt_sentences": 34, "src_truncated": 0, "tgt_truncated": 0}
    assert counts.items() <= dict(bitext.summary).items()
    bitext.artifact.verify()


def test_mining_again_does_nothing_again(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    first = mine(*corpora, encoder, store, MiningParameters())
    calls, stages = encoder.calls, []
    again = mine(
        *corpora, encoder, store, MiningParameters(), progress=lambda stage, done, total: stages.append((stage, done))
    )
    assert encoder.calls == calls > 0
    assert again.artifact.manifest == first.artifact.manifest
    assert not [stage for stage, _ in stages if "search" in stage or stage == "score"]


def test_another_margin_uses_the_neighbours_again_and_another_k_does_not(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    digests = set()
    for margin in Margin:
        for retrieval in Retrieval:
            digests.add(mine(*corpora, encoder, store, MiningParameters(margin=margin, retrieval=retrieval)).digest)
    assert len(digests) == len(Margin) * len(Retrieval)
    assert len(store.list("neighbors")) == 1
    mine(*corpora, encoder, store, MiningParameters(k=5))
    assert len(store.list("neighbors")) == 2


def test_the_pairs_do_not_depend_on_the_number_of_shards(encoder: CountingEncoder, store: ArtifactStore) -> None:
    mined = []
    for shard_rows in (1000, 1, 11):
        sides = (corpus_of(SRC, "deu_Latn", store, shard_rows), corpus_of(TGT, "eng_Latn", store, shard_rows))
        mined.append(mine(*sides, encoder, store, MiningParameters()))
    assert len({bitext.digest for bitext in mined}) == 3
    for bitext in mined[1:]:
        assert set(rows(bitext)) == set(rows(mined[0]))
        margins = {(pair.src_row, pair.tgt_row): pair.margin for pair in bitext.pairs()}
        for pair in mined[0].pairs():
            assert margins[pair.src_row, pair.tgt_row] == pytest.approx(pair.margin, abs=5e-3)


def test_changed_content_at_the_same_path_is_mined_anew(encoder: CountingEncoder, store: ArtifactStore) -> None:
    tgt = corpus_of(TGT, "eng_Latn", store)
    before = mine(corpus_of(SRC, "deu_Latn", store), tgt, encoder, store, MiningParameters())
    after = mine(corpus_of(SRC[10:], "deu_Latn", store), tgt, encoder, store, MiningParameters())
    assert before.digest != after.digest
    assert set(rows(after)[:20]) == {(row, row + 5) for row in range(20)}


def test_a_sentence_that_comes_twice_is_mined_once(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    repeated = corpus_of([text for text in SRC for _ in range(3)], "fra_Latn", store)
    assert len(repeated) == len(SRC)
    bitext = mine(repeated, corpora[1], encoder, store, MiningParameters(retrieval=Retrieval.FORWARD))
    src_rows = [pair.src_row for pair in bitext.pairs()]
    assert len(src_rows) == len(set(src_rows)) == len(SRC)


@pytest.mark.parametrize("retrieval", Retrieval)
def test_thresholds_and_ceilings_hold_for_every_retrieval(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore, retrieval: Retrieval
) -> None:
    everything = mine(*corpora, encoder, store, MiningParameters(retrieval=retrieval))
    bounded = mine(*corpora, encoder, store, MiningParameters(retrieval=retrieval, threshold=1.1, ceiling=1.3))
    expected = [pair for pair in everything.pairs() if np.float32(1.1) <= pair.margin <= np.float32(1.3)]
    assert 0 < len(bounded) < len(everything)
    assert list(bounded.pairs()) == expected
    assert len(mine(*corpora, encoder, store, MiningParameters(retrieval=retrieval, threshold=1e30))) == 0


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"k": 0}, "invalid-k"),
        ({"k": -1}, "invalid-k"),
        ({"k": MAX_K + 1}, "invalid-k"),
        ({"threshold": float("nan")}, "invalid-threshold"),
        ({"ceiling": float("inf")}, "invalid-threshold"),
        ({"threshold": 1e39}, "invalid-threshold"),
        ({"threshold": 1.2, "ceiling": 1.1}, "invalid-threshold"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(ParameterError) as caught:
        MiningParameters(**wrong)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("src", "k", "code"), [(SRC[:1], 1, "corpus-too-small"), (SRC[:5], 6, "k-too-large"), (SRC, 31, "k-too-large")]
)
def test_a_corpus_that_is_too_small_is_refused_before_any_work(
    encoder: CountingEncoder, store: ArtifactStore, src: list[str], k: int, code: str
) -> None:
    small, large = corpus_of(src, "deu_Latn", store), corpus_of(TGT, "eng_Latn", store)
    for sides in ((small, large), (large, small)):
        with pytest.raises(ParameterError) as caught:
            mine(*sides, encoder, store, MiningParameters(k=k))
        assert caught.value.code == code
        assert "deu_Latn" in str(caught.value)
    assert encoder.calls == 0


def test_k_can_be_the_size_of_the_corpus(encoder: CountingEncoder, store: ArtifactStore) -> None:
    sides = corpus_of(SRC[5:8], "deu_Latn", store), corpus_of(TGT[:3], "eng_Latn", store)
    assert sorted(rows(mine(*sides, encoder, store, MiningParameters(k=3)))) == [(0, 0), (1, 1), (2, 2)]


def test_one_sentence_a_side_can_be_mined_by_its_cosine(encoder: CountingEncoder, store: ArtifactStore) -> None:
    sides = corpus_of(SRC[:1], "deu_Latn", store), corpus_of(TGT[:1], "eng_Latn", store)
    assert rows(mine(*sides, encoder, store, MiningParameters(k=1, margin=Margin.ABSOLUTE))) == [(0, 0)]


def test_a_language_that_the_encoder_does_not_know_is_mined_on_demand_only(
    encoder: CountingEncoder, store: ArtifactStore
) -> None:
    sides = corpus_of(SRC, "que_Latn", store), corpus_of(TGT, "eng_Latn", store)
    with pytest.raises(LanguageError, match="does not cover que_Latn") as caught:
        mine(*sides, encoder, store, MiningParameters())
    assert caught.value.code == "language-not-covered"
    assert encoder.calls == 0
    assert len(mine(*sides, encoder, store, MiningParameters(allow_uncovered_languages=True)))


def test_mining_that_was_stopped_goes_on_from_its_finished_stages(
    corpora: tuple[Corpus, Corpus], encoder: CountingEncoder, store: ArtifactStore
) -> None:
    def stop_at_scoring(stage: str, done: int, total: int | None) -> None:
        if stage == "score":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mine(*corpora, encoder, store, MiningParameters(), progress=stop_at_scoring)
    assert store.list("bitext") == []
    calls = encoder.calls
    assert len(mine(*corpora, encoder, store, MiningParameters()))
    assert encoder.calls == calls
    assert list((store.root / ".staging").iterdir()) == []


def test_errors_are_one_line(encoder: CountingEncoder, store: ArtifactStore) -> None:
    sides = corpus_of(SRC[:3], "deu_Latn", store), corpus_of(TGT, "eng_Latn", store)
    with pytest.raises(BitextmineError) as caught:
        mine(*sides, encoder, store, MiningParameters())
    assert "\n" not in str(caught.value)
    assert "use k=3 or less" in str(caught.value)
