from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import PRESETS, Encoder, PullOptions, find_encoder, installed, open_encoder, preset, pull
from bitextmine.encoders.card import CARD, MODEL
from bitextmine.encoders.hub import check_downloaded, fetch_model
from bitextmine.encoders.model_directory import Pooling
from bitextmine.encoders.presets import HubSource
from bitextmine.encoders.wanted import parse_wanted, slug_of
from bitextmine.errors import ConflictError, EncoderError, InputError, NotFoundError, ParameterError
from tests.fake_hub import FakeHub, serving
from tests.tiny_encoder import build_tiny_encoder
from tests.tiny_models import WIDTH, labse_like, plain, wordpiece

FIRST, SECOND = "1" * 40, "2" * 40
REPOSITORY = "Owner/Tiny.LaBSE"
NAME = "owner--tiny-labse"


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = labse_like(tmp_path_factory.mktemp("labse"))
    (directory / "README.md").write_text("---\nlanguage: [de]\nlicense: apache-2.0\n---\n# A model\n")
    (directory / "pytorch_model.bin").write_bytes(b"a pickle, beside the safetensors")
    (directory / "onnx").mkdir()
    (directory / "onnx" / "config.json").write_text("{}")
    return directory


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


def test_a_local_copy_of_a_presets_model_is_pulled_without_a_network(tmp_path: Path) -> None:
    """lealla-small as the hub has it: a plain BERT of 128 dims with a pooler."""
    source = plain(
        tmp_path / "copy", "Bert", wordpiece, hidden_size=128, max_position_embeddings=64, num_attention_heads=4
    )
    _record_download(source, FIRST)
    encoder = pull("lealla-small", tmp_path / "encoders", options=PullOptions(local=source), report=silent)
    card = encoder.card
    assert (card.name, card.dims, len(card.languages)) == ("lealla-small", 128, len(preset("lealla-small").languages))
    assert card.source == f"setu4993/LEALLA-small on the Hugging Face hub, commit {FIRST}, exported"
    assert card.pooling == "cls, dense layer to 128 (tanh), length 1"
    assert card.licence == "Apache-2.0"
    vectors = encoder.encode(["ein Haus", "", "🏠"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_local_copy_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="it is another model") as caught:
        pull("labse", tmp_path / "encoders", options=PullOptions(local=model), report=silent)
    assert caught.value.code == "export-mismatch"
    with pytest.raises(NotFoundError, match="there is no directory"):
        pull("labse", tmp_path / "encoders", options=PullOptions(local=model / "missing"), report=silent)


def _record_download(directory: Path, commit: str) -> None:
    """What `hf download --local-dir` leaves beside the files."""
    import hashlib

    for file in [path for path in directory.rglob("*") if path.is_file()]:
        name = file.relative_to(directory)
        record = directory / ".cache" / "huggingface" / "download" / f"{name}.metadata"
        record.parent.mkdir(parents=True, exist_ok=True)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        record.write_text(f"{commit}\n{sha256 if name.suffix == '.safetensors' else sha256[:40]}\n1750000000.0\n")


def test_a_tampered_download_by_hand_is_refused(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    assert check_downloaded(copy) == ""
    _record_download(copy, SECOND)
    assert check_downloaded(copy) == SECOND
    tensors = copy / "2_Dense" / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    with pytest.raises(EncoderError, match=r"2_Dense/model\.safetensors is not the file") as caught:
        pull(str(copy), tmp_path / "encoders", options=PullOptions(name="tiny"), report=silent)
    assert caught.value.code == "checksum-mismatch"


def test_a_directory_is_exported_under_a_name(model: Path, tmp_path: Path) -> None:
    encoders = tmp_path / "encoders"
    options = PullOptions(name="my-encoder", prefix="query: ")
    encoder = pull(str(model), encoders, options=options, report=silent)
    assert (encoder.name, encoder.card.prefix) == ("my-encoder", "query: ")
    assert encoder.card.source == f"the directory {model.resolve()}, exported"
    with pytest.raises(ConflictError, match="there is an encoder my-encoder already"):
        pull(str(model), encoders, options=options, report=silent)
    assert [card.name for card in installed(encoders)] == ["my-encoder"]


def test_an_encoder_made_elsewhere_is_checked_and_copied(tmp_path: Path) -> None:
    made = build_tiny_encoder(tmp_path / "made-elsewhere")
    encoder = pull(str(tmp_path / "made-elsewhere"), tmp_path / "encoders", report=silent)
    assert encoder.name == "made-elsewhere"
    assert encoder.directory == tmp_path / "encoders" / "made-elsewhere"
    assert encoder.signature == made.signature
    np.testing.assert_array_equal(encoder.encode(["one"]), made.encode(["one"]))
    prefixed, again = PullOptions(name="again", prefix="query: "), PullOptions(name="again")
    with pytest.raises(ParameterError, match="are settled"):
        pull(str(tmp_path / "made-elsewhere"), tmp_path / "encoders", options=prefixed, report=silent)
    (tmp_path / "made-elsewhere" / MODEL).write_bytes(b"damaged")
    with pytest.raises(EncoderError, match="is damaged"):
        pull(str(tmp_path / "made-elsewhere"), tmp_path / "encoders", options=again, report=silent)


def test_two_models_cannot_have_one_name(model: Path, tmp_path: Path) -> None:
    build_tiny_encoder(tmp_path / NAME)
    with pytest.raises(ConflictError, match="choose another name with --as"):
        pull(REPOSITORY, tmp_path, options=PullOptions(local=model), report=silent)
    other = pull(REPOSITORY, tmp_path, options=PullOptions(local=model, name="other"), report=silent)
    assert other.card.source == f"{REPOSITORY} on the Hugging Face hub, from a local copy, exported"


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        ("labs", PullOptions(), "there is no encoder named 'labs'"),
        ("./missing", PullOptions(), "there is no directory ./missing"),
        ("a/b/c", PullOptions(), "there is no encoder named 'a/b/c'"),
        ("owner/..", PullOptions(), "there is no encoder named"),
        ("muse", PullOptions(revision="v2"), "--revision is not for the encoder muse, which is not on the hub"),
        ("labse", PullOptions(name="mine"), "--as is not for the encoder labse"),
        ("labse", PullOptions(pooling=Pooling.MEAN), "--pooling is not for the encoder labse"),
        ("labse", PullOptions(prefix=""), "--prefix is not for the encoder labse"),
        ("owner/name", PullOptions(name="My Model"), "'My Model' cannot be an encoder's name"),
        ("owner/name", PullOptions(name="labse"), "pull labse --from PATH"),
        (".", PullOptions(local=Path("x"), name="mine"), "--from is not for a directory"),
        ("muse", PullOptions(local=Path()), "is made of a wheel"),
    ],
)
def test_what_cannot_be_pulled_says_why(reference: str, options: PullOptions, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        pull(reference, tmp_path, options=options, report=silent)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_names_of_directories_and_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slug_of("BAAI/bge-m3") == "baai--bge-m3"
    assert slug_of("Alibaba-NLP/gte.v1.5") == "alibaba-nlp--gte-v1-5"
    assert len(slug_of("owner/" + "x" * 90)) == 64
    (tmp_path / "Not A Slug").mkdir()
    with pytest.raises(ParameterError, match="give --as"):
        parse_wanted(str(tmp_path / "Not A Slug"), PullOptions())
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse_wanted("owner/name", PullOptions()).name == "name", "a directory that exists wins"
    assert parse_wanted("owner/other", PullOptions()).name == "owner--other"


def test_encoders_are_found_by_name_by_model_and_by_place(tmp_path: Path) -> None:
    tiny = build_tiny_encoder(tmp_path / "tiny")
    assert find_encoder("tiny", tmp_path, threads=1).signature == tiny.signature
    assert find_encoder(str(tmp_path / "tiny"), tmp_path / "nowhere", threads=1).threads == 1
    with pytest.raises(NotFoundError, match="bitextmine encoders pull owner/name") as caught:
        find_encoder("owner/name", tmp_path)
    assert caught.value.code == "encoder-not-installed"
    with pytest.raises(NotFoundError, match="holds no encoder; a model's directory becomes one by"):
        find_encoder("./nowhere", tmp_path)
    with pytest.raises(NotFoundError, match="there is no encoder named 'tine'"):
        find_encoder("tine", tmp_path)
    with pytest.raises(ParameterError):
        find_encoder("Not a name", tmp_path)


@pytest.mark.parametrize("name", ["./tiny", "owner/name", "/tmp", "~/tiny"])
def test_the_services_way_to_open_an_encoder_takes_names_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="lower-case letters"):
        open_encoder(name, tmp_path)


def test_the_registry_is_a_table_of_facts() -> None:
    names = [known.name for known in PRESETS]
    assert len(names) == len(set(names))
    assert {"labse", "lealla-small", "distiluse-multilingual", "e5-large", "bge-m3", "luxembedder"} <= set(names)
    for known in PRESETS:
        if isinstance(known.source, HubSource):
            assert known.source.repository.count("/") == 1
            assert all(0 < dims < known.dims for dims in known.matryoshka)
            assert list(known.languages) == sorted(set(known.languages))
            assert known.licence


def test_a_card_of_an_older_version_is_read(tmp_path: Path) -> None:
    """Encoders that were installed before cards had parity and fewer dims."""
    build_tiny_encoder(tmp_path)
    card = json.loads((tmp_path / CARD).read_bytes())
    del card["parity"], card["matryoshka"]
    (tmp_path / CARD).write_text(json.dumps(card))
    assert Encoder.open(tmp_path).card.parity is None
