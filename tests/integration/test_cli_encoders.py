"""`bitextmine encoders` on the command line: list, describe, pull; and encoders that are not named by a plain name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitextmine.cli import run
from bitextmine.encoders import PRESETS
from tests.tiny_encoder import build_tiny_encoder
from tests.tiny_models import WIDTH, labse_like, plain, wordpiece


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labse_like(tmp_path_factory.mktemp("labse"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(tmp_path / "encoders"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(tmp_path)
    build_tiny_encoder(tmp_path / "encoders" / "tiny")
    return tmp_path


def test_a_model_is_pulled_described_listed_and_used(
    folder: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["encoders", "pull", str(model), "--as", "mine", "--prefix", "to: "]) == 0
    said = capfd.readouterr().err.splitlines()
    assert any("sentences: differs by at most" in line for line in said)
    assert said[-1] == f"mine is installed: {WIDTH} dimensions, languages not listed"
    assert run(["encoders", "describe", "mine", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["installed"], facts["dims"], facts["prefix"], facts["max_tokens"]) == (True, WIDTH, "to: ", 64)
    assert facts["parity"]["max_difference"] <= 1e-4
    assert facts["parity"]["batch_difference"] <= 1e-5
    assert facts["precisions"] == {"fp32": {}}
    assert run(["encoders", "describe", "mine"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "prefix: 'to: '" in lines
    assert "pooling: cls, dense layer to 32 (tanh), length 1" in lines
    assert run(["encoders", "list"]) == 0
    listed = {line.split()[0]: line for line in capfd.readouterr().out.splitlines()}
    assert {known.name for known in PRESETS} | {"mine", "tiny"} <= listed.keys()
    assert listed["mine"].split()[1:5] == [str(WIDTH), "not", "listed", "fp32"]
    assert listed["labse"].split()[3] == "no"
    for language, word in (("de", "Haus"), ("en", "house")):
        Path(language).write_text("".join(f"{word} {n}\n" for n in range(20)))
    words = ["mine", "de", "en", "--src-lang", "de", "--tgt-lang", "en", "--allow-uncovered", "-o", "pairs.tsv"]
    assert run([*words, "--encoder", "mine"]) == 0
    by_name = Path("pairs.tsv").read_text()
    assert run([*words, "--encoder", "./encoders/mine"]) == 0
    assert Path("pairs.tsv").read_text() == by_name != ""


def test_a_plain_model_needs_its_pooling(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plain(folder / "bert", "Bert", wordpiece, max_position_embeddings=64)
    assert run(["encoders", "pull", "./bert"]) == 2
    assert "(--pooling cls|mean|max|" in capfd.readouterr().err
    assert run(["encoders", "pull", "./bert", "--pooling", "pooler"]) == 0
    assert "bert is installed" in capfd.readouterr().err


def test_an_encoder_that_is_not_installed_is_described(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "describe", "e5-large", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["installed"], facts["dims"], facts["prefix"]) == (False, 1024, "query: ")
    assert facts["source"] == "intfloat/multilingual-e5-large on the Hugging Face hub, revision main"
    assert run(["encoders", "describe", "labse"]) == 0
    assert "installed: no" in capfd.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["describe", "nobody/knows"], "the model nobody/knows is not installed; run: bitextmine encoders pull"),
        (["describe", "unknown"], "there is no encoder named 'unknown'"),
        (["describe", "./missing"], "./missing holds no encoder"),
        (["pull", "./missing"], "there is no directory ./missing"),
        (["pull", "labse", "--from", "missing"], "there is no directory missing"),
        (["pull", "labse", "--as", "mine"], "--as is not for the encoder labse"),
        (["pull", "muse", "--revision", "v1"], "--revision is not for the encoder muse"),
        (["pull", "./encoders/tiny"], "there is an encoder tiny already"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["encoders", *words]) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert message in said[0]


def test_an_encoders_directory_is_copied(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "pull", "./encoders/tiny", "--as", "twin"]) == 0
    assert run(["encoders", "describe", "twin", "--json"]) == 0
    twin = json.loads(capfd.readouterr().out)
    assert run(["encoders", "describe", "tiny", "--json"]) == 0
    tiny = json.loads(capfd.readouterr().out)
    assert twin["signature"] == tiny["signature"]
    assert (twin["name"], twin["source"]) == ("twin", tiny["source"])
