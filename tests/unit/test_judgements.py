"""Judgements: kept whole, by many at once, of pairs that are there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.errors import ArtifactError, NotFoundError, ParameterError
from bitextmine.judgements import Judgements, Verdict
from tests.unit.bitexts import ROWS, published


@pytest.fixture
def bitext(tmp_path: Path) -> Bitext:
    return published(ArtifactStore(tmp_path / "artifacts"))


@pytest.fixture
def judgements(tmp_path: Path, bitext: Bitext) -> Judgements:
    return Judgements(tmp_path / "judgements", bitext.digest)


def rows(n: int) -> tuple[int, int]:
    return n, ROWS - 1 - n


def test_verdicts_are_kept_changed_and_taken_back(bitext: Bitext, judgements: Judgements) -> None:
    assert judgements.all() == []
    judgements.judge(bitext, {rows(5): Verdict.BAD, rows(2): Verdict.GOOD})
    judgements.judge(bitext, {rows(5): Verdict.GOOD, rows(8): Verdict.BAD})
    found = judgements.judge(bitext, {rows(2): None, rows(3): None})
    assert [(each.rows, each.verdict) for each in found] == [(rows(5), Verdict.GOOD), (rows(8), Verdict.BAD)]
    assert judgements.all() == found
    (pair,) = bitext.pairs(5, 1)
    assert (found[0].src, found[0].tgt) == (pair.src, pair.tgt)
    assert found[0].margin == pytest.approx(pair.margin, abs=1e-6)
    judgements.forget()
    judgements.forget()
    assert judgements.all() == []


@pytest.mark.parametrize("absent", [(0, 0), (ROWS, ROWS), (1 << 52, 0)])
def test_of_a_pair_that_is_not_there_nothing_is_said(
    bitext: Bitext, judgements: Judgements, absent: tuple[int, int]
) -> None:
    with pytest.raises(NotFoundError, match=f"src_row {absent[0]}") as caught:
        judgements.judge(bitext, {rows(1): Verdict.GOOD, absent: Verdict.GOOD})
    assert caught.value.code == "pair-not-found"
    assert judgements.all() == []


def test_there_is_a_most(bitext: Bitext, judgements: Judgements, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitextmine.judgements.MOST_JUDGEMENTS", 2)
    kept = judgements.judge(bitext, {rows(0): Verdict.GOOD, rows(1): Verdict.GOOD})
    with pytest.raises(ParameterError, match="at most 2") as caught:
        judgements.judge(bitext, {rows(2): Verdict.GOOD})
    assert caught.value.code == "too-many-judgements"
    assert judgements.all() == kept
    assert len(judgements.judge(bitext, {rows(2): Verdict.GOOD, rows(0): None})) == 2


def test_verdicts_that_come_at_once_are_all_kept(bitext: Bitext, judgements: Judgements) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: judgements.judge(bitext, {rows(n): Verdict.GOOD}), range(ROWS)))
    assert [each.rows for each in judgements.all()] == [rows(n) for n in range(ROWS)]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"verdict": "good"}]', b"\xff", b"7", b'[{"verdict": "x"}]'])
def test_a_damaged_file_is_named_and_left_as_it_is(
    bitext: Bitext, judgements: Judgements, tmp_path: Path, content: bytes
) -> None:
    judgements.judge(bitext, {rows(0): Verdict.GOOD})
    (file,) = (tmp_path / "judgements").iterdir()
    file.write_bytes(content)
    for work in (judgements.all, lambda: judgements.judge(bitext, {rows(1): Verdict.BAD})):
        with pytest.raises(ArtifactError, match=file.name):
            work()
    assert file.read_bytes() == content
