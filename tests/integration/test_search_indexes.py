"""Indexes of corpora against a running service: made by jobs, used by searches, gone with their corpora."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bitextmine.online.searchable import SCANNED_ROWS
from tests.integration.searching import found, hits, index, search, searchable_service
from tests.integration.service import ENCODER, Api, Service, numbered, problem, text_of

LARGE = SCANNED_ROWS + 1


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with searchable_service(tmp_path_factory.mktemp("search")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def test_an_index_job_says_what_it_made(api: Api) -> None:
    assert api.succeeded(index(api, "fr")) == {"corpus": "fr", "encoder": ENCODER, "sentences": 30, "indexed": False}
    assert api.http.get("/v1/corpora/fr/indexes").json() == {
        "items": [
            {
                "encoder": ENCODER,
                "sentences": 30,
                "dims": 32,
                "indexed": False,
                "searchable": True,
                "kind": None,
                "cells": None,
                "probes": None,
                "bytes": None,
            }
        ]
    }
    assert api.http.get("/v1/corpora/raw/indexes").json() == {"items": []}
    problem(api.http.get("/v1/corpora/none/indexes"), 404, "corpus-not-found")
    problem(index(api, "none"), 404, "corpus-not-found")
    problem(index(api, "en", encoder="labse"), 404, "encoder-not-installed")
    problem(index(api, "en", kind="flat"), 422, "invalid-request")


def test_a_language_that_the_encoder_does_not_know_is_indexed_on_request_only(api: Api) -> None:
    api.succeeded(api.upload("sw", numbered("nyumba", 10), "swh"))
    problem(index(api, "sw"), 422, "language-not-covered")
    api.succeeded(index(api, "sw", allow_uncovered_languages=True))
    assert hits(search(api, "nyumba 3", corpora=["sw"], lang="swh", allow_uncovered_languages=True, k=1))


def test_changes_of_a_corpus_are_noticed_at_once(api: Api) -> None:
    api.succeeded(api.upload("coming", numbered("See", 10), "deu"))
    problem(search(api, "See 3", corpora=["coming"]), 409, "corpus-not-embedded")
    api.succeeded(index(api, "coming"))
    assert len(hits(search(api, "See 3", corpora=["coming"], k=50))) == 10
    assert api.http.delete("/v1/corpora/coming").status_code == 204
    problem(search(api, "See 3", corpora=["coming"]), 404, "corpus-not-found")
    api.succeeded(api.upload("coming", numbered("Karte", 12), "deu"))
    problem(search(api, "Karte 3", corpora=["coming"]), 409, "corpus-not-embedded")
    api.succeeded(index(api, "coming"))
    listed = hits(search(api, "Karte 3", corpora=["coming"], k=50))
    assert len(listed) == 12
    assert all("Karte" in hit["text"] for hit in listed)


def test_a_large_corpus_is_searched_by_its_index(running: Service, api: Api) -> None:
    rng = np.random.default_rng(3)
    words = ["museum", "lake", "map", "station", "weather", "book", "city", "plan", "today", "fine", "bought", "three"]
    texts = [f"{' '.join(rng.choice(words, 9))} {n}" for n in range(LARGE)]
    api.succeeded(api.upload("large", text_of(*texts), "eng"))
    with running.worker_paused():
        accepted = index(api, "large")
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['id']}"
        problem(api.http.delete("/v1/corpora/large"), 409, "corpus-in-use")
    result = api.succeeded(accepted)
    assert result["indexed"]
    assert result["sentences"] == LARGE
    (listed,) = api.http.get("/v1/corpora/large/indexes").json()["items"]
    assert listed["indexed"]
    assert listed["searchable"]
    assert listed["cells"] == result["cells"] > listed["probes"]
    assert listed["bytes"] == result["bytes"] > 0

    wanted = texts[::1000]
    quick = found(search(api, *wanted, corpora=["large"], lang="de", k=5))
    exact = found(search(api, *wanted, corpora=["large"], lang="de", k=5, exact=True))
    assert (quick["searched"][0]["exact"], exact["searched"][0]["exact"]) == (False, True)
    by_row = [
        [{hit["row"]: hit["cosine"] for hit in result["hits"]} for result in answer["results"]]
        for answer in (quick, exact)
    ]
    shared = [one.keys() & other.keys() for one, other in zip(*by_row, strict=True)]
    assert np.mean([len(rows) / 5 for rows in shared]) > 0.5  # vectors of 32 dimensions give codes of 4 bytes
    assert all(row * 1000 in other for row, other in enumerate(by_row[1]))
    assert np.mean([row * 1000 in one for row, one in enumerate(by_row[0])]) > 0.8
    for one, other, rows in zip(*by_row, shared, strict=True):
        assert all(one[row] == pytest.approx(other[row], abs=1e-6) for row in rows)
        assert max(one.values()) <= max(other.values())
    few = search(api, wanted[3], corpora=["large"], filter={"doc_ids": ["none"]})
    assert hits(few) == []
    problem(search(api, wanted[0], corpora=["de"], background="large", lang="de"), 422, "background-language")
    assert found(search(api, wanted[0], corpora=["de"], lang="en"))["searched"][0]["background"] == "en"  # it was mined
    assert found(search(api, wanted[0], corpora=["fr"], lang="en"))["searched"][0]["background"] == "large"

    artifacts = running.data_dir / "artifacts"
    assert all(any((artifacts / kind).iterdir()) for kind in ("search-index", "index", "index-training"))
    assert api.http.delete("/v1/corpora/large").status_code == 204
    assert not any(any((artifacts / kind).iterdir()) for kind in ("search-index", "index", "index-training"))
    wait_for_files_to_go(api, running.data_dir)


def wait_for_files_to_go(api: Api, data_dir: Path) -> None:
    """The API keeps no deleted file open for longer than some seconds of requests."""
    deadline = time.monotonic() + 30
    process = Path(f"/proc/{api.process.pid}/maps")
    while "(deleted)" in process.read_text(encoding="utf-8", errors="replace") and time.monotonic() < deadline:
        hits(search(api, "Haus 3", corpora=["en"], k=1))
        time.sleep(0.2)
    lines = process.read_text(encoding="utf-8", errors="replace").splitlines()
    assert not [line for line in lines if "(deleted)" in line and str(data_dir) in line]
