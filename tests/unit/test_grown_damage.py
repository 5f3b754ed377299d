"""Former neighbours that are damaged, lost or another machine's are done without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.embeddings import KIND as EMBEDDINGS
from bitextmine.search.grown import RECORD
from bitextmine.search.stored import KIND as NEIGHBORS
from tests.tiny_encoder import build_tiny_encoder
from tests.unit.grown_place import CountingEncoder, Place, assert_same, flip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.fixture
def encoder(directory: Path) -> CountingEncoder:
    encoder = CountingEncoder.open(directory)
    assert isinstance(encoder, CountingEncoder)
    encoder.calls = []
    return encoder


def damage(place: Place, what: str) -> None:
    (folder,) = (place.store.root / NEIGHBORS).iterdir()
    if what == "no record":
        (folder / RECORD).unlink()
    elif what == "no manifest":
        (folder / "manifest.json").unlink()
    elif what == "no vectors":
        for shard in (place.store.root / EMBEDDINGS).iterdir():
            shutil.rmtree(shard)
    elif what == "cosines":
        flip(folder / "forward.sims.npy")
    elif what == "record":
        record: dict[str, Any] = json.loads((folder / RECORD).read_text())
        record["src"] = [["embeddings", "../../../outside", 40], 3]
        replace_record(folder, json.dumps(record))
    elif what == "no JSON":
        replace_record(folder, "{")
    elif what == "another machine's":  # cosines that differ in the last bit, and are what was published
        sims = np.load(folder / "backward.sims.npy")
        np.save(folder / "backward.sims.npy", np.nextafter(sims, np.float32(2)))
        publish_again(folder)


def replace_record(folder: Path, text: str) -> None:
    (folder / RECORD).write_text(text)
    publish_again(folder)


def publish_again(folder: Path) -> None:
    from bitextmine.files import file_sha256

    manifest = json.loads((folder / "manifest.json").read_text())
    for name, record in manifest["files"].items():
        record |= {"sha256": file_sha256(folder / name), "size": (folder / name).stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "what", ["no record", "no manifest", "no vectors", "cosines", "record", "no JSON", "another machine's"]
)
def test_what_is_damaged_lost_or_of_another_machine_is_done_without(
    tmp_path: Path, encoder: CountingEncoder, what: str
) -> None:
    place, other = Place(tmp_path / "grown"), Place(tmp_path / "scratch")
    place.mine(place.both((40, 50)), encoder)
    damage(place, what)
    grown = place.mine(place.both((44, 55)), encoder)
    assert_same(place, grown, other, other.mine(other.both((44, 55)), encoder))
    assert place.searched[-1] == 44 * 55
