"""LASER installed: from a directory, over HTTP, and what happens when that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bitextmine.encoders import Encoder, pull, verify
from bitextmine.encoders.card import TokenizerKind
from bitextmine.encoders.laser_catalog import LASER2_LANGUAGES
from bitextmine.encoders.presets import LaserSource, Preset, preset
from bitextmine.encoders.wanted import PullOptions
from bitextmine.errors import EncoderError, NotFoundError
from bitextmine.files import file_sha256
from bitextmine.languages import parse_language
from tests.file_server import FileServer, file_server
from tests.laser_files import student_settings, write_laser2, write_laser3, write_tokenizer

SENTENCES = ["das wetter ist schön", "", "🥚 أين أقرب صيدلية؟", "今天天气很好，我们去湖边。"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files named and sized as the published ones, but for the depth of the networks."""
    directory = tmp_path_factory.mktemp("published")
    pieces = write_tokenizer(directory)
    write_laser2(directory / "laser2.pt", pieces, hidden=512, layers=1, width=4)
    settings = student_settings(encoder_embed_dim=1024, encoder_ffn_embed_dim=8, encoder_layers=1)
    settings.encoder_attention_heads = 4
    student = directory / "laser3-wol_Latn.v1.pt"
    write_laser3(student, 4 + len(pieces) + 1, settings, prefix="encoder.", final=True)
    return directory


@pytest.fixture(autouse=True)
def few_sentences(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Comparing on all of them is what test_laser.py does; these networks are as wide as the real ones."""
    monkeypatch.setattr("bitextmine.encoders.laser.PARITY_SENTENCES", tuple(SENTENCES))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def server(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with file_server() as served:
        served.files = {path.name: path.read_bytes() for path in published.iterdir()}
        monkeypatch.setattr("bitextmine.encoders.wanted.preset", published_at(served.url))
        yield served


def published_at(url: str) -> Callable[[str], Preset]:
    def found(name: str) -> Preset:
        chosen = preset(name)
        assert isinstance(chosen.source, LaserSource)
        return replace(chosen, source=replace(chosen.source, base_url=url))

    return found


def silent(line: str) -> None:
    assert line
    assert "\n" not in line


def test_laser2_from_a_directory(published: Path, tmp_path: Path) -> None:
    encoder = pull("laser2", tmp_path, options=PullOptions(local=published), report=silent)
    card = encoder.card
    assert (card.dims, card.languages, card.tokenizer) == (1024, LASER2_LANGUAGES, TokenizerKind.LASER)
    assert card.parity is not None
    assert card.parity.max_difference <= 1e-4
    assert f"laser2.pt (sha256 {file_sha256(published / 'laser2.pt')})" in card.source
    encoder.check()
    assert verify(encoder).passed
    vectors = encoder.encode(SENTENCES)
    alone = np.concatenate([encoder.encode_batch([sentence]) for sentence in SENTENCES])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["laser2"]
    assert pull("laser2", tmp_path, report=silent).signature == encoder.signature, "it is there"


def test_a_vocabulary_that_was_changed_is_noticed(published: Path, tmp_path: Path) -> None:
    encoder = pull("laser2", tmp_path, options=PullOptions(local=published), report=silent)
    vocabulary = encoder.directory / "vocabulary.txt"
    vocabulary.write_bytes(vocabulary.read_bytes()[::-1])
    with pytest.raises(EncoderError, match=r"vocabulary\.txt is damaged"):
        Encoder.open(encoder.directory).encode(["x"])


def test_a_student_from_a_directory_with_the_teachers_tokenizer_or_its_own(published: Path, tmp_path: Path) -> None:
    first = pull("laser3-wol_latn", tmp_path / "first", options=PullOptions(local=published), report=silent)
    assert (first.name, first.languages) == ("laser3-wol_latn", ("wol_Latn",))
    assert "laser2.spm" in first.card.source
    given = tmp_path / "given"
    given.mkdir()
    for source, target in (("laser2.spm", "laser3-wol_Latn.v1.spm"), ("laser2.cvocab", "laser3-wol_Latn.v1.cvocab")):
        (given / target).write_bytes((published / source).read_bytes())
    (given / "laser3-wol_Latn.v1.pt").write_bytes((published / "laser3-wol_Latn.v1.pt").read_bytes())
    second = pull("laser3-wol_latn", tmp_path / "second", options=PullOptions(local=given), report=silent)
    assert "laser3-wol_Latn.v1.spm" in second.card.source
    assert second.signature == first.signature
    np.testing.assert_allclose(np.linalg.norm(second.encode(SENTENCES), axis=1), 1, atol=1e-5)


def test_files_that_are_missing_are_named(published: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    with pytest.raises(NotFoundError, match=r"lacks laser2\.pt; needed are laser2\.pt, laser2\.spm, laser2\.cvocab"):
        pull("laser2", tmp_path / "encoders", options=PullOptions(local=given), report=silent)
    (given / "laser2.pt").write_bytes((published / "laser2.pt").read_bytes())
    with pytest.raises(NotFoundError, match=r"lacks laser2\.spm"):
        pull("laser2", tmp_path / "encoders", options=PullOptions(local=given), report=silent)
    with pytest.raises(NotFoundError, match="there is no directory"):
        pull("laser2", tmp_path / "encoders", options=PullOptions(local=given / "laser2.pt"), report=silent)
    (given / "laser2.spm").write_bytes((published / "laser2.spm").read_bytes())
    assert pull("laser2", tmp_path / "encoders", options=PullOptions(local=given), report=silent).dims == 1024


def test_the_published_files_are_fetched_and_going_on_is_possible(server: FileServer, tmp_path: Path) -> None:
    server.break_after, server.breaks = 3_000_000, 2
    encoder = pull("laser2", tmp_path, report=silent)
    assert encoder.encode(SENTENCES).shape == (len(SENTENCES), 1024)
    assert [wanted for path, wanted in server.requests if path == "/laser2.pt"] == [
        *(None, "bytes=3000000-", "bytes=6000000-")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["laser2"]
    assert f"from {server.url}" in encoder.card.source


def test_the_next_pull_fetches_the_rest(server: FileServer, published: Path, tmp_path: Path) -> None:
    del server.files["laser2.spm"]
    with pytest.raises(EncoderError, match=r"laser2\.spm could not be fetched: the server answers 404") as caught:
        pull("laser2", tmp_path, report=silent)
    assert caught.value.code == "encoder-download-failed"
    assert "encoders pull laser2 --from DIRECTORY" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [".downloads"]
    server.files["laser2.spm"] = (published / "laser2.spm").read_bytes()
    assert pull("laser2", tmp_path, report=silent).dims == 1024
    assert [path for path, _ in server.requests].count("/laser2.pt") == 1


def test_files_that_turn_out_wrong_are_not_kept(server: FileServer, published: Path, tmp_path: Path) -> None:
    server.files["laser2.spm"] = server.files["laser2.cvocab"]
    with pytest.raises(EncoderError, match="not a SentencePiece model"):
        pull("laser2", tmp_path, report=silent)
    assert list(tmp_path.iterdir()) == []
    server.files["laser2.spm"] = (published / "laser2.spm").read_bytes()
    assert pull("laser2", tmp_path, report=silent).dims == 1024


def test_a_student_that_was_not_published_is_told_apart(server: FileServer, tmp_path: Path) -> None:
    assert pull("laser3-wol_latn", tmp_path, report=silent).languages == ("wol_Latn",)
    with pytest.raises(EncoderError, match=r"laser3-zul_Latn\.v1\.pt could not be fetched: the server answers 404"):
        pull("laser3-zul_latn", tmp_path, report=silent)
    assert [path.name for path in tmp_path.iterdir()] == ["laser3-wol_latn"]


def test_an_unreachable_host_fails_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("bitextmine.encoders.wanted.preset", published_at("https://127.0.0.1:9/laser"))
    started = time.monotonic()
    with pytest.raises(EncoderError, match=r"By hand: on a machine with a network fetch laser2\.pt") as caught:
        pull("laser2", tmp_path, report=silent)
    assert time.monotonic() - started < 10
    assert caught.value.code == "encoder-download-failed"
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_preset_for_every_language_and_only_for_languages() -> None:
    assert all(parse_language(code) == code for code in LASER2_LANGUAGES)
    assert len(set(LASER2_LANGUAGES)) == len(LASER2_LANGUAGES)
    student = preset("laser3-als_latn")
    assert student.languages == ("sqi_Latn",)
    assert isinstance(student.source, LaserSource)
    assert student.source.files == ("laser3-als_Latn.v1.pt", "laser2.spm", "laser2.cvocab")
    own = preset("laser3-amh_ethi").source
    assert isinstance(own, LaserSource)
    assert own.files == ("laser3-amh_Ethi.v1.pt", "laser3-amh_Ethi.v1.spm", "laser3-amh_Ethi.v1.cvocab")
    for name in ("laser3-", "laser3-wol", "laser3-wol_latn_", "laser3-qqqq_latn", "laser3-zxx_zzzz", "laser4"):
        with pytest.raises(NotFoundError) as caught:
            preset(name)
        assert caught.value.code == "encoder-unknown"
