"""What a matrix report is made of: histograms of whatever margins there are, and a page that links to what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.matrix.histogram import BINS, margin_histogram
from bitextmine.matrix.page import report_page
from bitextmine.matrix.record import MatrixRecord, PairRecord, PairState, as_stopped
from tests.unit.bitexts import published

ONE = float(np.float32(1.1))


@pytest.mark.parametrize(
    "margins",
    [
        [ONE],
        [ONE, ONE, ONE],
        [float(np.nextafter(np.float32(ONE), np.float32(2))), ONE],
        [1.1000005, 1.1000002, 1.1],
        [-0.25, -0.25],
        [0.0],
        [1e9, 1e9],
        [1.9, 1.2, 0.3],
    ],
)
def test_a_histogram_counts_any_margins(tmp_path: Path, margins: list[float]) -> None:
    found = margin_histogram(published(ArtifactStore(tmp_path / "artifacts"), len(margins), margins))
    assert sum(found.counts) == len(margins)
    assert len(found.counts) == BINS
    assert found.edges == sorted(set(found.edges))
    assert len(found.edges) == BINS + 1
    lowest, highest = np.float32(min(margins)), np.float32(max(margins))
    assert found.edges[0] <= lowest + 1e-6
    assert found.edges[-1] >= highest - 1e-6


def test_margins_far_apart_are_counted_from_the_lowest_to_the_highest(tmp_path: Path) -> None:
    found = margin_histogram(published(ArtifactStore(tmp_path / "artifacts"), 3, [1.5, 1.25, 0.5]))
    assert (found.edges[0], found.edges[-1]) == (0.5, 1.5)
    assert [at for at, count in enumerate(found.counts) if count] == [0, 30, 39]


def record(*pairs: tuple[str, str]) -> MatrixRecord:
    corpus = {"lang": "deu_Latn", "sentences": 1, "to_embed": 1, "source": "a.txt"}
    names = {name for pair in pairs for name in pair}
    return MatrixRecord(
        matrix="0" * 32,
        encoder="muse",
        parameters={},
        plan={},
        corpora=dict.fromkeys(sorted(names), corpus),
        pairs=[PairRecord(src, tgt, "deu_Latn", "eng_Latn", 1.0) for src, tgt in pairs],
        started="2026-01-01T00:00:00",
    )


def test_each_pair_has_an_anchor_of_its_own() -> None:
    page = report_page(record(("a", "b--c"), ("a--b", "c"), ("a-", "-b"), ("a--", "b")).as_json())
    anchors = re.findall(r"<section id='([^']+)'", page)
    assert len(set(anchors)) == 4
    assert set(re.findall(r"href='#([^']+)'", page)) == set(anchors)


def states(found: dict[str, Any]) -> list[str]:
    return [str(pair["state"]) for pair in found["pairs"]]


def test_what_a_killed_process_left_is_shown_as_stopped() -> None:
    ended = record(("a", "b"), ("a", "c"), ("b", "c"))
    ended.pairs[0].state, ended.pairs[1].state = PairState.RUNNING, PairState.FAILED
    left = ended.as_json()
    shown = as_stopped(left)
    assert states(left) == ["running", "failed", "waiting"]
    assert states(shown) == ["waiting", "failed", "waiting"]
    assert shown["counts"] == {"waiting": 2, "running": 0, "done": 0, "failed": 1}
    assert "Under way, as of 20" in report_page(left)
    assert "Stopped before all was done" in report_page(shown)
    ended.stop()
    assert {**ended.as_json(), "written": ""} == {**shown, "written": ""}
