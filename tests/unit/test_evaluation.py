from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, Bitext, write_pairs
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.errors import CorpusInputError, InputError
from bitextmine.evaluation import Scores, best_threshold, evaluate_bitext, evaluate_pairs, is_even, read_gold
from bitextmine.margin import Pairs

Mined = list[tuple[int, int, float]]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(lines: list[str], lang: str, store: ArtifactStore) -> Corpus:
    path = store.root.parent / f"{lang}.tsv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return ingest(CorpusFile(path, lang, CorpusFormat.ID_TSV), store)


@pytest.fixture
def corpora(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    """Ten sentences a side; the ids of both sides end in 0 to 9."""
    src, tgt = (
        corpus_of([f"{lang}-{n:03}\tsentence {n}" for n in range(10)], f"{lang}_Latn", store) for lang in ("deu", "eng")
    )
    return src, tgt


def bitext_of(mined: Mined, corpora: tuple[Corpus, Corpus], store: ArtifactStore) -> Bitext:
    src, tgt = (np.array([row[side] for row in mined], np.int64) for side in (0, 1))
    scores = np.array([row[2] for row in mined], np.float32)
    ranks, yes = np.ones(len(mined), np.int16), np.ones(len(mined), bool)
    key = ArtifactKey(KIND, {"mined": json.dumps(mined)}, {})
    with store.publish(key) as staging:
        write_pairs(
            staging.path / PAIRS, Pairs(src, tgt, scores, scores, scores, scores, ranks, ranks, yes, yes), *corpora
        )
        staging.summary["pairs"] = len(mined)
    artifact = store.find(key)
    assert artifact is not None
    return Bitext(artifact)


def gold_of(*rows: int) -> set[tuple[str, str]]:
    return {(f"deu-{row:03}", f"eng-{row:03}") for row in rows}


def test_precision_recall_and_f1_are_those_worked_out() -> None:
    scores = Scores(correct=3, mined=4, gold=6)
    assert (scores.precision, scores.recall, scores.f1) == (0.75, 0.5, pytest.approx(0.6))
    assert scores.f1 == pytest.approx(2 * 0.75 * 0.5 / (0.75 + 0.5))


@pytest.mark.parametrize(("mined", "gold"), [(0, 5), (5, 0), (0, 0)])
def test_nothing_mined_or_nothing_to_find_scores_zero(mined: int, gold: int) -> None:
    scores = Scores(0, mined, gold)
    assert (scores.precision, scores.recall, scores.f1) == (0, 0, 0)


def f1_at(threshold: float, scores: NDArray[np.float32], correct: NDArray[np.bool_], gold: int) -> Scores:
    kept = scores >= threshold
    return Scores(int(correct[kept].sum()), int(kept.sum()), gold)


eighths = st.integers(-4, 20).map(lambda n: n / 8)
neighbours = st.integers(0, 5).map(lambda n: float(np.float32(1) + n * np.spacing(np.float32(1))))
mined_scores = st.lists(st.tuples(eighths | neighbours | st.floats(-1, 3, width=32), st.booleans()), max_size=25)


@settings(deadline=None)
@given(mined=mined_scores, missed=st.integers(0, 5))
def test_the_best_threshold_is_the_best_of_all_that_can_be_tried(mined: list[tuple[float, bool]], missed: int) -> None:
    scores, correct = np.array([m[0] for m in mined], np.float32), np.array([m[1] for m in mined], bool)
    gold = int(correct.sum()) + missed
    threshold, found = best_threshold(scores, correct, gold)
    assert f1_at(threshold, scores, correct, gold).f1 == found.f1 or not mined
    best = max((f1_at(score, scores, correct, gold).f1 for score in scores), default=0)
    assert found.f1 == pytest.approx(best)
    higher = [score for score in set(scores.tolist()) if score > threshold]
    assert all(
        f1_at(score, scores, correct, gold).f1 < best for score in higher if score > scores[scores >= threshold].min()
    )


def test_a_threshold_lies_halfway_between_the_scores_that_it_parts() -> None:
    scores, correct = np.array([1.0, 1.5, 1.25, 2.0], np.float32), np.array([False, True, False, True])
    assert best_threshold(scores, correct, 2) == (1.375, Scores(2, 2, 2))


def test_a_threshold_never_parts_equal_scores() -> None:
    scores, correct = np.full(4, 1.25, np.float32), np.array([True, False, False, True])
    assert best_threshold(scores, correct, 2) == (1.25, Scores(2, 4, 2))


def test_a_threshold_between_neighbouring_floats_keeps_the_upper_one_only() -> None:
    for lower in np.float32(1) + np.arange(4, dtype=np.float32) * np.spacing(np.float32(1)):
        upper = np.nextafter(lower, np.float32(2))
        threshold, _ = best_threshold(np.array([upper, lower]), np.array([True, False]), 1)
        assert (np.array([upper, lower]) >= threshold).tolist() == [True, False]


def test_the_threshold_is_tuned_on_even_ids_and_judged_on_odd_ones(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore
) -> None:
    mined = [(0, 0, 1.5), (2, 2, 1.25), (4, 9, 1.0), (1, 1, 1.4), (3, 3, 1.2), (5, 8, 1.3), (7, 7, 1.05), (9, 4, 0.9)]
    result = evaluate_bitext(bitext_of(mined, corpora, store), *corpora, gold_of(0, 2, 1, 3, 7))
    assert result.threshold == 1.125
    assert result.held_out == Scores(correct=2, mined=3, gold=3)
    assert result.oracle == Scores(correct=5, mined=6, gold=5)
    assert result.oracle_threshold == pytest.approx((1.05 + 1.0) / 2)


def test_mined_pairs_of_sentences_that_are_in_no_gold_pair_count_against_precision(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore
) -> None:
    gold_only: Mined = [(0, 0, 1.5), (1, 1, 1.5)]
    wrong = [(row, row, 1.5) for row in range(2, 10)]
    assert evaluate_bitext(bitext_of(gold_only, corpora, store), *corpora, gold_of(0, 1)).held_out.f1 == 1
    result = evaluate_bitext(bitext_of(gold_only + wrong, corpora, store), *corpora, gold_of(0, 1))
    assert (result.held_out.precision, result.held_out.recall) == (0.2, 1)


def test_a_right_sentence_with_a_wrong_partner_is_not_correct(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore
) -> None:
    mined = [(0, 1, 1.5), (1, 0, 1.5)]
    assert evaluate_bitext(bitext_of(mined, corpora, store), *corpora, gold_of(0, 1)).oracle.correct == 0


def test_an_empty_bitext_scores_zero(corpora: tuple[Corpus, Corpus], store: ArtifactStore) -> None:
    result = evaluate_bitext(bitext_of([], corpora, store), *corpora, gold_of(0, 1, 2))
    assert (result.held_out, result.oracle) == (Scores(0, 0, 1), Scores(0, 0, 3))


def test_an_id_that_two_sentences_bear_is_named(corpora: tuple[Corpus, Corpus], store: ArtifactStore) -> None:
    twice = corpus_of(["a-1\tone sentence", "a-1\tanother sentence", "a-2\ta third"], "fra_Latn", store)
    with pytest.raises(InputError, match="'a-1' stands for two different sentences") as caught:
        evaluate_bitext(bitext_of([], corpora, store), twice, corpora[1], gold_of(0, 1))
    assert caught.value.code == "gold-mismatch"


@pytest.mark.parametrize(("src", "tgt"), [("deu-999", "eng-000"), ("deu-000", "eng-999"), ("eng-000", "deu-000")])
def test_a_gold_id_that_is_in_no_corpus_is_named(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, src: str, tgt: str
) -> None:
    with pytest.raises(InputError, match="is not in its corpus") as caught:
        evaluate_bitext(bitext_of([], corpora, store), *corpora, gold_of(0, 1) | {(src, tgt)})
    assert caught.value.code == "gold-mismatch"


@pytest.mark.parametrize("rows", [[0, 2, 4], [1, 3], [1]])
def test_gold_pairs_of_one_half_only_are_refused(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, rows: list[int]
) -> None:
    with pytest.raises(InputError, match="both even and odd") as caught:
        evaluate_bitext(bitext_of([(1, 1, 1.5), (2, 2, 1.4)], corpora, store), *corpora, gold_of(*rows))
    assert caught.value.code == "gold-too-small"


def test_copies_of_a_sentence_count_as_its_gold_pair(store: ArtifactStore) -> None:
    src = corpus_of(["d-0\tnull", "d-1\teins", "d-2\tnull", "d-3\tdrei"], "deu_Latn", store)
    tgt = corpus_of(["e-0\tzero", "e-1\tone", "e-2\tone", "e-3\tthree"], "eng_Latn", store)
    bitext = bitext_of([(0, 0, 1.5), (1, 1, 1.5)], (src, tgt), store)
    one_way = evaluate_bitext(bitext, src, tgt, {("d-2", "e-0"), ("d-1", "e-2")})
    assert one_way.oracle == Scores(2, 2, 2)
    repeated = {(src_id, "e-0") for src_id in ("d-0", "d-2")} | {("d-1", tgt_id) for tgt_id in ("e-1", "e-2")}
    assert evaluate_bitext(bitext, src, tgt, repeated).oracle == Scores(2, 2, 2)


@pytest.mark.parametrize(
    ("identifier", "row", "even"),
    [
        *(("de-000000010", 1, True), ("de-000000011", 0, False), ("doc7.s4", 1, True), ("4-x", 1, True)),
        *(("alpha", 0, True), ("alpha", 1, False), ("", 2, True)),
        *(("9" * 5000, 0, False), ("٤", 1, True)),
    ],
    ids=ascii,
)
def test_halves_go_by_the_last_number_of_the_id_or_by_the_row(identifier: str, row: int, even: bool) -> None:
    assert is_even(identifier, row) is even


@settings(deadline=None)
@given(
    mined=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), eighths), max_size=25, unique_by=lambda m: m[:2]),
    gold=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=2),
)
def test_the_oracle_is_never_below_the_held_out_threshold_on_all_gold(mined: Mined, gold: set[tuple[int, int]]) -> None:
    even = {0, 2, 4, 6}
    gold |= {(0, 0), (1, 1)}
    scores = np.array([m[2] for m in mined], np.float32)
    result = evaluate_pairs([m[:2] for m in mined], scores, gold, even)
    correct = np.array([m[:2] in gold for m in mined], bool)
    assert result.oracle.f1 >= f1_at(result.threshold, scores, correct, len(gold)).f1
    assert result.held_out.gold == sum(src % 2 for src, _ in gold)
    odd = [m for m in mined if m[0] % 2 and m[2] >= result.threshold]
    assert (result.held_out.mined, result.held_out.correct) == (len(odd), sum(m[:2] in gold for m in odd))


def test_gold_is_read_as_pairs_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "gold.tsv"
    for content in (b"d-1\te-1\nd-2\te-2\n", b"\xef\xbb\xbfd-1\te-1\r\nd-2\te-2", b"d-1\te-1\nd-2\te-2\nd-1\te-1\n"):
        path.write_bytes(content)
        assert read_gold(path) == {("d-1", "e-1"), ("d-2", "e-2")}


@pytest.mark.parametrize(
    ("place", "line"),
    [*itertools.product((1, 3), (b"d-9 e-9", b"d-9\t", b"\te-9", b"d-9\te-9\t1.0", b"d-\xff\te-9")), (1, b"")],
)
def test_a_malformed_gold_line_is_named_by_its_number(tmp_path: Path, place: int, line: bytes) -> None:
    lines = [b"d-1\te-1", b"d-2\te-2", b"d-3\te-3"]
    lines[place - 1] = line
    (tmp_path / "gold.tsv").write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(CorpusInputError, match=rf"gold\.tsv, line {place}: ") as caught:
        read_gold(tmp_path / "gold.tsv")
    assert caught.value.code == "invalid-corpus"


def test_a_gold_file_that_is_empty_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.tsv").touch()
    for name, code in (("empty.tsv", "empty-corpus"), ("missing.tsv", "file-not-found"), (".", "file-not-found")):
        with pytest.raises(CorpusInputError, match=name) as caught:
            read_gold(tmp_path / name)
        assert caught.value.code == code
        assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n \n"])
def test_blank_lines_may_end_the_gold_pairs(tmp_path: Path, end: str) -> None:
    path = tmp_path / "gold.tsv"
    path.write_text("a\tb\nc\td" + end)
    assert read_gold(path) == {("a", "b"), ("c", "d")}
    path.write_text("a\tb\n\nc\td\n")
    with pytest.raises(CorpusInputError, match="line 2"):
        read_gold(path)
