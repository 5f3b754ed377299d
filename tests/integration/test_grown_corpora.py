"""Corpora that grow over HTTP and on the command line: mined again they give what mining from scratch gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import PAIRS
from bitextmine.search.stored import KIND as NEIGHBORS
from tests.integration.service import ENCODER, Api, Service, numbered, service

SIZES = {"de": (40, 70), "en": (50, 80)}
WORDS = {"de": "Haus", "en": "house"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("grown")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("fresh")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


def lines(name: str, start: int, stop: int) -> bytes:
    return b"".join(numbered(WORDS[name], stop).splitlines(keepends=True)[start:])


def upload(api: Api) -> None:
    for name, (first, _) in SIZES.items():
        api.succeeded(api.upload(name, lines(name, 0, first), name))


def append(api: Api, name: str) -> None:
    content = lines(name, *SIZES[name])
    api.succeeded(api.http.post(f"/v1/corpora/{name}/append", params={"filename": "more.txt"}, content=content))


def files(place: Service, bitext: str) -> dict[str, bytes]:
    """All that was searched and found for a bitext."""
    artifact = ArtifactStore(place.data_dir / "artifacts").open("bitext", bitext)
    assert artifact is not None
    neighbors = artifact.path.parents[1] / NEIGHBORS / artifact.manifest["inputs"]["neighbors"]
    return {path.name: path.read_bytes() for path in (artifact.path / PAIRS, *sorted(neighbors.glob("*.npy")))}


def test_mining_again_after_appends_gives_what_a_fresh_service_finds(running: Service, fresh: Service) -> None:
    upload(running.api)
    first = running.api.succeeded(running.api.mine("de", "en"))
    append(running.api, "de")
    between = running.api.succeeded(running.api.mine("de", "en"))
    append(running.api, "en")
    grown = running.api.succeeded(running.api.mine("de", "en"))
    upload(fresh.api)
    append(fresh.api, "de")
    append(fresh.api, "en")
    scratch = fresh.api.succeeded(fresh.api.mine("de", "en"))
    assert files(running, grown["bitext"]) == files(fresh, scratch["bitext"])
    assert not {"reused", "changes"} & (first.keys() | scratch.keys())
    assert (between["reused"]["src_rows"], between["reused"]["tgt_rows"]) == (40, 50)
    assert (grown["reused"]["src_rows"], grown["reused"]["tgt_rows"]) == (70, 50)
    assert between["changes"]["since"] == first["bitext"]
    assert grown["changes"]["since"] == between["bitext"]
    counts = grown["changes"]
    assert counts["added"] + counts["rescored"] + counts["unchanged"] == grown["pairs"]
    assert counts["removed"] + counts["rescored"] + counts["unchanged"] == between["pairs"]
    shown: dict[str, Any] = running.api.http.get(f"/v1/bitexts/{grown['bitext']}").raise_for_status().json()
    assert shown["changes"] == counts
    assert shown["reused"] == grown["reused"]
    alone = fresh.api.http.get(f"/v1/bitexts/{scratch['bitext']}").raise_for_status().json()
    assert (alone["reused"], alone["changes"]) == (None, None)


def test_a_corpus_that_is_deleted_and_uploaded_again_is_mined_all_the_same(running: Service, tmp_path: Path) -> None:
    """The neighbours outlive a corpus; what they were found of is gone, so that nothing is known of its beginning."""
    api = running.api
    for name in ("a", "b"):
        api.succeeded(api.upload(name, numbered(f"Wort{name}", 30), "deu"))
    api.succeeded(api.mine("a", "b"))
    assert api.http.delete("/v1/corpora/a").status_code == 204
    api.succeeded(api.upload("a", numbered("Worta", 33), "deu"))
    again = api.succeeded(api.mine("a", "b"))
    assert "reused" not in again
    assert again["pairs"] > 0


@pytest.fixture(scope="module")
def encoders(running: Service) -> Path:
    return running._encoders


def test_the_command_says_what_is_new_and_what_changed(
    encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bitextmine.cli import run

    paths = {name: tmp_path / f"{name}.txt" for name in SIZES}
    said = []
    for turn in (0, 1):
        for name, path in paths.items():
            path.write_bytes(lines(name, 0, SIZES[name][turn]))
        options = ["--src-lang", "de", "--tgt-lang", "en", "--encoder", ENCODER, "-o", str(tmp_path / f"{turn}.tsv")]
        places = ["--data-dir", str(tmp_path / "data"), "--encoders-dir", str(encoders)]
        assert run(["mine", *map(str, paths.values()), *options, *places]) == 0
        said.append(" ".join(capsys.readouterr().err.split()))
    assert "new to the search" not in said[0]
    assert "of these sentences 30 src and 30 tgt are new to the search: about 64% of that time" in said[1]
    assert "only 30 src and 30 tgt sentences were new to the search" in said[1]
    assert "pairs added (" in said[1]
    command = ["mine", *map(str, paths.values()), *options[:-1], str(tmp_path / "scratch.tsv")]
    assert run([*command, "--data-dir", str(tmp_path / "other"), "--encoders-dir", str(encoders)]) == 0
    assert (tmp_path / "scratch.tsv").read_bytes() == (tmp_path / "1.tsv").read_bytes()
