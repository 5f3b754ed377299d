"""The command line as a process: help, progress bars, pipes that close, Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from bitextmine.cli import run
from bitextmine.cli.app import app
from tests.integration.waiting import heed_ctrl_c, unmeasured_environment, wait_until
from tests.tiny_encoder import build_tiny_encoder

LARGE = 60_000  # sentences: seconds of work
EMBEDDINGS = 8  # shards of vectors that two such corpora make


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("encoders")
    build_tiny_encoder(directory / "tiny")
    return {**unmeasured_environment(), "BITEXTMINE_ENCODERS_DIR": str(directory), "TERM": "xterm", "COLUMNS": "100"}


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    starter = Start(tmp_path, environment)
    yield starter
    for process in starter.processes:
        process.kill()
        process.communicate()


class Start:
    """Starts `bitextmine mine` on so many sentences a side."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self._environment = environment

    def __call__(self, sentences: int, *more: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        for language, word in (("de", "Haus"), ("en", "house")):
            lines = (f"{word} {n} station {n * 37 % 101} museum {n * n % 997}\n" for n in range(sentences))
            (self.folder / language).write_text("".join(lines))
        command = [sys.executable, "-m", "bitextmine", "mine", "de", "en", "--src-lang", "de", "--tgt-lang", "en"]
        process = subprocess.Popen(
            [*command, "--encoder", "tiny", "--data-dir", "data", *more],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - the tests have one thread
        )
        self.processes.append(process)
        return process


def commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command by its words, with the options that it has."""
    for name, command in group.commands.items():
        words = (*path, name)
        yield words, [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
        if isinstance(command, TyperGroup):
            yield from commands(command, words)


def _every_command() -> list[tuple[tuple[str, ...], list[str]]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return [((), ["--version"]), *commands(group)]


@pytest.mark.parametrize(("words", "options"), _every_command(), ids=lambda value: "-".join(value)[:30])
def test_help_mentions_every_option(
    words: tuple[str, ...], options: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run([*words, "--help"]) == 0
    printed, errors = capfd.readouterr()
    assert errors == ""
    assert "Usage: " in printed
    for option in options:
        assert option in printed


def test_progress_bars_on_a_terminal_only(start: Start) -> None:
    ours, theirs = pty.openpty()
    process = start(200, stderr=theirs)
    os.close(theirs)
    drawn = b""
    try:
        while chunk := os.read(ours, 4096):
            drawn += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    for stage in ("ingest-src", "ingest-tgt", "embed-src", "embed-tgt", "score"):
        assert stage in drawn.decode()
    assert "100%" in drawn.decode()
    assert process.stdout is not None
    assert process.stdout.read().count("\n") > 100


@pytest.mark.parametrize("output", ["-", "/dev/stdout"])
@pytest.mark.parametrize(("sentences", "reader"), [(200, ["true"]), (5000, ["head", "-1"])])
def test_a_pipe_that_closes_early_is_no_error(start: Start, sentences: int, reader: list[str], output: str) -> None:
    process = start(sentences, "-o", output)
    assert process.stdout is not None
    read = subprocess.run(reader, stdin=process.stdout, capture_output=True, text=True, check=True)
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read().splitlines()
    assert [line for line in said if not line.startswith("plan: ")] == []
    assert process.wait() == 0
    assert read.stdout.count("\n") == (reader[0] == "head")


@pytest.mark.parametrize(
    "under_way", [".staging/*/sentences.arrow", "corpus/*/manifest.json", "embeddings/*/manifest.json"]
)
def test_ctrl_c_is_130_and_leaves_nothing_half_done(start: Start, under_way: str) -> None:
    """While a corpus is read, while the next or sentences' vectors are made, and while neighbours are searched."""
    made = start.folder / "data" / "artifacts"
    process = start(LARGE, "-o", "pairs.tsv")
    wait_until(lambda: any(path.stat().st_size for path in made.glob(under_way)), under_way)
    if under_way.startswith("embeddings"):
        wait_until(lambda: len(list(made.glob(under_way))) == EMBEDDINGS, "all is embedded")
        time.sleep(0.5)  # compiled code is loaded, and meanwhile a Ctrl-C may get lost in it
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    said = [line for line in errors.splitlines() if not line.startswith("plan: ")]
    assert (process.returncode, said) == (130, ["bitextmine: interrupted"])
    assert list((made / ".staging").iterdir()) == []
    assert {path.name for path in start.folder.iterdir()} == {"de", "en", "data"}
