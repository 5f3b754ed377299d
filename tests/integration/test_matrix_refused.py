"""What a matrix cannot do is said before any work, and what goes wrong with one file fails one pair."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitextmine.cli import run
from tests.integration.test_matrix import PAIRS, SETTINGS, WORDS, folder, report, write_corpora

__all__ = ["folder"]


def refused(folder: Path, capfd: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line that says why."""
    assert run(["matrix", "run.toml", *options]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert not list((folder / "data").rglob("manifest.json")), "nothing was made"
    return said[0]


@pytest.mark.parametrize("options", [(), ("--plan",)])
@pytest.mark.parametrize("output", ["taken", "taken/deeper"])
def test_an_output_that_is_a_file(
    folder: Path, capfd: pytest.CaptureFixture[str], output: str, options: tuple[str, ...]
) -> None:
    (folder / "taken").write_text("mine")
    write_corpora(folder, 60, SETTINGS.replace('"pairs"', f'"{output}"'))
    assert "taken" in (said := refused(folder, capfd, *options))
    assert said.endswith("a file is in its place")
    assert (folder / "taken").read_text() == "mine"


def test_an_output_that_cannot_be_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_corpora(folder, 60, SETTINGS.replace('"pairs"', '"pa\\u0000irs"'))
    assert "null byte" in refused(folder, capfd)


def test_a_plan_makes_no_output(folder: Path) -> None:
    assert run(["matrix", "run.toml", "--plan"]) == 0
    assert not (folder / "pairs").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (f'{SETTINGS}pairs = [["de", "xx"]]\n', "there is no corpus 'xx'"),
        (f'{SETTINGS}first = [["de", "xx"]]\n', "there is no corpus 'xx'"),
        (f'{SETTINGS}pivot = "ja"\n', "the pivot 'jpn_Jpan' is none of"),
        (f"{SETTINGS}pairs = []\n", "there is no pair to mine"),
        (f'{SETTINGS}precision = 0.9\n[mining]\ndocuments = "restrict"\n', "precision is not estimated for mining by"),
        (f'{SETTINGS}[corpora.de-de]\nlang = "de"\nfiles = ["de.txt"]\n[corpora.eo]\nfiles = ["de.txt"]\n', "epo_Latn"),
    ],
)
def test_what_can_be_known_from_the_configuration(
    folder: Path, settings: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_corpora(folder, 60, settings)
    assert message in refused(folder, capfd)


def names_that_collide(folder: Path, settings: str) -> None:
    tables = {"en": "en", "en-news": "en", "de": "de", "news-de": "de"}
    corpora = "".join(f'[corpora.{name}]\nlang = "{lang}"\nfiles = ["{lang}.txt"]\n' for name, lang in tables.items())
    (folder / "run.toml").write_text(settings + corpora)


def test_two_pairs_with_one_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names_that_collide(folder, SETTINGS)
    said = refused(folder, capfd)
    assert "en-news-de.tsv.gz would be the file of en with news-de and of en-news with de" in said


def test_two_pairs_of_one_name_where_no_files_are_written(folder: Path) -> None:
    names_that_collide(folder, SETTINGS.replace('output = "pairs"\n', ""))
    assert run(["matrix", "run.toml"]) == 0
    assert report(folder)["counts"]["done"] == 4
    names_that_collide(folder, f'pairs = [["en", "news-de"], ["en-news", "news-de"]]\n{SETTINGS}')
    assert run(["matrix", "run.toml"]) == 0
    assert {path.name for path in (folder / "pairs").iterdir()} == {"en-news-de.tsv.gz", "en-news-news-de.tsv.gz"}


def test_a_file_that_cannot_be_written_fails_its_pair_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "pairs" / "de-en.tsv.gz").mkdir(parents=True)
    assert run(["matrix", "run.toml"]) == 1
    assert "de-en: failed: cannot write" in capfd.readouterr().err
    found = report(folder)
    assert (found["counts"]["done"], found["counts"]["failed"]) == (PAIRS - 1, 1)
    assert {pair["code"] for pair in found["pairs"]} == {"", "output-not-writable"}
    assert sum(path.is_file() for path in (folder / "pairs").iterdir()) == PAIRS - 1
    (folder / "pairs" / "de-en.tsv.gz").rmdir()
    assert run(["matrix", "run.toml"]) == 0
    assert (folder / "pairs" / "de-en.tsv.gz").is_file()


def test_a_pair_with_one_pair_of_sentences(folder: Path) -> None:
    """Of margins that are all the same, too."""
    for lang, word in WORDS.items():
        (folder / f"{lang}.txt").write_text(f"{word} 1\nxyz {lang} q\n")
    text = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(text.replace("[corpora", "[mining]\nk = 1\n[corpora", 1))
    assert run(["matrix", "run.toml"]) == 0
    (path,) = (folder / "data" / "matrices").glob("*/report.json")
    results = [pair["result"] for pair in json.loads(path.read_text())["pairs"]]
    assert all(sum(result["histogram"]["counts"]) == result["pairs"] for result in results)
    assert any(result["pairs"] in {1, 2} for result in results)
