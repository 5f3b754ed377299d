"""`bitextmine score`: bitexts in every format in, the margins of the mining run that made them out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitextmine.cli import run

SENTENCES = 40
LANGUAGES = ("--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny")
BACKGROUNDS = ("--src-background", "de.txt", "--tgt-background", "en.txt")


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    for language, word in (("de", "Haus"), ("en", "house")):
        sentences = (f"{word} {n} station {n * 37 % 101} museum {n * n % 997}" for n in range(SENTENCES))
        Path(f"{language}.txt").write_text("".join(f"{text}\n" for text in sentences))
    return tmp_path


def score(*arguments: str) -> list[str]:
    return ["score", *arguments, *LANGUAGES]


def records(path: str) -> dict[tuple[str, str], dict[str, float]]:
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {(each["src"], each["tgt"]): each for each in found}


@pytest.mark.parametrize(
    "name", ["pairs.tsv", "pairs.jsonl", "pairs.tmx", "pairs.zip", "pairs.tsv.gz", "pairs.tmx.zst"]
)
def test_what_mine_wrote_gets_the_scores_of_mine(folder: Path, name: str) -> None:
    for output in (name, "mined.jsonl"):
        assert run(["mine", "de.txt", "en.txt", *LANGUAGES, "-o", output]) == 0
    assert run(score(name, *BACKGROUNDS, "-o", "scored.jsonl")) == 0
    mined, scored = records("mined.jsonl"), records("scored.jsonl")
    assert len(mined) == len(scored) > SENTENCES // 2
    for texts, pair in scored.items():
        for score_of in ("margin", "cosine", "src_mean", "tgt_mean"):
            assert pair[score_of] == pytest.approx(mined[texts][score_of], abs=2e-6)
        assert (pair["src_rank"], pair["tgt_rank"]) == (mined[texts]["src_rank"], mined[texts]["tgt_rank"])


def test_two_files_are_a_moses_pair_and_their_own_background(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(score("de.txt", "en.txt")) == 0
    printed, said = capfd.readouterr()
    rows = [line.split("\t") for line in printed.splitlines()]
    assert len(rows) == SENTENCES
    assert [float(margin) for margin, _, _ in rows] == sorted((float(row[0]) for row in rows), reverse=True)
    assert said.splitlines()[-1].startswith("40 of 40 pairs scored in ")


def test_scored_pairs_can_be_written_in_every_format_again(folder: Path) -> None:
    for margin in ("ratio", "absolute"):
        for output in ("out.tsv", "out.tmx.gz", "out.parquet", "out.zip", "out.jsonl"):
            assert run(score("de.txt", "en.txt", "--margin", margin, "-o", output)) == 0
            if output != "out.parquet":
                assert run(score(output, "-o", "again.tsv")) == 0
                assert len(Path("again.tsv").read_text().splitlines()) == SENTENCES
        found = records("out.jsonl").values()
        assert len(found) == SENTENCES
        assert {pair["direction"] for pair in found} == {None}
        assert {pair["src_mean"] is None for pair in found} == {margin == "absolute"}


def test_refused_lines_are_said_and_the_rest_is_scored(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("pairs.txt").write_bytes(b"Haus\thouse\tx\n\xff\tb\nHaus 1 station\thouse 1 station\n" + b"no tab\n" * 20)
    assert run(score("pairs.txt", *BACKGROUNDS, "--columns", "1,2")) == 0
    printed, said = capfd.readouterr()
    assert len(printed.splitlines()) == 2
    assert "pairs.txt: 21 of 23 lines refused" in said
    assert "line 2: not-utf8" in said
    assert "refused.jsonl" in said
    assert "warning" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.tsv"], "nowhere.tsv"),
        (["de.txt"], "no tab"),
        (["de.txt", "two.txt"], "has 40 lines and two.txt has 2: line 3"),
        (["evil.tmx"], "entity"),
        (["pairs.tsv", "--src-background", "nowhere"], "neither a file nor the name"),
        (["pairs.tsv", "--src-background", "../x"], "neither a file nor the name"),
        (["pairs.tsv", *BACKGROUNDS, "--k", "41"], "use k=40"),
        (["pairs.tsv"], "two are the least"),
        (["pairs.tsv", "--columns", "x"], "two columns"),
        (["pairs.tsv", "--columns", "x,y"], "'x'"),
        (["pairs.tsv", "--format", "tmx"], "not well-formed"),
        (["pairs.tsv", "--format", "moses"], "no zip archive"),
        (["de.txt", "en.txt", "--format", "tsv"], "Moses pair"),
        (["pairs.tsv", "-o", "no/such/x.tsv"], "no directory"),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    Path("pairs.tsv").write_text("Haus\thouse\n")
    Path("two.txt").write_text("a\nb\n")
    Path("evil.tmx").write_text('<!DOCTYPE tmx [<!ENTITY a "b">]><tmx/>')
    assert run(score(*arguments)) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert len(errors.splitlines()) == 1
    assert said in errors
