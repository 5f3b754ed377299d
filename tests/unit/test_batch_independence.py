"""On the CPU a sentence's vector has the same bits whichever sentences it is encoded with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import Encoder, installed, open_encoder
from bitextmine.workspace import default_encoders_dir

DEMO = Path(__file__).parents[2] / "demo"
INSTALLED = {card.name for card in installed(default_encoders_dir())}

pytestmark = pytest.mark.encoder


@pytest.fixture(scope="module", params=["muse", "e5-small"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param not in INSTALLED:
        pytest.skip(f"run: bitextmine encoders pull {request.param}")
    return open_encoder(request.param, default_encoders_dir())


def test_vectors_do_not_depend_on_the_batch_to_the_last_bit(encoder: Encoder) -> None:
    rng = np.random.default_rng(5)
    files = (DEMO / f"{name}.jsonl" for name in ("deu", "eng"))
    lines = [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf-8").splitlines()[:40]]
    sentences = ["", "a", *lines, " ".join(lines[:40])]  # from a mark or two to more tokens than are taken
    together = encoder.encode(sentences)
    order = rng.permutation(len(sentences))
    shuffled = np.empty_like(together)
    shuffled[order] = encoder.encode([sentences[row] for row in order])
    assert shuffled.tobytes() == together.tobytes()
    for cut in (1, 30, len(sentences) - 1):
        parts = [encoder.encode(sentences[:cut]), encoder.encode(sentences[cut:])]
        assert np.concatenate(parts).tobytes() == together.tobytes()
    for row in order[:15]:
        assert encoder.encode([sentences[row]]).tobytes() == together[row].tobytes()
