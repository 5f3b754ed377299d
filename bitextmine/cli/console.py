"""What the commands share: progress bars, messages, and the options that mean the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import rich.progress
import typer
from rich.console import Console

from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, format_of, ingest
from bitextmine.errors import ParameterError
from bitextmine.languages import parse_language
from bitextmine.margin import Margin, Retrieval
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources, default_memory, default_threads, parse_memory
from bitextmine.workspace import DATA_DIR_VARIABLE, ENCODERS_DIR_VARIABLE, Workspace

REFUSALS_SHOWN = 10
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

DataDir = Annotated[
    Path | None,
    typer.Option(envvar=DATA_DIR_VARIABLE, show_default=False, help="Where corpora, vectors and results are kept."),
]
EncodersDir = Annotated[
    Path | None,
    typer.Option(envvar=ENCODERS_DIR_VARIABLE, show_default=False, help="Where encoders are kept."),
]
EncoderName = Annotated[str, typer.Option(help="The sentence encoder; see: bitextmine encoders list.")]
Threads = Annotated[int | None, typer.Option(min=1, show_default="all cores", help="Threads to work with.")]
Memory = Annotated[
    str | None,
    typer.Option(help="Most memory to use, as 8GB.", show_default="0.6 of what is free"),
]
SrcLang = Annotated[str, typer.Option(help="Language of the source: de, deu, deu_Latn, zh-Hans ...")]
TgtLang = Annotated[str, typer.Option(help="Language of the target.")]
K = Annotated[int, typer.Option(help="Neighbours a side that the margin looks at (WikiMatrix 4, CCMatrix 16).")]
MarginOption = Annotated[
    Margin, typer.Option(help="Score: cosine over (ratio) or minus (distance) the neighbourhood's mean, or cosine.")
]
RetrievalOption = Annotated[
    Retrieval, typer.Option(help="Which candidates become pairs; max-score uses each sentence once.")
]
AllowUncovered = Annotated[
    bool, typer.Option("--allow-uncovered", help="Mine languages that the encoder was not trained on.")
]


def workspace(data_dir: Path | None, encoders_dir: Path | None) -> Workspace:
    """The workspace at these places; encoders are found wherever the data are, unless their place is given."""
    return Workspace.at(data_dir, encoders_dir)


def writable_workspace(data_dir: Path | None, encoders_dir: Path | None) -> Workspace:
    """The workspace, with its data directory made.

    Raises:
        ParameterError: nothing can be written there.
    """
    place = workspace(data_dir, encoders_dir)
    try:
        place.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"the data directory {place.root} cannot be used: {error.strerror}") from error
    if not os.access(place.root, os.W_OK | os.X_OK):
        raise ParameterError(f"the data directory {place.root} cannot be used: it is not writable")
    return place


def resources(threads: int | None, memory: str | None) -> Resources:
    return Resources(threads or default_threads(), parse_memory(memory) if memory else default_memory())


def say(message: str) -> None:
    """A line for the person at the terminal; results go to stdout, this goes to stderr."""
    stderr.print(message)


@contextmanager
def progress_shown() -> Iterator[Progress]:
    """A Progress that draws a bar a stage on a terminal, and nothing in a pipe."""
    if not stderr.is_terminal:
        yield silent
        return
    columns = (
        rich.progress.TextColumn("{task.description:<16}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TextColumn("{task.fields[rate]:>12}"),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    tasks: dict[str, rich.progress.TaskID] = {}
    with rich.progress.Progress(*columns, console=stderr) as bars:

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
            speed = bars.tasks[tasks[stage]].speed
            bars.update(tasks[stage], completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield show


def read_corpus(path: Path, lang: str, place: Workspace, form: CorpusFormat | None, progress: Progress) -> Corpus:
    """Ingest a file and report the lines that were refused."""
    file = CorpusFile(path, parse_language(lang), form or format_of(path))
    corpus = ingest(file, place.artifacts, progress=progress)
    summary = corpus.summary
    if refused := sum(summary["refused"].values()):
        say(f"{path}: {refused:,} of {summary['lines']:,} lines refused, the others are used:")
        for refusal in islice(corpus.refusals(), REFUSALS_SHOWN):
            say(f"  line {refusal.line}: {refusal.reason}: {refusal.detail}")
        if refused > REFUSALS_SHOWN:
            say(f"  ... all of them: {corpus.artifact.path / 'refused.jsonl'}")
    if summary["duplicates"]:
        say(f"{path}: {summary['duplicates']:,} lines repeat an earlier sentence; each sentence is mined once")
    return corpus
