"""What the commands share: what they say, and the options that mean the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli.stages import say
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, check_readable, encoding_hint, format_of, ingest
from bitextmine.encoders.card import Precision
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.errors import ParameterError
from bitextmine.languages import parse_language
from bitextmine.margin import Margin, Retrieval
from bitextmine.progress import Progress
from bitextmine.resources import Provider, Resources, default_memory, default_threads, parse_memory
from bitextmine.workspace import DATA_DIR_VARIABLE, ENCODERS_DIR_VARIABLE, Workspace

if TYPE_CHECKING:
    from bitextmine.bitext import Bitext

REFUSALS_SHOWN = 10
MANY_REFUSED = 0.1  # of a file's lines
MANY_IDENTICAL = 0.01  # of the pairs

DataDir = Annotated[
    Path | None,
    typer.Option(envvar=DATA_DIR_VARIABLE, show_default=False, help="Where corpora, vectors and results are kept."),
]
EncodersDir = Annotated[
    Path | None,
    typer.Option(envvar=ENCODERS_DIR_VARIABLE, show_default=False, help="Where encoders are kept."),
]


class PrecisionChoice(StrEnum):
    """What `--precision` takes."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"

    @property
    def precision(self) -> Precision | None:
        """None leaves the choice to the encoder."""
        return None if self is PrecisionChoice.AUTO else Precision(self.value)


PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(help="Numbers to encode with; auto: int8 on CPUs, fp16 on GPUs, where installed, else fp32."),
]
MinedPrecision = Annotated[
    list[str] | None,
    typer.Option(
        "--precision",
        metavar="0.95|auto|fp32|fp16|int8",
        show_default="auto",
        help="A number: the share of pairs that shall be right, for which the threshold is chosen. A word: numbers to "
        "encode with, as for the other commands. May be given once of each.",
    ),
]
EncoderName = Annotated[str, typer.Option(help="The sentence encoder; see: bitextmine encoders list.")]
ProviderOption = Annotated[
    Provider,
    typer.Option(envvar="BITEXTMINE_PROVIDER", help="What the encoder runs on; auto is a GPU where one works."),
]
AllowCpuFallback = Annotated[
    bool,
    typer.Option(
        "--allow-cpu-fallback",
        envvar="BITEXTMINE_ALLOW_CPU_FALLBACK",
        help="With --provider cuda: go on on the CPU where no GPU works.",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, show_default="all cores", help="Threads to work with.")]
Memory = Annotated[
    str | None,
    typer.Option(help="Most memory to use, as 8GB.", show_default="0.6 of what is free"),
]
Gpus = Annotated[
    int | None, typer.Option(min=0, max=64, show_default="all that FAISS sees", help="GPUs that the search may use.")
]
SrcLang = Annotated[str, typer.Option(help="Language of the source: de, deu, deu_Latn, zh-Hans ...")]
TgtLang = Annotated[str, typer.Option(help="Language of the target.")]
K = Annotated[int, typer.Option(help="Neighbours a side that the margin looks at (WikiMatrix 4, CCMatrix 16).")]
MarginOption = Annotated[
    Margin, typer.Option(help="Score: cosine over (ratio) or minus (distance) the neighbourhood's mean, or cosine.")
]
Postprocess = Annotated[
    PostProcessing | None,
    typer.Option(
        parser=PostProcessing.parse,
        metavar="STEPS",
        show_default="none",
        help="Steps with commas between them (centre, outliers, zca), fitted on a sample of each corpus's vectors and "
        "done before the search.",
    ),
]
RetrievalOption = Annotated[
    Retrieval, typer.Option(help="Which candidates become pairs; max-score uses each sentence once.")
]
AllowUncovered = Annotated[
    bool, typer.Option("--allow-uncovered", help="Mine languages that the encoder was not trained on.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print a line for each finished stage where no progress bar can be.")
]


def split_precision(given: Sequence[str] | None) -> tuple[Precision | None, float | None]:
    """What `MinedPrecision` was given: the encoder's precision, and the share of right pairs asked for.

    Raises:
        ParameterError: neither a number nor a precision of encoders, or two of one kind.
    """
    words = [text for text in given or () if text in tuple(PrecisionChoice)]
    numbers = [text for text in given or () if text not in words]
    if len(words) > 1 or len(numbers) > 1:
        raise ParameterError("--precision is given twice: give one number, one word, or one of each")
    try:
        target = float(numbers[0]) if numbers else None
    except ValueError:
        message = f"--precision {numbers[0]!r} is neither a number, as 0.95, nor one of {', '.join(PrecisionChoice)}"
        raise ParameterError(message) from None
    return (PrecisionChoice(words[0]).precision if words else None), target


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


def resources(threads: int | None, memory: str | None, gpus: int | None = None, *, here: bool = True) -> Resources:
    """What a run may use: all cores, a share of the free memory and all GPUs, unless it is said.

    Args:
        here: whether it runs on this machine; on others nobody here can tell how many GPUs there are.

    Raises:
        ParameterError: `no-gpu`, there are fewer GPUs; or no amount of memory.
    """
    from bitextmine.search.gpu import check_gpus, gpu_count  # it loads FAISS

    if gpus is None:
        gpus = gpu_count()
    elif gpus and here:
        check_gpus(gpus)
    return Resources(threads or default_threads(), parse_memory(memory) if memory else default_memory(), gpus)


def corpus_file(path: Path, lang: str, form: CorpusFormat | None) -> CorpusFile:
    """A file to ingest, which is there and can be read; the format that its name tells, when none is given.

    Raises:
        LanguageError, CorpusInputError: before any work.
    """
    file = CorpusFile(path, parse_language(lang), form or format_of(path))
    check_readable(file)
    return file


def read_corpora(files: Sequence[CorpusFile], place: Workspace, progress: Progress) -> list[Corpus]:
    """Ingest the source and the target, and report the lines that were refused."""
    corpora = []
    for file, side in zip(files, ("src", "tgt"), strict=True):
        corpora.append(ingest(file, place.artifacts, progress=_named(side, progress)))
        _report_lines(file.label, corpora[-1])
    return corpora


def _named(side: str, progress: Progress) -> Progress:
    return lambda stage, done, total: progress(f"{stage}-{side}", done, total)


def _report_lines(path: str, corpus: Corpus) -> None:
    summary = corpus.summary
    if refused := sum(summary["refused"].values()):
        say(f"{path}: {refused:,} of {summary['lines']:,} lines refused, the others are used:")
        for refusal in islice(corpus.refusals(), REFUSALS_SHOWN):
            say(f"  line {refusal.line}: {refusal.reason}: {refusal.detail}")
        if refused > REFUSALS_SHOWN:
            say(f"  ... all of them: {corpus.artifact.path / 'refused.jsonl'}")
    if refused > MANY_REFUSED * summary["lines"]:
        hint = encoding_hint(summary["refused"], summary["lines"]) or "is that the right file, and the right --format?"
        say(f"warning: {path}: {refused / summary['lines']:.0%} of the lines were refused; {hint}")
    if summary["duplicates"]:
        say(f"{path}: {summary['duplicates']:,} lines repeat an earlier sentence; each sentence is mined once")


def report_pairs(bitext: Bitext, max_tokens: int) -> None:
    """Say what a look at the pairs would not tell: what was cut, and what is the same on both sides."""
    summary = bitext.summary
    for side in ("src", "tgt"):
        if zeros := summary.get(f"{side}_zeros"):
            say(f"warning: {zeros:,} {side} sentences have a vector of zeros, whose cosine with any other is 0")
    cut = {side: summary[f"{side}_truncated"] for side in ("src", "tgt")}
    if any(cut.values()):
        say(
            f"{cut['src']:,} source and {cut['tgt']:,} target sentences are longer than the encoder's {max_tokens} "
            "tokens: only their beginnings were compared"
        )
    if shared := summary["identical_sentences"]:
        say(f"warning: {shared:,} sentences are in both corpora")
    if documents := summary.get("documents"):
        say(f"{documents['linked_pairs']:,} pairs are of {documents['linked']:,} pairs of linked documents")
        if unknown := documents["unknown_links"]:
            say(f"warning: {unknown:,} links name a document that is not there")
    identical, dropped = summary["identical_pairs"], bitext.parameters["drop_identical"]
    if dropped and identical:
        say(f"{identical:,} pairs of a sentence with itself were dropped")
    elif identical > MANY_IDENTICAL * len(bitext):
        say(f"{identical:,} of {len(bitext):,} pairs are a sentence with itself; --drop-identical leaves them out")
