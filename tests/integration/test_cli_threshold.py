"""`bitextmine threshold` and `mine --precision`, end to end."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bitextmine.cli import run
from tests.shuffled_words import sentences, translated

LANGUAGES = ("--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny")
TRANSLATED, ROWS = 300, 600


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Texts half of whose sentences are said the other way round on the other side, and seeds that are in neither."""
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    ours, others, seeds = sentences(1, ROWS), sentences(2, ROWS - TRANSLATED), sentences(3, 150)
    theirs = [*map(translated, ours[:TRANSLATED]), *others]
    for name, lines in (("de.txt", ours), ("en.txt", theirs)):
        Path(name).write_text("".join(f"{text}\n" for text in lines))
    Path("seeds.tsv").write_text("".join(f"{text}\t{translated(text)}\n" for text in seeds))
    return tmp_path


def test_the_table_the_plot_and_what_mine_then_gives(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["threshold", "de.txt", "en.txt", *LANGUAGES, "--plot", "margins.svg"]) == 0
    printed, said = capfd.readouterr()
    assert "█" in printed
    assert "precision" in printed
    assert "decoys" in said
    ET.parse("margins.svg")
    assert run(["threshold", "de.txt", "en.txt", *LANGUAGES, "--precision", "0.9"]) == 0
    chosen, _ = capfd.readouterr()
    assert chosen.startswith("threshold 1.")
    assert (
        run(["mine", "de.txt", "en.txt", *LANGUAGES, "--precision", "0.9", "--precision", "fp32", "-o", "o.tsv"]) == 0
    )
    _, said = capfd.readouterr()
    assert chosen.strip() in said
    rows = [line.split("\t") for line in Path("o.tsv").read_text().splitlines()]
    right = sum(row[2] == translated(row[1]) for row in rows)
    least = float(chosen.partition("(")[2].partition(" to ")[0])
    assert right / len(rows) >= least > 0.6
    assert f"{len(rows):,} pairs" in chosen


def test_seeds_give_the_recall(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["threshold", "de.txt", "en.txt", *LANGUAGES, "--seeds", "seeds.tsv", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["seeds"] == 150
    points = told["points"]
    assert points[0]["recall"] > 0.9  # they are translated as the corpora are
    shares = {round(point["recall"] * 150, 6) for point in points}
    assert all(share == int(share) for share in shares)
    assert all(point["recall_low"] <= point["recall"] <= point["recall_high"] for point in points)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "1.5"], "must lie between 0 and 1"),
        (["--precision", "nan"], "must lie between 0 and 1"),
        (["--precision", "high"], "is neither a number, as 0.95, nor one of auto, fp32, fp16, int8"),
        (["--precision", "0.9", "--precision", "0.8"], "given twice"),
        (["--precision", "0.9", "--threshold", "1.1"], "not both"),
        (["--seeds", "seeds.tsv"], "--seeds goes with --precision"),
        (["--precision", "0.9", "--seeds", "none.tsv"], "none.tsv"),
        (["--precision", "0.9", "--seeds", "few.tsv"], "takes 100 at least"),
        (["--precision", "fp32", "--server", "http://localhost:1"], "--precision"),
        (["--seeds", "seeds.tsv", "--precision", "0.9", "--server", "http://localhost:1"], "--seeds"),
    ],
)
def test_bad_options_are_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    Path("few.tsv").write_text("Haus\thouse\nSee\tlake\n")
    assert run(["mine", "de.txt", "en.txt", *LANGUAGES, *options, "-o", "o.tsv"]) == 2
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("bitextmine: ")
    assert message in said
    assert not Path("o.tsv").exists()


def test_few_sentences_are_told_and_no_error_of_the_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("de.txt", "en.txt"):
        Path(name).write_text("".join(Path(name).read_text().splitlines(keepends=True)[:30]))
    assert run(["threshold", "de.txt", "en.txt", *LANGUAGES]) == 0
    assert "precision cannot be told: there are" in capfd.readouterr().out
    assert run(["threshold", "de.txt", "en.txt", *LANGUAGES, "--precision", "0.9"]) == 2
    assert "no threshold can be chosen" in capfd.readouterr().err
    assert run(["threshold", "de.txt", "en.txt", *LANGUAGES, "--plot", "nowhere/m.svg"]) == 2
    assert "there is no directory" in capfd.readouterr().err
