"""The encoders that a process has open: by name, few, and as they are installed now."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import Encoder
from bitextmine.encoders import opened as opened_module
from bitextmine.encoders.card import CARD, load_card, write_card
from bitextmine.encoders.opened import OpenEncoders, PoolOptions
from bitextmine.errors import BitextmineError, EncoderError, NotFoundError, ParameterError
from tests.tiny_encoder import build_tiny_encoder

SECONDS = 20
LIMITS = PoolOptions(threads=1, max_tokens=10_000)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    built = build_tiny_encoder(tmp_path / "tiny").directory
    for name in ("other", "third"):
        shutil.copytree(built, tmp_path / name)
        write_card(load_card(built).model_copy(update={"name": name}), tmp_path / name)
    return tmp_path


@pytest.fixture
def encoders(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenEncoders]:
    monkeypatch.setattr(opened_module, "_LOOK_AGAIN_SECONDS", 0)
    encoders = OpenEncoders(directory, LIMITS, most=2)
    yield encoders
    encoders.close()


def ask(encoders: OpenEncoders, name: str) -> None:
    assert encoders.open_and_submit(name, ["x"]).result(SECONDS).vectors.any()


def test_an_encoder_is_opened_when_it_is_first_asked_for_and_stays_open(
    encoders: OpenEncoders, directory: Path
) -> None:
    assert encoders.submit("tiny", ["x"]) is None
    assert encoders.providers() == {}
    ask(encoders, "tiny")
    future = encoders.submit("tiny", ["the museum"])
    assert future is not None
    expected = Encoder.open(directory / "tiny").encode(["the museum"])
    np.testing.assert_allclose(future.result(SECONDS).vectors, expected, atol=1e-6)
    assert encoders.providers() == {"tiny": "CPUExecutionProvider"}


def test_of_too_many_the_one_idle_for_longest_is_closed(encoders: OpenEncoders) -> None:
    for name in ("tiny", "other", "tiny", "third"):
        ask(encoders, name)
    assert encoders.submit("other", ["x"]) is None
    assert set(encoders.providers()) == {"tiny", "third"}


def test_encoders_at_work_are_not_closed_for_another(encoders: OpenEncoders) -> None:
    for name in ("tiny", "other"):
        ask(encoders, name)
        encoders._opened[name].pool._tokens += 1  # as if a request were waiting
    with pytest.raises(BitextmineError, match="2 encoders are at work") as caught:
        encoders.open_and_submit("third", ["x"])
    assert caught.value.code == "queue-full"
    ask(encoders, "other")


def test_an_encoder_that_was_installed_anew_is_opened_anew(encoders: OpenEncoders, directory: Path) -> None:
    ask(encoders, "tiny")
    build_tiny_encoder(directory / "new", dims=8).directory.rename(directory / "moved")
    shutil.rmtree(directory / "tiny")
    (directory / "moved").rename(directory / "tiny")
    assert encoders.submit("tiny", ["x"]) is None
    assert encoders.open_and_submit("tiny", ["x"]).result(SECONDS).vectors.shape == (1, 8)


def test_an_encoder_that_was_removed_is_not_there(encoders: OpenEncoders, directory: Path) -> None:
    ask(encoders, "tiny")
    shutil.rmtree(directory / "tiny")
    with pytest.raises(NotFoundError):
        encoders.open_and_submit("tiny", ["x"])


@pytest.mark.parametrize(
    ("name", "code"),
    [("no-such", "encoder-unknown"), ("muse", "encoder-not-installed"), ("../tiny", None), ("a\0", None), ("", None)],
)
def test_what_is_no_installed_encoder_is_refused(encoders: OpenEncoders, name: str, code: str | None) -> None:
    with pytest.raises((NotFoundError, ParameterError)) as caught:
        encoders.open_and_submit(name, ["x"])
    assert caught.value.code == (code or ParameterError.default_code)


def test_a_damaged_card_is_an_error_of_its_own(encoders: OpenEncoders, directory: Path) -> None:
    (directory / "tiny" / CARD).write_text("{}")
    with pytest.raises(EncoderError):
        encoders.open_and_submit("tiny", ["x"])
    ask(encoders, "other")


def test_after_closing_nothing_is_taken(encoders: OpenEncoders) -> None:
    ask(encoders, "tiny")
    encoders.close()
    with pytest.raises(BitextmineError) as caught:
        encoders.open_and_submit("tiny", ["x"])
    assert caught.value.code == "service-stopping"


def test_at_least_one_encoder_can_be_open(directory: Path) -> None:
    with pytest.raises(ParameterError, match="1 encoder or more"):
        OpenEncoders(directory, LIMITS, most=0)
