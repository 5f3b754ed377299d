"""A precision in place of a threshold: mining jobs, and `mine --server`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine.cli import run
from tests.integration.service import ENCODER, Api, Service, problem, service_with_corpora, text_of
from tests.shuffled_words import sentences, translated

TRANSLATED, ROWS = 300, 600


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Half of the sentences of both corpora have a partner."""
    ours, others = sentences(1, ROWS), sentences(2, ROWS - TRANSLATED)
    with service_with_corpora(tmp_path_factory.mktemp("precision")) as started:
        theirs = [*map(translated, ours[:TRANSLATED]), *others]
        started.api.succeeded(started.api.upload("half-de", text_of(*ours), "de"))
        started.api.succeeded(started.api.upload("half-en", text_of(*theirs), "en"))
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def test_a_job_chooses_the_threshold_and_says_what_it_promises(api: Api) -> None:
    result = api.succeeded(api.mine("half-de", "half-en", precision=0.9))
    chosen = result["threshold"]
    assert chosen["low"] <= 0.9 <= chosen["precision"] <= chosen["high"]
    assert result["pairs"] == chosen["pairs"] > 100
    pairs = api.http.get(f"/v1/bitexts/{result['bitext']}/pairs", params={"limit": 1000}).json()["items"]
    assert min(pair["margin"] for pair in pairs) >= chosen["threshold"]
    right = sum(pair["tgt"] == translated(pair["src"]) for pair in pairs)
    assert right / len(pairs) >= chosen["low"] > 0.6
    assert result["bitext"] == api.succeeded(api.mine("half-de", "half-en", threshold=chosen["threshold"]))["bitext"]


def test_a_precision_that_cannot_be_promised_fails_the_job(api: Api) -> None:
    assert api.failed(api.mine("de", "en", precision=0.9))["code"] == "precision-unknown"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"precision": 0.9, "threshold": 1.0}, "invalid-threshold"),
        ({"precision": 0.9, "documents": "restrict"}, "invalid-parameter"),
        ({"precision": 1}, "invalid-request"),
        ({"precision": 0}, "invalid-request"),
        ({"precision": "0.9"}, "invalid-request"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(api: Api, wanted: dict[str, object], code: str) -> None:
    problem(api.mine("half-de", "half-en", **wanted), 422, code)


def test_mine_on_a_server_says_which_threshold_was_chosen(
    api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["mine", "half-de", "half-en", "--encoder", ENCODER, "--server", api.url, "--precision", "0.9"]
    assert run([*command, "-o", str(tmp_path / "pairs.tsv")]) == 0
    said = capfd.readouterr().err
    pairs = (tmp_path / "pairs.tsv").read_text().splitlines()
    assert said.startswith("threshold 1.")
    assert f"{len(pairs)} pairs; intervals hold" in said
    assert run([*command, "--precision", "fp32"]) == 2
    assert "--precision: not with --server" in capfd.readouterr().err
