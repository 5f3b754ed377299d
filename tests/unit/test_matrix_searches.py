"""How the pairs of a matrix run are searched: chosen once, whatever the machine is like when the run goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.calibration import default_calibration
from bitextmine.cli.console import resources
from bitextmine.corpus import Corpus
from bitextmine.corpus.corpus import KIND as CORPUS
from bitextmine.costs import SearchSize
from bitextmine.embeddings import KIND as EMBEDDINGS
from bitextmine.embeddings import VECTORS
from bitextmine.encoders import Encoder
from bitextmine.encoders.card import Precision
from bitextmine.encoders.precision import add_precision
from bitextmine.errors import ArtifactError, ParameterError
from bitextmine.matrix import Machine, MatrixCorpus, MatrixParameters, MatrixPlan, PairChoice, name_matrix, plan_matrix
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.searches import FILE, Search, keep_searches, read_searches
from bitextmine.mining import MiningParameters
from bitextmine.planner import make_plan
from bitextmine.resources import Resources
from bitextmine.search.gpu import gpu_count
from bitextmine.search.index_spec import CodeKind
from bitextmine.search.method import Method
from tests.tiny_encoder import build_tiny_encoder
from tests.tiny_transformer import build_tiny_transformer

GB = 10**9
ROWS, DIMS = 10_000_000, 512
PAIR = ("de", "en")
LARGE = SearchSize(ROWS, ROWS, DIMS, 4)
LIKE_OURS = default_calibration()
CELLS, INDEXES = Resources(4, 30 * GB), Resources(4, 26 * GB)  # with which the one is chosen, and the other
ALL, ON_A_GPU = Resources(8, 60 * GB), replace(INDEXES, gpus=1)


class Place:
    """A run of two corpora of any size, of which nobody looks at a sentence."""

    def __init__(self, root: Path, encoder: Encoder) -> None:
        self.store, self.encoder, self.parameters = ArtifactStore(root / "artifacts"), encoder, MatrixParameters()
        self.corpora = [self.corpus("de", "deu_Latn"), self.corpus("en", "eng_Latn")]
        self.directory = root / "matrices" / self.asked_name

    def corpus(self, name: str, lang: str, rows: int = ROWS) -> MatrixCorpus:
        key = ArtifactKey(CORPUS, {"lang": lang, "source": name, "shard_rows": rows}, {})
        with self.store.publish(key) as staging:
            staging.summary |= {"sentences": rows, "lines": rows, "refused": {}, "shards": [name * 16]}
        artifact = self.store.find(key)
        assert artifact is not None
        return MatrixCorpus(name, Corpus(artifact))

    @property
    def asked_name(self) -> str:
        return name_matrix(self.corpora, PairChoice(), self.encoder, self.parameters).digest

    def plan(self, task: Resources, together: Resources | None = None) -> MatrixPlan:
        machine = Machine(task=task, together=together, rates=LIKE_OURS, measure=False)
        return plan_matrix(
            self.corpora, PairChoice(), self.encoder, self.parameters, self.store, machine, self.directory
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, build_tiny_encoder(tmp_path / "encoders" / "tiny", DIMS))


def test_what_is_chosen_depends_on_the_machine(place: Place) -> None:
    """Without this the other tests would show nothing."""
    found = [place.plan(limits).pairs[0].search for limits in (CELLS, INDEXES, ALL, ON_A_GPU)]
    assert [search.method for search in found] == [Method.IVF, Method.IVFPQ, Method.EXACT, Method.IVFPQ]
    assert found[1].parameters != found[3].parameters, "GPUs get other codes"


@pytest.mark.parametrize("first", [INDEXES, ON_A_GPU], ids=["cpu", "gpu"])
def test_a_run_goes_on_with_the_searches_that_it_began_with(place: Place, first: Resources) -> None:
    began = place.plan(first)
    keep_searches(began.searches, place.directory)
    for limits in (CELLS, INDEXES, ALL, ON_A_GPU, Resources(1, 5 * GB)):
        plan = place.plan(limits)
        assert plan.digest == began.digest == place.directory.name
        search = plan.pairs[0].search
        assert search.parameters == began.pairs[0].search.parameters
        assert (search.reason, search.memory_bytes) == (began.pairs[0].search.reason, limits.memory_bytes)
        assert search.index_gpus == (limits.gpus if first is ON_A_GPU else 0), "GPUs read only what is made for them"


def test_a_search_that_no_longer_fits_says_what_to_do(place: Place) -> None:
    keep_searches(place.plan(CELLS).searches, place.directory)
    with pytest.raises(ParameterError, match=r"de with en: .* this run was begun by ivf: give it that memory") as error:
        place.plan(INDEXES)
    assert error.value.code == "memory-too-small"
    assert f"delete {place.directory / FILE}" in str(error.value)
    (place.directory / FILE).unlink()
    assert place.plan(INDEXES).pairs[0].search.method is Method.IVFPQ


@pytest.mark.parametrize("processes", [2, 4])
def test_searches_are_chosen_by_what_all_processes_share(place: Place, processes: int) -> None:
    for whole in (CELLS, INDEXES, ALL, ON_A_GPU):
        one = replace(whole, threads=whole.threads // processes, memory_bytes=whole.memory_bytes // processes)
        alone, shared = (plan.pairs[0].search for plan in (place.plan(whole), place.plan(one, whole)))
        assert shared.parameters == alone.parameters
        assert shared.threads == one.threads
        fits = shared.chosen.memory_bytes <= one.memory_bytes
        assert shared.memory_bytes == (one if fits else whole).memory_bytes
    assert place.plan(replace(one, memory_bytes=2 * GB), CELLS).pairs[0].search.memory_bytes == CELLS.memory_bytes


def test_searches_are_kept_once(place: Place) -> None:
    exact, cells = Search(Method.EXACT, "small"), Search(Method.IVF, "large")
    keep_searches({PAIR: exact}, place.directory)
    keep_searches({PAIR: replace(exact, reason="in other words")}, place.directory)
    assert read_searches(place.directory) == {PAIR: exact}
    with pytest.raises(ParameterError, match="begun elsewhere by exact"):
        keep_searches({PAIR: cells}, place.directory)
    assert read_searches(place.directory) == {PAIR: exact}
    assert read_searches(place.directory / "none") == {}


@pytest.mark.parametrize("gpus", [0, 1])
@pytest.mark.parametrize("method", [Method.EXACT, Method.IVF, Method.IVFPQ])
def test_searches_travel_as_json(method: Method, gpus: int) -> None:
    plan = make_plan(LARGE, Resources(4, 1 << 40, gpus), LIKE_OURS, method=method)
    search = Search.of(plan)
    assert Search.from_json(json.loads(json.dumps(search.as_json()))) == search
    assert plan.index_gpus == gpus


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"3",
        b'["de"]',
        b'[{"src": "de", "tgt": "en"}]',
        b'[{"src": "de", "tgt": "en", "method": "auto", "reason": ""}]',
        b'[{"src": "de", "tgt": "en", "method": "best", "reason": ""}]',
        b'[{"src": "de", "tgt": "en", "method": "ivfpq", "reason": ""}]',
        b'[{"src": "de", "tgt": "en", "method": "ivfpq", "reason": "", "indexes": [{"kind": "pq"}, {"kind": "pq"}]}]',
        b"\xff",
    ],
    ids=range(9),
)
def test_what_cannot_be_read_is_named(place: Place, content: bytes) -> None:
    place.directory.mkdir(parents=True)
    (place.directory / FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{FILE} cannot be read: .*; delete "):
        place.plan(Resources(4, 1 << 40))


# --- what a plan looks at, and on which machine


def test_a_damaged_embedding_of_another_corpus_is_passed_over(place: Place) -> None:
    """Two shards of the encoder's, of which one is damaged: the other tells the rate."""
    keys = [ArtifactKey(EMBEDDINGS, {"encoder": place.encoder.signature}, {"sentences": name}) for name in ("a", "b")]
    for key in keys:
        with place.store.publish(key) as staging:
            (staging.path / VECTORS).write_bytes(b"vectors")
            staging.summary |= {"rows": 100, "seconds": 2.0}
    (place.store.path(EMBEDDINGS, keys[1].digest) / VECTORS).write_bytes(b"")
    machine = Machine(task=Resources(4, 1 << 40))
    plan = plan_matrix(
        place.corpora, PairChoice(), place.encoder, place.parameters, place.store, machine, place.directory
    )
    assert plan.rate == 50.0


def test_a_plan_encodes_nothing_where_it_shall_not(place: Place) -> None:
    plan = place.plan(Resources(4, 1 << 40))
    assert not place.encoder.loaded
    assert (plan.rate, plan.as_json()["embed_seconds"]) == (None, None)
    known = Machine(task=Resources(4, 1 << 40), encoding=1000.0, measure=False)
    asked: Any = (place.corpora, PairChoice(), place.encoder, place.parameters)
    figures = plan_matrix(*asked, place.store, known, place.directory).as_json()
    assert (figures["sentences_per_second"], figures["embed_seconds"]) == (1000.0, 2 * ROWS / 1000)


def test_a_run_that_is_not_planned_is_checked_all_the_same(place: Place) -> None:
    place.corpora[1] = place.corpus("en", "eng_Latn", rows=3)
    matrix = name_matrix(place.corpora, PairChoice(), place.encoder, place.parameters)
    assert matrix.pairs == (PAIR,)
    with pytest.raises(ParameterError, match="de with en: k=4") as error:
        matrix.check(place.encoder, place.parameters)
    assert error.value.code == "k-too-large"
    matrix.check(place.encoder, MatrixParameters(mining=MiningParameters(k=3)))


def test_tasks_encode_in_the_precision_that_the_command_has_chosen(tmp_path: Path) -> None:
    directory = tmp_path / "encoders" / "tiny"
    build_tiny_transformer(directory)
    add_precision(directory, Precision.INT8, report=lambda line: None)
    bench = Bench(
        root=str(tmp_path),
        encoders=str(tmp_path / "encoders"),
        encoder="tiny",
        log="",
        threads=1,
        memory_bytes=1,
        provider="cpu",
    )
    sent = bench.with_precision()
    assert (bench.precision, sent.precision) == (None, "int8")
    assert sent.open_encoder().signature == bench.open_encoder().signature


@pytest.mark.skipif(gpu_count() > 0, reason="this is about machines without a GPU")
def test_gpus_of_other_machines_are_not_looked_for_here() -> None:
    assert resources(1, "1GB", 2, here=False).gpus == 2
    with pytest.raises(ParameterError, match="FAISS sees 0"):
        resources(1, "1GB", 2)


def test_codes_of_every_kind_are_told_from_those_that_gpus_read() -> None:
    plan = make_plan(LARGE, Resources(4, 1 << 40, 2), LIKE_OURS, method=Method.IVFPQ)
    for kind, gpus in {CodeKind.PQ: 2, CodeKind.OPQ_PQ: 2, CodeKind.RABITQ: 0, CodeKind.PQ_FASTSCAN: 0}.items():
        specs = (plan.specs[0], replace(plan.specs[1], kind=kind))
        assert replace(plan, specs=specs).index_gpus == gpus
