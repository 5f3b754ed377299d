"""m-n alignment of all linked documents of two corpora: beads in document order, and a bitext."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from bitextmine.alignment import AlignmentParameters, align
from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import SCHEMA
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.documents import AlignedDocuments, DocumentLinks, align_documents, aligning
from bitextmine.encoders import Encoder, Encoding
from bitextmine.errors import ArtifactError, ParameterError
from bitextmine.exports import export_chunks
from tests.tiny_encoder import build_tiny_encoder

WORDS = "museum lake map station weather book city plan See Karte Bahnhof Stadt lac livre gare ville озеро книга карта"
Document = tuple[str, list[str]]


def sentence(number: int) -> str:
    """Words of a number's own, few of which another has."""
    return " ".join(np.random.default_rng(number).choice(WORDS.split(), 5, replace=False)) + f" {number}"


def joined(*numbers: int) -> str:
    return " ".join(map(sentence, numbers))


SRC: list[Document] = [
    ("a", [sentence(0), sentence(1), sentence(2), joined(3, 4), sentence(5), sentence(90)]),
    ("b", [sentence(10), sentence(1), sentence(11), sentence(10)]),
    ("only src", [sentence(20)]),
]
TGT: list[Document] = [
    ("b", [sentence(10), joined(1, 11), sentence(10)]),
    ("only tgt", [sentence(20)]),
    ("a", [sentence(0), joined(1, 2), sentence(3), sentence(4), sentence(5)]),
]
GOLD = {
    ("a", (1,), (5,)), ("a", (2, 3), (6,)), ("a", (4,), (7, 8)), ("a", (5,), (9,)), ("a", (6,), ()),
    ("b", (7,), (1,)), ("b", (8, 9), (2,)), ("b", (10,), (3,)),
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"), dims=64)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(documents: Sequence[Document], lang: str, store: ArtifactStore, shard_rows: int = 5) -> Corpus:
    path = store.root.parent / f"{lang}.jsonl"
    lines = [(name, text) for name, texts in documents for text in texts]
    records = ({"text": text, "doc_id": name, "id": f"{lang}:{n}"} for n, (name, text) in enumerate(lines, start=1))
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return ingest(CorpusFile(path, lang, CorpusFormat.JSONL), store, shard_rows=shard_rows)


@pytest.fixture
def corpora(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    return corpus_of(SRC, "deu_Latn", store), corpus_of(TGT, "eng_Latn", store)


def beads_of(aligned: AlignedDocuments) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    return [(bead["src_doc_id"], tuple(bead["src_lines"]), tuple(bead["tgt_lines"])) for bead in aligned.beads()]


def test_merged_split_and_left_out_sentences_of_each_document_are_found(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore
) -> None:
    aligned = align_documents(*corpora, encoder, store)
    assert set(beads_of(aligned)) == GOLD
    assert [name for name, _ in groupby(name for name, _, _ in beads_of(aligned))] == ["a", "b"]
    lines = [src for _, src, _ in beads_of(aligned)]
    assert [line for src in lines for line in src] == list(range(1, 11))
    by_lines = {(tuple(bead["src_lines"]), tuple(bead["tgt_lines"])): bead for bead in aligned.beads()}
    merged = by_lines[(8, 9), (2,)]
    assert merged["src"] == f"{sentence(1)} {sentence(11)}"
    assert merged["tgt"] == joined(1, 11)
    assert merged["src_ids"] == ["deu_Latn:8", "deu_Latn:9"], "the id of the repeated line, not of the first"
    left_out = by_lines[(6,), ()]
    assert (left_out["tgt"], left_out["score"], left_out["cosine"]) == ("", None, None)


def test_the_bitext_has_the_beads_by_falling_score_with_their_provenance(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore
) -> None:
    aligned = align_documents(*corpora, encoder, store)
    bitext = aligned.bitext
    bitext.check(whole=True)
    assert bitext.table().schema.equals(SCHEMA)
    pairs = list(bitext.pairs())
    assert len(pairs) == len(bitext) == 7
    assert [pair.margin for pair in pairs] == sorted((pair.margin for pair in pairs), reverse=True)
    beads = {(bead["src_lines"][0], bead["tgt_lines"][0]): bead for bead in aligned.beads() if bead["tgt"]}
    for pair in pairs:
        bead = beads[pair.src_line, pair.tgt_line]
        assert (pair.src, pair.tgt, pair.src_doc_id) == (bead["src"], bead["tgt"], bead["src_doc_id"])
        assert (pair.src_id, pair.tgt_id) == (bead["src_ids"][0], bead["tgt_ids"][0])
        assert (pair.margin, pair.cosine) == (bead["score"], bead["cosine"])
        assert pair.src.startswith(corpora[0].take("text", np.array([pair.src_row])).to_pylist()[0])
        assert (pair.src_rank, pair.src_mean, pair.direction) == (None, None, None)
        vectors = encoder.encode([pair.src, pair.tgt])
        assert pair.cosine == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert bitext.summary["beads"] == {"1-1": 4, "1-2": 1, "2-1": 2}
    assert (bitext.summary["src_alone"], bitext.summary["tgt_alone"]) == (1, 0)
    assert bitext.summary["documents"]["linked"] == 2
    assert bitext.summary["identical_pairs"] == sum(pair.src == pair.tgt for pair in pairs) == 7
    assert b"".join(export_chunks(bitext)).count(b"\n") == 7


def test_one_pair_of_documents_is_aligned_as_by_the_arithmetic_alone(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore
) -> None:
    wanted = align(SRC[0][1], TGT[2][1], encoder.encode)
    aligned = align_documents(*corpora, encoder, store, links=DocumentLinks.of([("a", "a")]))
    for bead, found in zip(wanted, aligned.beads(), strict=True):
        assert found["src_lines"] == [row + 1 for row in bead.src]
        assert found["tgt_lines"] == [row + 5 for row in bead.tgt]
        assert found["cost"] == pytest.approx(bead.cost, abs=1e-5)
        assert found["score"] == (pytest.approx(bead.score, abs=1e-5) if bead.src and bead.tgt else None)


class Counting(Encoder):
    calls = 0

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.calls += 1
        if self.calls == 4:  # two are of sentences at random
            raise ArtifactError("the process died")
        return super().encode_counted(sentences, progress=progress)


def test_a_run_that_died_goes_on_and_the_result_has_the_same_bytes(
    corpora: tuple[Corpus, Corpus],
    encoder: Encoder,
    store: ArtifactStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    undisturbed = align_documents(*corpora, encoder, store)
    wanted = undisturbed.bitext.sha256, list(undisturbed.beads())
    store.delete("bitext", undisturbed.bitext.digest)
    monkeypatch.setattr(aligning, "_GROUP_SENTENCES", 4)
    dying = Counting.open(encoder.directory)
    with pytest.raises(ArtifactError, match="died"):
        align_documents(*corpora, dying, store)
    assert len(store.list("document-beads")) == 1
    told: list[tuple[str, int, int | None]] = []
    aligned = align_documents(*corpora, dying, store, progress=lambda *report: told.append(report))
    assert dying.calls == 7, "the first document was aligned again"
    assert (aligned.bitext.sha256, list(aligned.beads())) == wanted
    assert store.list("document-beads") == []
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("align", 18, 18)
    assert align_documents(*corpora, dying, store).bitext.digest == aligned.bitext.digest
    assert dying.calls == 7


def test_shards_do_not_matter(encoder: Encoder, store: ArtifactStore) -> None:
    found = []
    for shard_rows in (1, 3, 100):
        sides = corpus_of(SRC, "deu_Latn", store, shard_rows), corpus_of(TGT, "eng_Latn", store, shard_rows)
        found.append(align_documents(*sides, encoder, store).bitext.sha256)
    assert len(set(found)) == 1


def test_links_and_parameters_decide_and_are_in_the_name(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore
) -> None:
    plain = align_documents(*corpora, encoder, store).bitext
    links = DocumentLinks.of([("only src", "only tgt"), ("a", "b"), ("nobody", "a")])
    linked = align_documents(*corpora, encoder, store, links=links)
    assert {(bead["src_doc_id"], bead["tgt_doc_id"]) for bead in linked.beads()} == {
        ("a", "b"),
        ("only src", "only tgt"),
    }
    assert linked.bitext.summary["documents"]["unknown_links"] == 1
    single = align_documents(*corpora, encoder, store, AlignmentParameters(largest=2))
    assert all(len(src) <= 1 and len(tgt) <= 1 for _, src, tgt in beads_of(single))
    assert len({plain.digest, linked.bitext.digest, single.bitext.digest}) == 3


def test_corpora_without_documents_are_one_each_and_one_without_is_refused(
    corpora: tuple[Corpus, Corpus], encoder: Encoder, store: ArtifactStore, tmp_path: Path
) -> None:
    texts = {}
    for lang, documents in (("fra_Latn", SRC), ("rus_Cyrl", TGT[2:])):
        path = tmp_path / f"{lang}.txt"
        path.write_text("\n\n".join(text for _, sentences in documents[:1] for text in sentences) + "\n")
        texts[lang] = ingest(CorpusFile(path, lang), store)
    aligned = align_documents(texts["fra_Latn"], texts["rus_Cyrl"], encoder, store)
    assert [(tuple(bead["src_lines"]), tuple(bead["tgt_lines"])) for bead in aligned.beads()] == [
        ((1,), (1,)), ((3, 5), (3,)), ((7,), (5, 7)), ((9,), (9,)), ((11,), ())
    ]  # fmt: skip
    assert {(pair.src_doc_id, pair.tgt_doc_id) for pair in aligned.bitext.pairs()} == {(None, None)}
    for pair in ((corpora[0], texts["rus_Cyrl"]), (texts["fra_Latn"], corpora[1])):
        with pytest.raises(ParameterError, match="has no document ids") as caught:
            align_documents(*pair, encoder, store)
        assert caught.value.code == "no-documents"
    with pytest.raises(ParameterError, match="has no document ids"):
        align_documents(*texts.values(), encoder, store, links=DocumentLinks.of([("a", "b")]))


def test_sentences_of_scripts_without_spaces_are_joined_without_one(encoder: Encoder, store: ArtifactStore) -> None:
    chinese = corpus_of([("a", ["你好。", "再见。"])], "zho_Hans", store)
    german = corpus_of([("a", ["Guten Tag."])], "deu_Latn", store)
    (bead,) = [bead for bead in align_documents(chinese, german, encoder, store).beads() if bead["src"]][:1]
    both = align_documents(german, chinese, encoder, store, AlignmentParameters(skip=10))
    assert [(each["src"], each["tgt"]) for each in both.beads()] == [("Guten Tag.", "你好。再见。")]
    assert bead["src"] in ("你好。", "你好。再见。")


def test_a_document_against_itself_is_a_sentence_a_bead(encoder: Encoder, store: ArtifactStore) -> None:
    long = [("a", [sentence(number) for number in range(700)])]
    aligned = align_documents(corpus_of(long, "deu_Latn", store), corpus_of(long, "eng_Latn", store), encoder, store)
    assert beads_of(aligned) == [("a", (line,), (line,)) for line in range(1, 701)]


def test_documents_of_a_sentence_or_two_are_aligned(encoder: Encoder, store: ArtifactStore) -> None:
    """There are no other sentences in them to tell what is unlike."""
    src = [(f"{n}", [sentence(2 * n), sentence(2 * n + 1)]) for n in range(30)]
    tgt = [(f"{n}", [joined(2 * n, 2 * n + 1)] if n % 3 else [sentence(2 * n) + " !"]) for n in range(30)]
    aligned = align_documents(corpus_of(src, "deu_Latn", store), corpus_of(tgt, "eng_Latn", store), encoder, store)
    beads = {int(name): (len(src), len(tgt)) for name, src, tgt in beads_of(aligned) if src and tgt}
    assert sum(beads[n] == ((2, 1) if n % 3 else (1, 1)) for n in range(30)) >= 28
