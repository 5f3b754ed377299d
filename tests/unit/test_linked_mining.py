"""Mining restricted to linked documents, or with a bonus for them, against the same written out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.documents import DocumentLinks, DocumentRule, DocumentUse, linked
from bitextmine.embeddings import embed
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MiningParameters, mine
from tests.tiny_encoder import build_tiny_encoder

_random = random.Random(5)
NOUNS = "museum lake map station weather book city plan See Karte Bahnhof Stadt lac livre gare ville озеро книга"
SRC = [" ".join(_random.sample(NOUNS.split(), 4)) for _ in range(26)]
TGT = [" ".join(reversed(text.split())) + " !" for text in SRC[:20]] + [
    " ".join(_random.sample(NOUNS.split(), 4)) for _ in "12345"
]
SRC_DOCUMENTS = [f"d{row // 4}" for row in range(26)]
TGT_DOCUMENTS = [f"d{(row + 2) // 4}" for row in range(25)]
REPEATED = ("d6", SRC[1])  # a line that another document has too
LINKS = DocumentLinks.of(
    [("d0", "d0"), ("d0", "d1"), ("d2", "d3"), ("d3", "d2"), ("d4", "d4"), ("d6", "d0"), ("x", "d1")]
)
SAME = {(f"d{n}", f"d{n}") for n in range(7)}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(lines: list[tuple[str | None, str]], lang: str, store: ArtifactStore, shard_rows: int = 7) -> Corpus:
    path = store.root.parent / f"{lang}.jsonl"
    path.write_text("".join(json.dumps({"text": text, "doc_id": document}) + "\n" for document, text in lines))
    return ingest(CorpusFile(path, lang, CorpusFormat.JSONL), store, shard_rows=shard_rows)


@pytest.fixture
def corpora(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    src = [*zip(SRC_DOCUMENTS, SRC, strict=True), REPEATED]
    return corpus_of(src, "deu_Latn", store), corpus_of(list(zip(TGT_DOCUMENTS, TGT, strict=True)), "eng_Latn", store)


def pairs_of(bitext: Bitext) -> list[tuple[int, int]]:
    return [(pair.src_row, pair.tgt_row) for pair in bitext.pairs()]


def linked_rows(links: set[tuple[str, str]]) -> set[tuple[int, int]]:
    """All pairs of rows whose documents are linked, the repeated line's other document among them."""
    documents = [{document} for document in SRC_DOCUMENTS]
    documents[1].add("d6")
    return {
        (x, y)
        for x, of_x in enumerate(documents)
        for y, of_y in enumerate(TGT_DOCUMENTS)
        if any((document, of_y) in links for document in of_x)
    }


class Slow:
    """The choice of pairs, written out over the whole matrix of margins."""

    def __init__(self, corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore, k: int, margin: Margin):
        src, tgt = (embed(corpus, encoder, store).block(0, len(corpus)).astype(np.float64) for corpus in corpora)
        self.cosines = src @ tgt.T
        ahead = np.argsort(-self.cosines, axis=1)[:, :k]
        back = np.argsort(-self.cosines.T, axis=1)[:, :k]
        src_means = np.take_along_axis(self.cosines, ahead, 1).mean(axis=1)
        tgt_means = np.take_along_axis(self.cosines.T, back, 1).mean(axis=1)
        means = (src_means[:, None] + tgt_means) / 2
        self.margins = {
            Margin.RATIO: self.cosines / means, Margin.DISTANCE: self.cosines - means, Margin.ABSOLUTE: self.cosines
        }[margin]  # fmt: skip
        self.found = np.zeros(self.cosines.shape, bool)
        np.put_along_axis(self.found, ahead, True, 1)
        self.found_back = np.zeros(self.cosines.shape, bool)
        np.put_along_axis(self.found_back.T, back, True, 1)

    def pairs(
        self, allowed: np.ndarray, allowed_back: np.ndarray, bonus: np.ndarray, retrieval: Retrieval, threshold: float
    ) -> set[tuple[int, int]]:
        scores = self.margins + bonus
        ahead = np.where(allowed, scores, -np.inf)
        back = np.where(allowed_back, scores, -np.inf)
        forward = {(x, int(ahead[x].argmax())) for x in range(len(ahead)) if np.isfinite(ahead[x]).any()}
        backward = {(int(back[:, y].argmax()), y) for y in range(back.shape[1]) if np.isfinite(back[:, y]).any()}
        chosen = {
            Retrieval.FORWARD: forward, Retrieval.BACKWARD: backward, Retrieval.INTERSECTION: forward & backward,
            Retrieval.MAX_SCORE: forward | backward,
        }[retrieval]  # fmt: skip
        chosen = {pair for pair in chosen if scores[pair] >= threshold}
        if retrieval is not Retrieval.MAX_SCORE:
            return chosen
        kept: set[tuple[int, int]] = set()
        for x, y in sorted(chosen, key=lambda pair: -scores[pair]):
            if not any(x == a or y == b for a, b in kept):
                kept.add((x, y))
        return kept


def mask(rows: set[tuple[int, int]], shape: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(shape, bool)
    for pair in rows:
        found[pair] = True
    return found


@pytest.mark.parametrize("retrieval", Retrieval)
@pytest.mark.parametrize("margin", Margin)
@pytest.mark.parametrize("links", [None, LINKS], ids=["same ids", "links"])
def test_only_pairs_of_linked_documents_are_mined_with_the_margins_of_the_whole_corpora(
    corpora: tuple[Corpus, Corpus],
    encoder: Encoder,
    store: ArtifactStore,
    margin: Margin,
    retrieval: Retrieval,
    links: DocumentLinks | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linked, "_CANDIDATES", 7)  # many batches, tiles of a part of a document
    rule = DocumentRule(use=DocumentUse.RESTRICT, links=links)
    parameters = MiningParameters(k=3, margin=margin, retrieval=retrieval, documents=rule)
    bitext = mine(*corpora, encoder, store, parameters)
    slow = Slow(corpora, encoder, store, 3, margin)
    names = SAME if links is None else set(zip(LINKS.src.to_pylist(), LINKS.tgt.to_pylist(), strict=True))
    allowed = mask(linked_rows(names), slow.margins.shape)
    wanted = slow.pairs(allowed, allowed, np.zeros_like(slow.margins), retrieval, -10)
    assert set(pairs_of(bitext)) == wanted
    for pair in bitext.pairs():
        assert pair.margin == pytest.approx(slow.margins[pair.src_row, pair.tgt_row], abs=1e-5)
        assert pair.cosine == pytest.approx(slow.cosines[pair.src_row, pair.tgt_row], abs=1e-5)
        found = slow.found[pair.src_row, pair.tgt_row]
        assert (pair.src_rank is not None) == found
    counted = bitext.summary["documents"]
    assert counted["linked_pairs"] == len(bitext) > 5
    assert counted["unknown_links"] == (1 if links else 0)


@pytest.mark.parametrize("retrieval", Retrieval)
@pytest.mark.parametrize("bonus", [0.0, 0.2])
def test_a_pair_of_linked_documents_passes_a_lower_threshold_and_keeps_its_margin(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore, retrieval: Retrieval, bonus: float
) -> None:
    rule = DocumentRule(use=DocumentUse.BOOST, bonus=bonus)
    parameters = MiningParameters(k=3, retrieval=retrieval, documents=rule, threshold=1.05)
    bitext = mine(*corpora, encoder, store, parameters)
    slow = Slow(corpora, encoder, store, 3, Margin.RATIO)
    allowed = mask(linked_rows(SAME), slow.margins.shape)
    wanted = slow.pairs(slow.found | allowed, slow.found_back | allowed, allowed * bonus, retrieval, 1.05)
    assert set(pairs_of(bitext)) == wanted
    margins = [pair.margin for pair in bitext.pairs()]
    assert margins == sorted(margins, reverse=True)
    for pair in bitext.pairs():
        assert pair.margin == pytest.approx(slow.margins[pair.src_row, pair.tgt_row], abs=1e-5)
        assert pair.margin >= 1.05 - 1e-6 - bonus * allowed[pair.src_row, pair.tgt_row]
    assert bitext.summary["documents"]["linked_pairs"] == sum(allowed[pair] for pair in pairs_of(bitext))
    if bonus:
        assert min(margins) < 1.05, "no pair needed the bonus"


def test_a_ceiling_looks_at_the_margin_without_the_bonus(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore
) -> None:
    rule = DocumentRule(use=DocumentUse.BOOST, bonus=0.5)
    whole = mine(*corpora, encoder, store, MiningParameters(documents=rule))
    bounded = mine(*corpora, encoder, store, MiningParameters(documents=rule, ceiling=1.3))
    wanted = [pair for pair in whole.pairs() if pair.margin <= np.float32(1.3)]
    assert 0 < len(wanted) < len(whole)
    assert list(bounded.pairs()) == wanted


def test_the_result_has_the_same_bytes_however_it_is_cut(
    encoder: Encoder, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled = [
        *zip(SRC_DOCUMENTS, SRC, strict=True),
        *((d, f"{text} ") for d, text in zip(SRC_DOCUMENTS, SRC, strict=True)),
    ]
    found = []
    for shard_rows, candidates in ((1000, 1 << 20), (3, 5), (1, 64)):
        monkeypatch.setattr(linked, "_CANDIDATES", candidates)
        src = corpus_of(doubled, "deu_Latn", store, shard_rows)
        tgt = corpus_of(list(zip(TGT_DOCUMENTS, TGT, strict=True)), "eng_Latn", store, shard_rows)
        rule = DocumentRule(use=DocumentUse.RESTRICT)
        found.append(mine(src, tgt, encoder, store, MiningParameters(documents=rule)).sha256)
    assert len(set(found)) == 1


def test_what_decides_is_in_the_name_and_nothing_else_is(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore
) -> None:
    plain = mine(*corpora, encoder, store, MiningParameters())
    assert "documents" not in plain.parameters
    assert "links" not in plain.artifact.manifest["inputs"]
    assert "documents" not in plain.summary
    rules = [
        DocumentRule(use=DocumentUse.RESTRICT),
        DocumentRule(use=DocumentUse.RESTRICT, links=LINKS),
        DocumentRule(use=DocumentUse.BOOST),
        DocumentRule(use=DocumentUse.BOOST, bonus=0.1),
    ]
    digests = [mine(*corpora, encoder, store, MiningParameters(documents=rule)).digest for rule in rules]
    assert len({plain.digest, *digests}) == 5
    other = DocumentRule(use=DocumentUse.RESTRICT, bonus=0.3)  # of no meaning there
    assert mine(*corpora, encoder, store, MiningParameters(documents=other)).digest == digests[0]
    assert len(store.list("neighbors")) == 1


def test_corpora_without_links_are_refused_before_any_work(encoder: Encoder, store: ArtifactStore) -> None:
    src = corpus_of(list(zip(SRC_DOCUMENTS, SRC, strict=True)), "deu_Latn", store)
    tgt = corpus_of([(None, text) for text in TGT], "eng_Latn", store)
    for links, code in ((None, "no-documents"), (LINKS, "no-documents")):
        rule = DocumentRule(use=DocumentUse.BOOST, links=links)
        with pytest.raises(ParameterError) as caught:
            mine(src, tgt, encoder, store, MiningParameters(documents=rule))
        assert caught.value.code == code
    tgt = corpus_of([("other", text) for text in TGT], "fra_Latn", store)
    with pytest.raises(ParameterError) as caught:
        mine(src, tgt, encoder, store, MiningParameters(documents=DocumentRule(use=DocumentUse.RESTRICT)))
    assert caught.value.code == "no-linked-documents"
    assert not store.list("embeddings")


@pytest.mark.parametrize("bonus", [-0.1, 11.0, float("nan"), float("inf")])
def test_a_bonus_that_makes_no_sense_is_refused(bonus: float) -> None:
    with pytest.raises(ParameterError, match="between 0 and 10"):
        DocumentRule(use=DocumentUse.BOOST, bonus=bonus)
