"""The command line where the world is unkind: wrong names, full disks, early interrupts, doubtful input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bitextmine.cli import run

SENTENCES = 40


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    for language, word in (("de", "Haus"), ("en", "house")):
        Path(language).write_text("".join(f"{word} {n} station {n * 37 % 101}\n" for n in range(SENTENCES)))
    return tmp_path


def mine(*more: str, tgt: str = "en", tgt_lang: str = "en") -> list[str]:
    return ["mine", "de", tgt, "--src-lang", "de", "--tgt-lang", tgt_lang, "--encoder", "tiny", *more]


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (["-o", "pairs.TSV"], ""),
        (["-o", "pairs.txt"], ""),
        (["-o", "pairs"], ""),
        (["-o", "pairs.JSONL"], "{"),
        (["-o", "pairs.ndjson"], "{"),
        (["-o", "pairs.csv", "--output-format", "jsonl"], "{"),
        (["-o", "pairs.jsonl", "--output-format", "tsv"], ""),
    ],
)
def test_the_output_is_written_as_its_name_or_the_option_says(folder: Path, options: list[str], first: str) -> None:
    assert run(mine(*options)) == 0
    assert (Path(options[1]).read_text()[0] == "{") is bool(first)


def test_stdout_can_be_jsonl(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(mine("--output-format", "jsonl")) == 0
    assert capfd.readouterr().out.startswith("{")


@pytest.mark.parametrize("suffix", ["csv", "json", "XZ", "tar.gz", "zip.gz", "2024"])
def test_an_output_of_another_kind_is_refused_before_the_work(folder: Path, suffix: str) -> None:
    assert run(mine("-o", f"pairs.{suffix}")) == 2
    assert not (folder / "data").exists()


@pytest.mark.parametrize(("tgt", "tgt_lang"), [("missing", "en"), ("en", "klingonisch"), ("en", "cs")])
def test_a_wrong_target_is_refused_before_the_source_is_read(folder: Path, tgt: str, tgt_lang: str) -> None:
    assert run(mine(tgt=tgt, tgt_lang=tgt_lang)) == 2
    options = ["--src", "de", "--tgt", tgt, "--gold", "gold", "--src-lang", "de", "--tgt-lang", tgt_lang]
    Path("gold").write_text("1\t1\n")
    assert run(["evaluate", "mining", *options, "--encoder", "tiny"]) == 2
    assert not list(folder.glob("data/artifacts/*/*"))


def test_truncated_and_identical_sentences_and_refusals_are_mentioned(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Path("de").open("ab") as stream:
        stream.write(b"house 1 station 37\n" + b"Haus " * 99 + b"\n" + "für\n".encode("latin-1") * 20)
    assert run(mine()) == 0
    said = capfd.readouterr().err
    assert "1 source and 0 target sentences are longer than the encoder's 64 tokens" in said
    assert "warning: 1 sentences are in both corpora" in said
    assert "1 of 38 pairs are a sentence with itself; --drop-identical leaves them out" in said
    assert "warning: de: 32% of the lines were refused; is it Latin-1?" in said
    assert run(mine("--drop-identical")) == 0
    printed, said = capfd.readouterr()
    assert len(printed.splitlines()) == 37
    assert "1 pairs of a sentence with itself were dropped" in said


def test_verbose_prints_a_line_for_each_stage_in_a_log(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(mine("--verbose")) == 0
    stages = [line.partition(":")[0] for line in capfd.readouterr().err.splitlines()]
    wanted = ["ingest-src", "ingest-tgt", "embed-src", "embed-tgt", "score"]
    assert [stage for stage in stages if stage in wanted] == wanted


def python(code: str, **streams: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=False, text=True, stderr=subprocess.PIPE, **streams)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("arguments", [["mine"], ["--help"], ["--version"], ["encoders", "list"], ["mine", "--help"]])
def test_a_full_disk_behind_stdout_is_one_line(folder: Path, arguments: list[str]) -> None:
    words = mine() if arguments == ["mine"] else arguments
    with Path("/dev/full").open("w") as full:
        done = python(f"import sys; from bitextmine.cli import run; sys.exit(run({words!r}))", stdout=full)
    said = [line for line in done.stderr.splitlines() if not line.startswith("plan: ")]
    assert (done.returncode, len(said)) == (1, 1)
    assert said[0].startswith("bitextmine: no space left on the disk")


@pytest.mark.parametrize("module", ["typer", "pyarrow", "numba", "rich.progress"])
def test_ctrl_c_while_modules_are_imported_is_130_and_one_line(module: str) -> None:
    code = f"""
import sys
class Interrupt:
    def find_spec(self, name, *more):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from bitextmine.cli import main
sys.argv[1:] = ["--help"]
main()
"""
    done = python(code, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "bitextmine: interrupted\n")


@pytest.mark.parametrize(("raised", "code", "said"), [("3", 3, ""), ("", 0, ""), ("'why'", 1, "bitextmine: why\n")])
def test_an_exit_keeps_its_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], raised: str, code: int, said: str
) -> None:
    def leave(arguments: list[str]) -> int:
        exec(f"raise SystemExit({raised})")
        return 0

    monkeypatch.setattr("bitextmine.cli.app.call", leave)
    assert run([]) == code
    assert capfd.readouterr().err == said


def test_help_does_not_wait_for_what_only_mining_needs() -> None:
    code = "import sys; from bitextmine.cli import run; run(['--help']); sys.exit('onnxruntime' in sys.modules)"
    assert python(code, stdout=subprocess.PIPE).returncode == 0
