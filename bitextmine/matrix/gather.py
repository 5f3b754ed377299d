"""The corpora of a run, made of their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from bitextmine.corpus import Corpus
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.executors.task import Executor, Needs, Task
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.choice import NamePair, PairChoice
from bitextmine.matrix.plan import MOST_CORPORA, MatrixCorpus
from bitextmine.matrix.sources import CorpusSource
from bitextmine.matrix.tasks import prepare_corpus
from bitextmine.mining import MiningParameters, check_languages
from bitextmine.progress import Progress, silent

STAGE = "prepare"


def check_sources(
    sources: Sequence[CorpusSource], choice: PairChoice, encoder: Encoder, mining: MiningParameters
) -> list[NamePair]:
    """The pairs of corpora that are not made yet, refused for what can be known of them before.

    Raises:
        ParameterError: as `PairChoice.pairs`; `too-many-pairs`, for corpora too.
        LanguageError: `language-not-covered` by the encoder.
    """
    if len(sources) > MOST_CORPORA:
        raise ParameterError(f"{len(sources):,} corpora are more than {MOST_CORPORA:,}", code="too-many-pairs")
    languages = {source.name: source.lang for source in sources}
    pairs = choice.pairs(languages)
    check_languages((languages[name] for name in dict.fromkeys(chain.from_iterable(pairs))), encoder, mining)
    return pairs


def gather(
    sources: Sequence[CorpusSource], bench: Bench, executor: Executor, *, progress: Progress = silent
) -> list[MatrixCorpus]:
    """Make every corpus, or find it, in the order of the sources. Progress counts corpora.

    Raises:
        BitextmineError: the first that cannot be made says why; nothing was mined yet.
    """
    needs = Needs(memory_bytes=bench.memory_bytes)
    for source in sources:
        task = Task(
            name=f"{STAGE} {source.name}",
            stage=STAGE,
            function=prepare_corpus,
            arguments=(bench, source.as_json()),
            needs=needs,
        )
        executor.submit(task)
    digests: dict[str, str] = {}
    for done in range(1, len(sources) + 1):
        outcome = executor.next()
        if outcome.error is not None:
            raise outcome.error
        digests[outcome.task.name] = outcome.value["digest"]
        progress("corpora", done, len(sources))
    return [MatrixCorpus(source.name, _opened(bench, digests[f"{STAGE} {source.name}"])) for source in sources]


def _opened(bench: Bench, digest: str) -> Corpus:
    return bench.corpus(bench.workspace.artifacts, digest)


def preparing(bench: Bench) -> Bench:
    """The bench of preparation, with a stage log of its own: a run has no name before its corpora are there."""
    return replace(bench, log=str(Path(bench.root) / "matrices" / "corpora"))
