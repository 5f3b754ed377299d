"""Encoders from directories, the names they are installed under, and how they are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import PRESETS, Encoder, PullOptions, find_encoder, installed, open_encoder, preset, pull
from bitextmine.encoders.card import CARD, MODEL
from bitextmine.encoders.hub import check_downloaded
from bitextmine.encoders.model_directory import Pooling
from bitextmine.encoders.presets import HubSource
from bitextmine.encoders.wanted import parse_wanted, slug_of
from bitextmine.errors import ConflictError, EncoderError, InputError, NotFoundError, ParameterError
from tests.tiny_encoder import build_tiny_encoder
from tests.tiny_models import as_published, plain, wordpiece

FIRST, SECOND = "1" * 40, "2" * 40
REPOSITORY = "Owner/Tiny.LaBSE"
NAME = "owner--tiny-labse"


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_published(tmp_path_factory.mktemp("labse"))


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
