"""What tests of every kind need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_encoder import build_tiny_encoder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where the encoder `tiny` is installed."""
    directory = tmp_path_factory.mktemp("encoders")
    build_tiny_encoder(directory / "tiny")
    return directory
