"""Models from a hub: what is fetched, taken up, checked and refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine.encoders import PullOptions, find_encoder, open_encoder, pull
from bitextmine.encoders.hub import fetch_model
from bitextmine.encoders.presets import HubSource
from bitextmine.errors import EncoderError, NotFoundError
from tests.fake_hub import FakeHub, serving
from tests.tiny_models import WIDTH, as_published

FIRST, SECOND = "1" * 40, "2" * 40
REPOSITORY = "Owner/Tiny.LaBSE"
NAME = "owner--tiny-labse"


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_published(tmp_path_factory.mktemp("labse"))


@pytest.fixture
def hub(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    import huggingface_hub.constants as constants

    other = tmp_path / "second"
    shutil.copytree(model, other)
    tensors = other / "2_Dense" / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-3] ^= 0x10
    tensors.write_bytes(content)
    fake = FakeHub(models={REPOSITORY: {FIRST: model, SECOND: other}}, revisions={"main": FIRST, "v2": SECOND})
    with serving(fake):
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, fake.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield fake


def test_a_model_on_the_hub_becomes_an_encoder(hub: FakeHub, tmp_path: Path) -> None:
    reports: list[str] = []
    encoder = pull(REPOSITORY, tmp_path / "encoders", report=reports.append)
    card = encoder.card
    assert (card.name, card.dims, card.max_tokens, card.licence) == (NAME, WIDTH, 64, "apache-2.0")
    assert card.source == f"{REPOSITORY} on the Hugging Face hub, commit {FIRST}, exported"
    assert card.parity is not None
    assert card.parity.max_difference <= 1e-4
    assert encoder.encode(["a harbour", "ein Hafen"]).shape == (2, WIDTH)
    fetched = {path.rpartition("/")[2] for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path}
    assert "model.safetensors" in fetched
    assert "pytorch_model.bin" not in fetched
    assert not any("/onnx/" in path for _, path, _ in hub.requests)
    assert any("differs by at most" in line for line in reports)
    before = len(hub.requests)
    pull(REPOSITORY, tmp_path / "encoders", report=silent)
    assert len(hub.requests) == before, "what is installed is not asked for again"
    found = find_encoder(REPOSITORY, tmp_path / "encoders")
    assert found.signature == encoder.signature == open_encoder(NAME, tmp_path / "encoders").signature


def test_a_revision_is_pinned_and_recorded(hub: FakeHub, tmp_path: Path) -> None:
    encoders = tmp_path / "encoders"
    first = pull(REPOSITORY, encoders, report=silent)
    second = pull(REPOSITORY, encoders, options=PullOptions(revision="v2"), report=silent)
    assert f"commit {SECOND}," in second.card.source
    assert first.signature != second.signature
    before = len(hub.requests)
    pull(REPOSITORY, encoders, options=PullOptions(revision=SECOND), report=silent)
    assert len(hub.requests) == before
    with pytest.raises(NotFoundError, match="has no revision v9") as caught:
        pull(REPOSITORY, encoders, options=PullOptions(revision="v9"), report=silent)
    assert caught.value.code == "encoder-unknown"
    assert open_encoder(NAME, encoders).signature == second.signature, "what was there stays"


def test_a_download_that_broke_off_is_taken_up(hub: FakeHub, tmp_path: Path, model: Path) -> None:
    size = (model / "model.safetensors").stat().st_size
    hub.break_off["model.safetensors"] = [size // 2]
    path = fetch_model("tiny", HubSource(REPOSITORY), offline=False, report=silent).path
    ranges = [given for method, path, given in hub.requests if path.endswith("/model.safetensors") and given]
    assert ranges == [f"bytes={size // 2}-"]
    assert (path / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_the_next_process_goes_on_where_the_last_one_gave_up(hub: FakeHub, tmp_path: Path, model: Path) -> None:
    hub.break_off["model.safetensors"] = [1000, 0]
    with pytest.raises(EncoderError, match="what has arrived is kept: run it again") as caught:
        pull(REPOSITORY, tmp_path / "encoders", report=silent)
    assert caught.value.code == "hub-unreachable"
    assert list((tmp_path / "encoders").iterdir()) == []
    hub.requests.clear()
    pull(REPOSITORY, tmp_path / "encoders", report=silent)
    gets = [(path, given) for method, path, given in hub.requests if method == "GET" and path.endswith(".safetensors")]
    assert (f"/{REPOSITORY}/resolve/{FIRST}/model.safetensors", "bytes=1000-") in gets
    assert len(gets) == len({path for path, _ in gets}), "each file is fetched once"


def test_what_arrives_damaged_is_refused_and_fetched_anew(hub: FakeHub, tmp_path: Path) -> None:
    hub.damage.add("model.safetensors")
    with pytest.raises(EncoderError, match="arrived with another sha256") as caught:
        pull(REPOSITORY, tmp_path / "encoders", report=silent)
    assert caught.value.code == "checksum-mismatch"
    hub.damage.clear()
    assert pull(REPOSITORY, tmp_path / "encoders", report=silent).dims == WIDTH


def test_what_needs_a_token_is_left_to_huggingface_hub(hub: FakeHub, tmp_path: Path) -> None:
    hub.private.add(REPOSITORY)
    reports: list[str] = []
    path = fetch_model("tiny", HubSource(REPOSITORY), offline=False, report=reports.append).path
    assert (path / "model.safetensors").is_file()
    assert not any("/resolve/" in line for line in reports), "the request without a token is not made"


def test_offline_uses_the_cache_and_nothing_else(hub: FakeHub, tmp_path: Path) -> None:
    source, options = HubSource(REPOSITORY), PullOptions(offline=True)
    with pytest.raises(EncoderError, match="--offline forbids fetching") as caught:
        pull(REPOSITORY, tmp_path / "encoders", options=options, report=silent)
    assert caught.value.code == "hub-unreachable"
    assert hub.requests == []
    fetch_model("tiny", source, offline=False, report=silent)
    hub.requests.clear()
    encoder = pull(REPOSITORY, tmp_path / "encoders", options=options, report=silent)
    assert f"commit {FIRST}," in encoder.card.source
    assert hub.requests == []


def test_a_tampered_file_in_the_cache_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    source = HubSource(REPOSITORY)
    blob = (fetch_model("tiny", source, offline=False, report=silent).path / "model.safetensors").resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(EncoderError, match="its sha256 is another") as caught:
        pull(REPOSITORY, tmp_path / "encoders", report=silent)
    assert caught.value.code == "checksum-mismatch"
    assert list((tmp_path / "encoders").iterdir()) == []


def test_a_model_that_is_not_there_or_not_for_everyone(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="the hub has no model owner/missing, or it is private") as caught:
        pull("owner/missing", tmp_path, report=silent)
    assert caught.value.code == "encoder-unknown"
    hub.gated.add(REPOSITORY)
    with pytest.raises(EncoderError, match="accept its terms") as refused:
        pull(REPOSITORY, tmp_path, report=silent)
    assert refused.value.code == "hub-refused"


def test_pickled_weights_are_not_even_fetched(hub: FakeHub, tmp_path: Path, model: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(model, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    hub.models[REPOSITORY] = {FIRST: pickled}
    with pytest.raises(EncoderError, match="no safetensors") as caught:
        pull(REPOSITORY, tmp_path / "encoders", report=silent)
    assert caught.value.code == "export-unsupported"
    assert not any("/resolve/" in path for _, path, _ in hub.requests)


def test_an_unreachable_hub_fails_soon_with_what_to_do(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "BITEXTMINE_"))},
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "hf"),
        "BITEXTMINE_ENCODERS_DIR": str(tmp_path / "encoders"),
    }
    start = time.monotonic()
    command = [sys.executable, "-m", "bitextmine", "encoders", "pull", "labse"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert time.monotonic() - start < 15
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "`hf download sentence-transformers/LaBSE --local-dir DIR`" in last
    assert "`bitextmine encoders pull labse --from DIR`" in last
    assert list((tmp_path / "encoders").iterdir()) == []
