"""Preparation: many source files in, one corpus of sentences worth mining out, and an account of what is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bitextmine.artifacts import ArtifactStore, Staging
from bitextmine.corpus import Corpus, CorpusFile, Reason, check_readable
from bitextmine.corpus.build import continue_corpus
from bitextmine.corpus.cleaning import SentenceBlock
from bitextmine.corpus.corpus import COPIES, SENTENCES
from bitextmine.corpus.dedup import SeenSentences, hash_sentences
from bitextmine.corpus.parts import CorpusPart
from bitextmine.corpus.refused import REFUSED, RefusalLog
from bitextmine.corpus.writer import CorpusWriter
from bitextmine.errors import CorpusInputError
from bitextmine.preparation.excluded import excluded_sentences
from bitextmine.preparation.language import Language
from bitextmine.preparation.near import NearSentences
from bitextmine.preparation.parameters import PreparationParameters, Split
from bitextmine.preparation.reading import Source, SourceReader
from bitextmine.preparation.rejected import REJECTS, RejectLog
from bitextmine.preparation.report import SUMMARY, PreparationReport, report_of
from bitextmine.preparation.sentences import UNSPLIT
from bitextmine.preparation.sieve import Sieve
from bitextmine.preparation.wanted import Wanted, find_former
from bitextmine.progress import Progress, silent

STAGE = "prepare"
_FORMER = "read-former"
Keep = Callable[[SentenceBlock], object]


def prepare(
    sources: Sequence[Path],
    lang: str,
    store: ArtifactStore,
    parameters: PreparationParameters | None = None,
    *,
    after: Corpus | None = None,
    progress: Progress = silent,
) -> Corpus:
    """The corpus of the sentences of source files, in their order, that all rules pass: found, or made.

    What it is depends on the content of the files, their names below the directory that they share, the language and
    the parameters. `report_of` and `rejects` say what was dropped. Progress counts bytes.

    Args:
        lang: any code that `parse_language` takes.
        after: a corpus prepared with the same parameters from the first of the sources; when none is given, the store
            is searched for one. Only the other sources are read then, and the sentences that were there keep their
            rows. The corpus is the one that all sources make from scratch, so one that does not fit is passed over.
    Raises:
        CorpusInputError: a source as a whole is unusable (see `SourceReader.blocks`), or holds no sentence; or nothing
            is left of all of them: `empty-corpus`. Nothing was published.
        LanguageError
        DiskFullError: nothing was published.
    """
    wanted = Wanted.of(sources, lang, parameters or PreparationParameters(), progress)
    if (artifact := store.find(wanted.key)) is None:
        former = after if after is not None and wanted.continues(after.artifact) else find_former(wanted, store)
        with store.publish(wanted.key) as staging:
            _write(wanted, former, staging, progress)
        artifact = store.find(wanted.key)
    if artifact is None:
        raise CorpusInputError("the corpus vanished while it was published")
    return Corpus(artifact)


def rehearse(
    sources: Sequence[Path], lang: str, parameters: PreparationParameters | None = None, *, progress: Progress = silent
) -> PreparationReport:
    """What `prepare` would do, without making anything. Raises as it does, but for when nothing is left."""
    wanted = Wanted.of(sources, lang, parameters or PreparationParameters(), progress)
    seen, log = SeenSentences(), RejectLog()
    near = NearSentences(wanted.parameters.near_duplicates)
    refused = RefusalLog()
    kept = 0

    def keep(block: SentenceBlock) -> None:
        nonlocal kept
        refused.add(block.refused)
        kept += len(block.texts)
        if block.texts:
            seen.add(hash_sentences(block.texts))

    lines = _sifted(wanted, None, _sieve(wanted, near, seen, progress), keep, log, progress)
    return _report(wanted, [count for _, count in lines], kept, seen.count, refused, log)


def _write(wanted: Wanted, former: Corpus | None, staging: Staging, progress: Progress) -> None:
    near = NearSentences(wanted.parameters.near_duplicates)
    if former is not None:
        for shard in former.shards:
            near.add(former.shard_texts(shard))
            progress(_FORMER, shard.stop, len(former))
    first = CorpusPart(len(former.parts) if former else 0, "", 0, 0, 0, 0)
    with (
        CorpusWriter(staging.path, wanted.parameters.shard_rows, after=former, meta=True) as writer,
        (staging.path / first.file(REJECTS)).open("w", encoding="utf-8") as stream,
    ):
        log = RejectLog(stream)
        sieve = _sieve(wanted, near, writer.seen, progress)
        counts = []
        for source, lines in _sifted(wanted, former, sieve, writer.add, log, progress):
            writer.end_part(source.name, lines, source.sha256)
            counts.append(lines)
    kept = writer.new_sentences + writer.duplicates
    report = _report(wanted, counts, kept, writer.new_sentences, writer.refusals, log)
    parts = writer.ended_parts()
    staging.summary |= {
        "lines": report.lines,
        "sentences": writer.sentences,
        "duplicates": writer.duplicates,
        "refused": dict(writer.refusals.counts),
        "shards": writer.shard_digests,
        "parts": [part.record() for part in parts],
    }
    if former is not None:
        continue_corpus(former, parts, staging, (SENTENCES, COPIES, REFUSED, REJECTS))
        if (earlier := report_of(former)) is not None:
            report = report.after(earlier)
    if not writer.sentences:
        raise CorpusInputError(report.why_empty(), code="empty-corpus")
    staging.summary[SUMMARY] = report.as_json()


def _sieve(wanted: Wanted, near: NearSentences, seen: SeenSentences, progress: Progress) -> Sieve:
    excluded = excluded_sentences(wanted.excluded, wanted.lang, wanted.parameters, progress)
    return Sieve(wanted.parameters.rules(wanted.lang), near, seen, excluded)


def _sifted(
    wanted: Wanted, former: Corpus | None, sieve: Sieve, keep: Keep, log: RejectLog, progress: Progress
) -> Iterable[tuple[Source, int]]:
    """Each source but the former corpus's, with the number of its lines, once its sentences were kept or logged.

    Raises:
        CorpusInputError: a source is unusable.
    """
    reader = SourceReader(wanted.lang, wanted.parameters)
    parts = former.parts if former else []
    sources, before = wanted.sources[len(parts) :], sum(part.lines for part in parts)
    sizes = [check_readable(CorpusFile(source.path, wanted.lang)) for source in sources]
    done, total = 0, sum(sizes)
    for source, size in zip(sources, sizes, strict=True):
        refused, lines, usable = RefusalLog(), 0, 0
        for block in reader.blocks(source, before):
            refused.add(block.sentences.refused)
            lines += block.lines
            usable += len(block.sentences.texts)
            keep(_kept(block.sentences, source, sieve, log))
            progress(STAGE, min(done + block.consumed, total), total)
        if not usable and set(refused.counts) - {Reason.EMPTY.value}:
            raise CorpusInputError(refused.why_empty(source.label, "sentence", lines), code="empty-corpus")
        done, before = done + size, before + lines
        yield source, lines
    progress(STAGE, total, total)


def _kept(block: SentenceBlock, source: Source, sieve: Sieve, log: RejectLog) -> SentenceBlock:
    """What stays of a block; the rest is logged."""
    drops = sieve.sift(block.texts)
    if not any(drops):
        return block
    kept = SentenceBlock(refused=block.refused)
    for row, drop in enumerate(drops):
        if drop is not None:
            log.add(source.name, block.lines[row], block.doc_ids[row], block.texts[row], drop)
            continue
        kept.texts.append(block.texts[row])
        kept.lines.append(block.lines[row])
        kept.ids.append(block.ids[row])
        kept.doc_ids.append(block.doc_ids[row])
        kept.metas.append(block.metas[row])
    return kept


def _report(
    wanted: Wanted, lines: Sequence[int], kept: int, distinct: int, refused: RefusalLog, log: RejectLog
) -> PreparationReport:
    return PreparationReport(
        files=len(lines),
        lines=sum(lines),
        sentences=kept + log.counts.total(),
        kept=distinct,
        duplicates=kept - distinct,
        refused=dict(refused.counts),
        dropped=dict(log.counts),
        examples=log.examples,
        notes=_notes(wanted),
    )


def _notes(wanted: Wanted) -> tuple[str, ...]:
    """What the rules cannot do in this language."""
    notes = []
    code = wanted.lang.partition("_")[0]
    rule = next((rule for rule in wanted.parameters.rules(wanted.lang) if isinstance(rule, Language)), None)
    if rule is not None and not rule.is_known:
        notes.append(f"the language identifier does not know {code}: the rule {rule.name} passes all sentences")
    elif rule is not None and rule.most >= 1:
        notes.append(f"{code} can hardly be told from languages close to it: the rule {rule.name} passes all sentences")
    if wanted.parameters.split is not Split.NEVER and code in UNSPLIT:
        notes.append(f"nothing marks where sentences of {code} end: documents are split into lines only")
    return tuple(notes)
