"""The command line as people use it: files in, pairs out, and one line for each mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bitextmine import __version__
from bitextmine.cli import run

SENTENCES = 40


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small corpora and their gold pairs in the current directory; data go below it."""
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    for language, word in (("de", "Haus"), ("en", "house")):
        sentences = [f"{word} {n} station {n * 37 % 101} museum {n * n % 997}" for n in range(SENTENCES)]
        Path(f"{language}.txt").write_text("".join(f"{text}\n" for text in sentences))
        Path(f"{language}.tsv").write_text("".join(f"{language}-{n}\t{text}\n" for n, text in enumerate(sentences)))
    Path("gold.tsv").write_text("".join(f"de-{n}\ten-{n}\n" for n in range(SENTENCES)))
    Path("one.txt").write_text("Nur ein Satz\n")
    Path("empty.txt").touch()
    Path("dům.txt").write_text("dům\nstůl\nles\nvoda\noheň\n")
    return tmp_path


def mine(*more: str, src: str = "de.txt", src_lang: str = "de", encoder: str = "tiny") -> list[str]:
    return ["mine", src, "en.txt", "--src-lang", src_lang, "--tgt-lang", "en", "--encoder", encoder, *more]


def evaluate(*more: str, gold: str = "gold.tsv") -> list[str]:
    files = ["--src", "de.tsv", "--tgt", "en.tsv", "--gold", gold]
    return ["evaluate", "mining", *files, "--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny", *more]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bitextmine", *arguments]


def test_pairs_go_to_stdout_or_to_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(mine()) == 0
    printed, said = capfd.readouterr()
    rows = [line.split("\t") for line in printed.splitlines()]
    assert len(rows) > SENTENCES // 2
    assert all(src.startswith("Haus") and tgt.startswith("house") for _, src, tgt in rows)
    assert [float(margin) for margin, _, _ in rows] == sorted((float(row[0]) for row in rows), reverse=True)
    assert said.splitlines()[-1].startswith(f"{len(rows)} pairs from 40 x 40 sentences in ")

    assert run(mine("-o", "pairs.tsv")) == 0
    assert Path("pairs.tsv").read_text() == printed
    assert run(mine("--output", "pairs.jsonl")) == 0
    pairs = [json.loads(line) for line in Path("pairs.jsonl").read_text().splitlines()]
    assert [[f"{pair['margin']:.6f}", pair["src"], pair["tgt"]] for pair in pairs] == rows
    assert capfd.readouterr().out == ""
    assert not list(folder.glob(".*"))

    bounds = float(rows[10][0]), float(rows[2][0])
    assert run(mine("--threshold", str(bounds[0]), "--ceiling", str(bounds[1]))) == 0
    kept = [float(line.split("\t")[0]) for line in capfd.readouterr().out.splitlines()]
    assert kept
    assert bounds[0] <= min(kept) <= max(kept) <= bounds[1]


def test_output_to_something_that_is_no_file_does_not_replace_it(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    null = Path("null")
    os.mkfifo(null)
    with subprocess.Popen(["cat", null], stdout=subprocess.PIPE, text=True) as reader:
        assert run(mine("-o", str(null))) == 0
        assert reader.communicate()[0].count("\n") > SENTENCES // 2
    assert null.is_fifo()


def test_bad_lines_are_reported_and_the_rest_is_mined(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("de.txt").open("ab") as stream:
        stream.write(b"\xff\xfe\n" + b"\n" * 20)
    assert run(mine()) == 0
    said = capfd.readouterr().err
    assert "de.txt: 21 of 61 lines refused, the others are used:\n  line 41: not-utf8: " in said
    assert said.count("\n  line ") == 10
    assert "  ... all of them: " in said


def test_evaluation_as_a_table_and_as_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(evaluate()) == 0
    table = capfd.readouterr().out
    for word in ("F1", "precision", "recall", "threshold", "tuned on even ids, judged on odd", "signature: "):
        assert word in table
    assert run(evaluate("--json")) == 0
    (line,) = capfd.readouterr().out.splitlines()
    report = json.loads(line)
    assert {"f1", "precision", "recall", "threshold", "pairs", "margin", "retrieval", "encoder", "seconds"} <= set(
        report
    )
    assert 0 <= report["precision"] <= 1
    assert report["gold"] == SENTENCES // 2
    assert (report["encoder"], report["margin"], report["retrieval"]) == ("tiny", "ratio", "max-score")


MISTAKES: list[tuple[Callable[[], list[str]], str]] = [
    (lambda: mine(src="missing.txt"), "missing.txt: No such file"),
    (lambda: mine(src="."), "cannot read .: "),
    (lambda: mine(src="empty.txt"), "empty.txt is empty"),
    (lambda: mine(src="one.txt"), "one.txt (deu_Latn) has 1 sentence"),
    (lambda: mine(src_lang="klingonisch"), "unknown language 'klingonisch'"),
    (lambda: mine(src="dům.txt", src_lang="cs"), "tiny does not cover ces_Latn"),
    (lambda: mine("--k", "41"), "k=41 is more than the 40 sentences of de.txt"),
    (lambda: mine("--k", "0"), "k is 0; it must be between 1 and 1024"),
    (lambda: mine("--k", "four"), "--k"),
    (lambda: mine("--margin", "cosine"), "--margin"),
    (lambda: mine("--threads", "0"), "--threads"),
    (lambda: mine("--threshold", "nan"), "finite"),
    (lambda: mine("--threshold", "2", "--ceiling", "1"), "the threshold 2 is above the ceiling 1"),
    (lambda: mine("--treshold", "2"), "--treshold"),
    (lambda: mine(encoder="muse"), "bitextmine encoders pull muse"),
    (lambda: mine(encoder="../tiny"), "../tiny holds no encoder"),
    (lambda: mine("-o", "nowhere/pairs.tsv"), "cannot write nowhere/pairs.tsv"),
    (lambda: mine("-o", "data"), "cannot write data"),
    (lambda: mine("-o", "pairs.tsv.xz"), "pairs.tsv.xz: pairs are compressed as .gz or .zst"),
    (lambda: mine("--data-dir", "de.txt"), "the data directory de.txt cannot be used"),
    (lambda: evaluate(gold="missing.tsv"), "missing.tsv"),
    (lambda: evaluate(gold="empty.txt"), "empty.txt holds no gold pair"),
    (lambda: evaluate(gold="one.txt"), "one.txt, line 1: not a source id, a tab and a target id"),
    (lambda: evaluate(gold="wrong.tsv"), "'de-99' is not in its corpus"),
    (lambda: ["encoders", "pull", "nothing"], "there is no encoder named 'nothing'"),
    (lambda: ["encoders", "verify", "muse"], "not installed"),
    (lambda: ["worker"], "--redis-url"),
    (lambda: ["serve", "--port", "99999"], "--port"),
    (lambda: ["serve", "--host", "no.such.host.invalid"], "no.such.host.invalid"),
    (lambda: ["dig"], "dig"),
    (lambda: ["mine"], "SRC"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: Callable[[], list[str]], said: str
) -> None:
    Path("data").mkdir()
    Path("wrong.tsv").write_text("de-99\ten-1\n")
    assert run(arguments()) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert errors.startswith("bitextmine: ")
    assert said in errors
    assert errors.count("\n") == 1
    assert not [path for path in folder.glob(".*") if path.is_file()]


def test_a_wrong_output_is_refused_before_the_work(folder: Path) -> None:
    for output in ("nowhere/pairs.tsv", ".", "pairs.tsv.xz"):
        assert run(mine("-o", output)) == 2
    assert not (folder / "data").exists()


def test_an_unexpected_error_is_one_line_and_exit_code_1(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(mine()) == 0
    capfd.readouterr()
    for manifest in Path("data/artifacts/corpus").glob("*/manifest.json"):
        manifest.write_text("{")
    assert run(mine()) == 1
    errors = capfd.readouterr().err
    assert errors.count("\n") == 1
    assert "manifest.json cannot be read" in errors


def test_a_command_line_that_works_in_a_process_of_its_own(folder: Path) -> None:
    done = subprocess.run(command(*mine()), capture_output=True, text=True, check=True)
    assert "\t" in done.stdout
    assert "\x1b" not in done.stderr, "no progress bars in a pipe"
    assert len(done.stderr.splitlines()) == 2, "the plan, and what came out"
    failed = subprocess.run(command(*mine(src="missing.txt")), capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout, len(failed.stderr.splitlines())) == (2, "", 1)


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"bitextmine {__version__}\n"
