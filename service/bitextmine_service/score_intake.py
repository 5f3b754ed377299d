"""How a file of pairs becomes a scoring job: sent as the body, or uploaded before in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from fastapi import Request
from fastapi.responses import JSONResponse

from bitextmine.encoders import open_encoder
from bitextmine.jobs.once import Claim
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.specs import ScoreSpec
from bitextmine.languages import parse_language
from bitextmine.pair_files import Columns, PairFile, PairFormat, pair_format_of
from bitextmine.scoring import Background, ScoringParameters, check_background, check_languages
from bitextmine_service.context import Context
from bitextmine_service.idempotency import once
from bitextmine_service.intake import body_accepted, finished_upload, refuse_body
from bitextmine_service.models.score import ScoreIn, ScoringJobIn
from bitextmine_service.uploads import Upload


def parameters_of(wanted: ScoreIn | ScoringJobIn) -> ScoringParameters:
    return ScoringParameters(
        k=wanted.k, margin=wanted.margin, allow_uncovered_languages=wanted.allow_uncovered_languages
    )


@dataclass(frozen=True)
class ScoreIntake:
    """A request to score a file."""

    context: Context
    wanted: ScoringJobIn

    async def accept(self, request: Request, key: str | None) -> JSONResponse:
        """202 with the job; what cannot work is refused before the file is read.

        Raises:
            NotFoundError: `corpus-not-found`, `encoder-not-installed`, `upload-not-found`, `upload-expired`.
            ConflictError: `upload-incomplete`, `upload-in-use`, `upload-locked`.
            CorpusInputError: see `uploads.receive`; `unsupported-input`.
            LanguageError, ParameterError: as `score_file`.
            BitextmineError: `too-many-jobs`, `upload-stalled`.
        """
        same = {"route": "scoring-jobs", **self.wanted.model_dump(mode="json")}
        if self.wanted.upload is not None:
            refuse_body(request, "`upload`")
            return await to_thread.run_sync(once, self.context, key, same, self._submit_upload)
        return await body_accepted(self.context, request, key, same, check=self._check, make=self._submit_body)

    def _submit_body(self, upload: Upload, claim: Claim | None) -> JobRecord:
        return self._submit(claim, self.wanted.source, upload.name, upload.sha256)

    def _submit_upload(self, claim: Claim | None) -> JobRecord:
        self.context.check_room_for_a_job()
        name = str(self.wanted.upload)
        with finished_upload(self.context, name) as filename:
            return self._submit(claim, self.wanted.source or filename, name)

    def _submit(self, claim: Claim | None, source: str | None, upload: str, sha256: str = "") -> JobRecord:
        spec = self._spec(source).model_copy(update={"upload": upload, "sha256": sha256})
        return self.context.submit(JobKind.SCORE, spec, claim=claim)

    def _check(self) -> None:
        self.context.check_room_for_a_job()
        self._spec(self.wanted.source)

    def _spec(self, source: str | None) -> ScoreSpec:
        """The job, but for the file."""
        wanted, parameters = self.wanted, parameters_of(self.wanted)
        source = source or f"pairs.{wanted.format or PairFormat.TSV}"
        src_lang, tgt_lang = parse_language(wanted.src_lang), parse_language(wanted.tgt_lang)
        form = wanted.format or pair_format_of(Path(source))
        columns = None if wanted.columns is None else Columns.parse(wanted.columns)
        PairFile(Path(source), src_lang, tgt_lang, form, columns=columns)  # refuses what makes no sense together
        settings = self.context.settings
        check_languages((src_lang, tgt_lang), open_encoder(wanted.encoder, settings.encoders_dir), parameters)
        return ScoreSpec(
            upload="",
            sha256="",
            source=source,
            format=form.value,
            columns=None if columns is None else str(columns),
            src_lang=src_lang,
            tgt_lang=tgt_lang,
            src_background=wanted.src_background,
            tgt_background=wanted.tgt_background,
            src_digest=self._background(wanted.src_background, src_lang, parameters),
            tgt_digest=self._background(wanted.tgt_background, tgt_lang, parameters),
            encoder=wanted.encoder,
            k=wanted.k,
            margin=wanted.margin.value,
            max_chars=settings.max_chars,
            max_bytes=settings.max_expanded_bytes,
            allow_uncovered_languages=wanted.allow_uncovered_languages,
        )

    def _background(self, name: str | None, lang: str, parameters: ScoringParameters) -> str | None:
        """The digest of a background that fits; None without one."""
        if name is None:
            return None
        corpus = self.context.catalog.open(name)
        check_background(Background(corpus, name), lang, parameters)
        return corpus.digest
