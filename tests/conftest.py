"""What tests of every kind need."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny_encoder import build_tiny_encoder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests with the same name, pytest-xdist runs one."""
    if alike := [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]:
        raise pytest.UsageError(f"more than one test is named {alike[0]}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """No long texts in tests' names, and no archives, in which the time is."""
    return argname if isinstance(val, str | bytes) and len(val) > (60 if isinstance(val, str) else 15) else None


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where the encoder `tiny` is installed."""
    directory = tmp_path_factory.mktemp("encoders")
    build_tiny_encoder(directory / "tiny")
    return directory


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a command run in this process sets up writes to a stream that its test takes along."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
