"""`bitextmine mine --server`: upload what is not there yet, mine there, bring the pairs here."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitextmine.cli.filter_options import say_filtered
from bitextmine.cli.output import STDOUT
from bitextmine.cli.remote import connected, waited
from bitextmine.cli.stages import progress_shown, say
from bitextmine.corpus import CorpusFile, CorpusFormat, check_readable, format_of
from bitextmine.errors import NotFoundError, ParameterError, ServiceError
from bitextmine.exports import Compression, Export
from bitextmine.files import file_sha256
from bitextmine.languages import parse_language
from bitextmine.progress import Progress

if TYPE_CHECKING:
    from bitextmine.client import Client, Corpus, Job
    from bitextmine.filters import FilterSettings
    from bitextmine.mining import MiningParameters

_NO_NAME = re.compile("[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class RemoteSide:
    """A corpus to mine: a file here, or the name of a corpus there."""

    which: str  # src or tgt
    given: Path
    lang: str | None
    form: CorpusFormat | None


def mine_on_server(
    server: str,
    key: str | None,
    sides: Sequence[RemoteSide],
    encoder: str,
    how: tuple[MiningParameters, FilterSettings, float | None],
    output: Path,
    wanted: Export,
    *,
    verbose: bool,
) -> None:
    """Mine two corpora on a service and write the pairs as a local run would.

    Args:
        how: the parameters, the filters, and the precision that a threshold shall be chosen for.

    Raises:
        ServiceError: what the service refused; the job failed; `service-unreachable`.
        BitextmineError: a file, or the output.
    """
    started = time.monotonic()
    with connected(server, key) as client, progress_shown(verbose) as progress:
        corpora = [_corpus(client, side, progress) for side in sides]
        sent = _sent(client, (corpora[0].name, corpora[1].name), encoder, *how)
        job = waited(client, sent, progress)
        bitext = client.bitexts.get(job)
        _download(client, bitext.id, output, wanted, progress)
    if chosen := (job.result or {}).get("threshold"):
        say(_choice_line(chosen))
    if bitext.unfiltered_pairs is not None:
        say_filtered(bitext.model_dump())
    sizes = " x ".join(f"{corpus.sentences:,}" for corpus in corpora)
    seconds = time.monotonic() - started
    say(f"{bitext.pairs:,} pairs from {sizes} sentences in {seconds:.1f} s: bitext {bitext.id[:8]} on {server}")


def _choice_line(chosen: dict[str, Any]) -> str:
    """The threshold that the service chose; one of another version may say more of it."""
    from bitextmine.thresholds import Choice

    return Choice(**{field.name: chosen[field.name] for field in fields(Choice)}).line()


def _sent(
    client: Client,
    names: tuple[str, str],
    encoder: str,
    parameters: MiningParameters,
    filters: FilterSettings,
    precision: float | None,
) -> Job:
    rule = parameters.documents
    return client.mine(
        *names,
        encoder=encoder,
        k=parameters.k,
        margin=parameters.margin.value,
        retrieval=parameters.retrieval.value,
        threshold=parameters.threshold,
        precision=precision,
        ceiling=parameters.ceiling,
        method=parameters.method.value,
        target_recall=parameters.target_recall,
        allow_uncovered_languages=parameters.allow_uncovered_languages,
        drop_identical=parameters.drop_identical,
        filters=filters.as_json() if filters.filters else None,
        documents=rule.use.value if rule else None,
        document_bonus=rule.bonus if rule else None,
        document_links=rule.links.listed() if rule and rule.links else None,
    )


def refuse_local_options(given: dict[str, object]) -> None:
    """
    Raises:
        ParameterError: an option was given that says how this machine is to do it.
    """
    if wrong := [name for name, value in given.items() if value is not None]:
        message = f"{', '.join(wrong)}: not with --server, which decides that by its own settings"
        raise ParameterError(message)


def _corpus(client: Client, side: RemoteSide, progress: Progress) -> Corpus:
    """The corpus on the service: uploaded, unless the same file in the same language is there already."""
    if not side.given.exists():
        return _named(client, side)
    if side.lang is None:
        raise ParameterError(f"give --{side.which}-lang, the language of {side.given}")
    file = CorpusFile(side.given, parse_language(side.lang), side.form or format_of(side.given))
    check_readable(file)
    name = name_for(file)
    try:
        return client.corpora.get(name)
    except ServiceError as error:
        if error.code != "corpus-not-found":
            raise
    job = client.corpora.upload(
        side.given,
        name=name,
        lang=file.lang,
        format=file.format.value,
        progress=lambda _, done, total: progress(f"upload-{side.which}", done, total),
    )
    waited(client, job, lambda stage, done, total: progress(f"{stage}-{side.which}", done, total))
    corpus = client.corpora.get(name)
    _report(side.given, corpus)
    return corpus


def _named(client: Client, side: RemoteSide) -> Corpus:
    name = str(side.given)
    try:
        found = client.corpora.get(name)
    except ServiceError as error:
        if error.status not in (404, 422):  # 422: no name that a corpus can have
            raise
        message = f"there is neither a file {name} here nor a corpus of that name there"
        raise NotFoundError(message, code="file-not-found") from None
    if side.lang is not None and parse_language(side.lang) != found.lang:
        raise ParameterError(f"corpus {name} is in {found.lang}, not in {side.lang}")
    return found


def name_for(file: CorpusFile) -> str:
    """A name that stands for the file's content, language and format, and says which file it is."""
    sha256 = hashlib.sha256(f"{file_sha256(file.path)} {file.lang} {file.format}".encode()).hexdigest()
    stem = _NO_NAME.sub("-", file.path.name.lower()).strip("-._")[:40].strip("-._") or "corpus"
    return f"{stem}-{sha256[:12]}"


def _report(path: Path, corpus: Corpus) -> None:
    if refused := sum(corpus.refused.values()):
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in corpus.refused.items())
        say(f"{path}: {refused:,} of {corpus.lines:,} lines refused ({reasons}), the others are used")
    if corpus.duplicates:
        say(f"{path}: {corpus.duplicates:,} lines repeat an earlier sentence; each sentence is mined once")


def _download(client: Client, bitext: str, output: Path, wanted: Export, progress: Progress) -> None:
    client.bitexts.download(
        bitext,
        sys.stdout.buffer if output == STDOUT else output,
        format=wanted.form.value,
        compress=None if wanted.compression is Compression.NONE else wanted.compression.value,
        side=None if wanted.side is None else wanted.side.value,
        progress=progress,
    )
