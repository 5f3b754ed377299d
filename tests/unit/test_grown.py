"""A corpus grew: only what is new is embedded and searched, and the bitext is that of mining from scratch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bitextmine.corpus import CorpusFile, ingest
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.margin import Retrieval
from bitextmine.mining import MiningParameters
from bitextmine.search.method import Method
from bitextmine.search.stored import KIND as NEIGHBORS
from tests.tiny_encoder import build_tiny_encoder
from tests.unit.grown_place import PARAMETERS, CountingEncoder, Place, assert_same, flip, neighbors_of, sentences


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.fixture
def encoder(directory: Path) -> CountingEncoder:
    encoder = CountingEncoder.open(directory)
    assert isinstance(encoder, CountingEncoder)
    encoder.calls = []
    return encoder


@pytest.mark.parametrize("appended", [True, False])
@pytest.mark.parametrize(
    "sizes",
    [
        [(40, 50), (44, 55)],
        [(40, 50), (44, 50)],  # one side only
        [(40, 50), (40, 55)],
        [(16, 32), (17, 48), (60, 49)],  # from and to where a shard is full
        [(20, 20), (21, 20), (21, 23), (50, 40), (52, 47)],  # several times
        [(3, 3), (90, 80)],  # as many as there are neighbours
    ],
)
def test_mining_what_grew_equals_mining_from_scratch(
    tmp_path: Path, encoder: CountingEncoder, sizes: list[tuple[int, int]], appended: bool
) -> None:
    place, corpora, bitexts = Place(tmp_path / "grown"), None, []
    for each in sizes:
        corpora = place.both(each, corpora if appended else None)
        bitexts.append(place.mine(corpora, encoder))
    assert sum(encoder.calls) == sum(sizes[-1]), "each sentence is encoded once"
    other = Place(tmp_path / "scratch")
    scratch = other.mine(other.both(sizes[-1]), encoder)
    if appended:  # else the bitext is named as the other is, and its files' names and lines are the same
        assert corpora is not None
        texts = [(pair.src, pair.tgt, pair.margin, pair.src_mean, pair.tgt_mean) for pair in bitexts[-1].pairs()]
        assert texts == [(pair.src, pair.tgt, pair.margin, pair.src_mean, pair.tgt_mean) for pair in scratch.pairs()]
        assert neighbors_of(place, bitexts[-1]) == neighbors_of(other, scratch)
    else:
        assert_same(place, bitexts[-1], other, scratch)
    products = [n * m for n, m in sizes]
    assert place.searched == [products[0], *(b - a for a, b in pairwise(products))]
    reused = place.store.open(NEIGHBORS, bitexts[-1].artifact.manifest["inputs"]["neighbors"])
    assert reused is not None
    assert (reused.summary["reused"]["src_rows"], reused.summary["reused"]["tgt_rows"]) == sizes[-2]


def test_the_largest_of_several_former_versions_is_used(tmp_path: Path, encoder: CountingEncoder) -> None:
    place = Place(tmp_path / "grown")
    first = place.both((30, 30))
    second = place.both((30, 40), first)
    third = place.both((45, 40), second)
    place.mine(first, encoder)
    place.mine(third, encoder)
    place.mine(second, encoder)
    assert place.searched == [900, 45 * 40 - 900, 300], "a smaller one does not use a larger one"
    fourth = place.both((46, 41), third)
    place.mine(fourth, encoder)
    assert place.searched[-1] == 46 * 41 - 45 * 40


@pytest.mark.parametrize(
    "parameters",
    [
        replace(PARAMETERS, k=4),
        replace(PARAMETERS, method=Method.IVF),
        replace(PARAMETERS, postprocess=PostProcessing.parse("centre")),
    ],
)
def test_what_would_be_another_search_is_done_from_scratch(
    tmp_path: Path, encoder: CountingEncoder, parameters: MiningParameters
) -> None:
    place, other = Place(tmp_path / "grown"), Place(tmp_path / "scratch")
    first = place.both((60, 50))
    place.mine(first, encoder)
    place.mine(first, encoder, replace(parameters, k=3))
    grown = place.mine(place.both((66, 55)), encoder, parameters)
    assert_same(place, grown, other, other.mine(other.both((66, 55)), encoder, parameters))
    neighbors = place.store.open(NEIGHBORS, grown.artifact.manifest["inputs"]["neighbors"])
    assert neighbors is not None
    assert neighbors.summary["reused"] == {"neighbors": "", "src_rows": 0, "tgt_rows": 0}


def test_another_order_of_the_same_sentences_is_another_corpus(tmp_path: Path, encoder: CountingEncoder) -> None:
    place = Place(tmp_path / "grown")
    place.mine(place.both((40, 50)), encoder)
    path = place.folder / "deu.txt"
    lines = sentences("deu_Latn", 0, 44)
    path.write_text("\n".join([*lines[:39], lines[40], lines[39], *lines[41:]]) + "\n", encoding="utf-8")
    changed = ingest(CorpusFile(path, "deu_Latn"), place.store, shard_rows=16)
    place.mine((changed, place.both((40, 50))[1]), encoder)
    assert place.searched == [2000, 44 * 50]


@pytest.mark.parametrize("retrieval", list(Retrieval))
def test_so_it_is_for_every_retrieval(tmp_path: Path, encoder: CountingEncoder, retrieval: Retrieval) -> None:
    parameters = replace(PARAMETERS, retrieval=retrieval)
    place, other = Place(tmp_path / "grown"), Place(tmp_path / "scratch")
    place.mine(place.both((40, 50)), encoder)
    grown = place.mine(place.both((44, 55)), encoder, parameters)
    assert place.searched[-1] == 44 * 55 - 2000, "the neighbours serve every retrieval"
    assert_same(place, grown, other, other.mine(other.both((44, 55)), encoder, parameters))


@pytest.mark.parametrize("retrieval", [Retrieval.FORWARD, Retrieval.MAX_SCORE])
@pytest.mark.parametrize("threshold", [None, 1.05])
def test_what_changed_is_what_a_comparison_pair_by_pair_finds(
    tmp_path: Path, encoder: CountingEncoder, retrieval: Retrieval, threshold: float | None
) -> None:
    parameters = replace(PARAMETERS, retrieval=retrieval, threshold=threshold)
    place = Place(tmp_path / "grown")
    place.mine(place.both((40, 50)), encoder, replace(parameters, ceiling=2.0))  # of other parameters
    first = place.mine(place.both((40, 50)), encoder, parameters)
    grown = place.mine(place.both((70, 80)), encoder, parameters)
    before, after = ({(p.src, p.tgt): p.margin for p in each.pairs()} for each in (first, grown))
    new = {*sentences("deu_Latn", 40, 70), *sentences("eng_Latn", 50, 80)}
    kept = before.keys() & after.keys()
    expected = {
        "since": first.digest,
        "added": len(after.keys() - kept),
        "added_of_new": sum(bool(new & set(pair)) for pair in after.keys() - kept),
        "removed": len(before.keys() - kept),
        "rescored": sum(before[pair] != after[pair] for pair in kept),
        "unchanged": sum(before[pair] == after[pair] for pair in kept),
    }
    assert grown.summary["changes"] == expected
    assert min(expected[name] for name in ("added", "added_of_new", "rescored")) > 0, "or nothing is tested"
    assert grown.summary["reused"] == {
        "neighbors": first.artifact.manifest["inputs"]["neighbors"],
        "src_rows": 40,
        "tgt_rows": 50,
    }


def test_without_a_former_bitext_nothing_is_said_of_changes(tmp_path: Path, encoder: CountingEncoder) -> None:
    place = Place(tmp_path / "grown")
    first = place.mine(place.both((40, 50)), encoder)
    assert not first.summary.keys() & {"changes", "reused"}
    place.store.delete("bitext", first.digest)
    assert "changes" not in place.mine(place.both((44, 50)), encoder).summary
    flip(place.mine(place.both((44, 51)), encoder).path)
    again = place.mine(place.both((45, 52)), encoder)
    assert "changes" not in again.summary, "the former one is damaged"
    assert again.summary["reused"]["tgt_rows"] == 51


def test_a_bitext_without_pairs_can_grow(tmp_path: Path, encoder: CountingEncoder) -> None:
    place, parameters = Place(tmp_path / "grown"), replace(PARAMETERS, threshold=1e6)
    place.mine(place.both((40, 50)), encoder, parameters)
    grown = place.mine(place.both((44, 55)), encoder, parameters)
    assert {name: count for name, count in grown.summary["changes"].items() if name != "since"} == {
        "added": 0,
        "added_of_new": 0,
        "removed": 0,
        "rescored": 0,
        "unchanged": 0,
    }
