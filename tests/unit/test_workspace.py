"""Where data and encoders lie: encoders are found by every data directory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bitextmine.cli import console
from bitextmine.encoders import encoder as encoder_module
from bitextmine.encoders import open_encoder
from bitextmine.encoders.tokenizer import Tokens
from bitextmine.errors import NotFoundError, ParameterError
from bitextmine.workspace import Workspace, default_data_dir, default_encoders_dir
from tests.tiny_encoder import build_tiny_encoder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the platform keeps a user's data, with no variable set."""
    for name in ("BITEXTMINE_DATA_DIR", "BITEXTMINE_ENCODERS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "bitextmine"


def test_encoders_are_in_the_same_place_for_every_data_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [Workspace.at(), Workspace.at(Path("x")), console.workspace(Path("x"), None)]
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", "y")
    places += [Workspace.at(), console.workspace(Path("x"), None)]
    assert default_data_dir() == Path("y")
    assert {place.encoders for place in places} == {home / "encoders"}


def test_a_place_for_encoders_that_is_given_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", "shared")
    assert default_encoders_dir() == Path("shared")
    assert console.workspace(Path("x"), None).encoders == Path("shared")
    assert console.workspace(None, Path("mine")).encoders == Path("mine")


def test_what_to_run_for_a_missing_encoder_installs_it_where_it_was_looked_for(home: Path) -> None:
    with pytest.raises(NotFoundError, match=r"bitextmine encoders pull muse$"):
        open_encoder("muse", default_encoders_dir())
    with pytest.raises(NotFoundError, match=r"bitextmine encoders pull muse --encoders-dir elsewhere$"):
        open_encoder("muse", Path("elsewhere"))


def test_an_encoder_opens_where_cores_cannot_be_counted_by_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build_tiny_encoder(tmp_path / "tiny")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert encoder_module.Encoder.open(built.directory).threads == os.cpu_count()


def test_threads_below_one_are_refused(tmp_path: Path) -> None:
    built = build_tiny_encoder(tmp_path / "tiny")
    with pytest.raises(ParameterError, match="1 thread"):
        encoder_module.Encoder.open(built.directory, threads=0)


def test_rows_are_padded_from_where_each_begins() -> None:
    tokens = Tokens(np.arange(9), np.array([2, 4, 3]), 0)
    assert tokens.starts.tolist() == [0, 2, 6]
    assert tokens.starts is tokens.starts
    ids, mask = tokens.padded(np.array([2, 0]))
    assert ids.tolist() == [[6, 7, 8], [0, 1, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
