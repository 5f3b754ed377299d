"""Scoring: margins of pairs that someone else made."""

from __future__ import annotations

from collections.abc import Iterable

from bitextmine.client.answers import model
from bitextmine.client.corpora import sent_file
from bitextmine.client.mining import given
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Answer, Job
from bitextmine.client.sources import Progress, Source, name_of
from bitextmine.client.steps import Call, Flow


class PairScore(Answer):
    """What a pair's vectors say of it."""

    margin: float | None  # None where the neighbourhoods' mean is not positive
    cosine: float
    src_mean: float | None  # mean cosine of src to its k nearest in the target's background; None without one
    tgt_mean: float | None


class Background(Answer):
    """A corpus that pairs were compared with, and whether with each of its sentences."""

    corpus: str
    sentences: int
    exact: bool


class Scores(Answer):
    """The scores, in the order of the pairs."""

    scores: list[PairScore]
    encoder: str
    k: int
    margin: str
    src_background: Background | None
    tgt_background: Background | None
    truncated: int  # sentences of which only the beginning was read


class Scoring(Group[Mode]):
    """`client.score`, `client.score_file`"""

    @operation
    def score(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        src_lang: str,
        tgt_lang: str,
        src_background: str | None = None,
        tgt_background: str | None = None,
        encoder: str | None = None,
        k: int | None = None,
        margin: str | None = None,
        exact: bool | None = None,
        allow_uncovered_languages: bool | None = None,
    ) -> Flow[Scores]:
        """The scores of up to 1,000 pairs at once, as a mining job of the two backgrounds gives them.

        Args:
            pairs: (source, target) each.
            src_lang: Of the sources: de, deu, deu_Latn ...
            tgt_lang: Of the targets.
            src_background: A corpus of the source's language, by name; it must have been embedded.
            tgt_background: One of the target's language. Only the margin absolute needs none.
            encoder: The one that the backgrounds were embedded with; muse by default.
            k: Neighbours that a margin compares with; 4 by default.
            margin: ratio (the default), distance or absolute.
            exact: Compare with every sentence of a large background, not by an index.
            allow_uncovered_languages: Score languages that the encoder was not trained on.

        Raises:
            ServiceError: `corpus-not-found`, `corpus-not-embedded`, `background-needed`, `queue-full` ...
        """
        wanted = {
            "pairs": [{"src": src, "tgt": tgt} for src, tgt in pairs],
            "src_lang": src_lang,
            "tgt_lang": tgt_lang,
            "src_background": src_background,
            "tgt_background": tgt_background,
            "encoder": encoder,
            "k": k,
            "margin": margin,
            "exact": exact,
            "allow_uncovered_languages": allow_uncovered_languages,
        }
        return (yield from model(Scores, Call("POST", "/v1/score", json=given(wanted))))

    @operation
    def score_file(
        self,
        source: Source,
        *,
        src_lang: str,
        tgt_lang: str,
        format: str | None = None,
        columns: str | None = None,
        file_name: str | None = None,
        src_background: str | None = None,
        tgt_background: str | None = None,
        encoder: str | None = None,
        k: int | None = None,
        margin: str | None = None,
        allow_uncovered_languages: bool | None = None,
        progress: Progress | None = None,
    ) -> Flow[Job]:
        """Upload a bitext to score its pairs, and return the job, whose result names a bitext: see `jobs.wait`.

        Args:
            source: A path, bytes, or an open binary file: TSV, JSONL, TMX, or a zip that holds a Moses pair.
            src_lang: Of the sources: de, deu, deu_Latn ...
            tgt_lang: Of the targets.
            format: tsv, jsonl, tmx or moses; told by the file's name if absent.
            columns: A TSV's columns of source and target: 2,3 or german,english.
            file_name: Kept as provenance; the source's own by default.
            src_background: A corpus of the source's language, by name; by default the file's own sources.
            tgt_background: One of the target's language.
            encoder: One of `encoders()`; muse by default.
            k: Neighbours that a margin compares with; 4 by default.
            margin: ratio (the default), distance or absolute.
            allow_uncovered_languages: Score languages that the encoder was not trained on.
            progress: Called as progress("upload", bytes sent, bytes in all or None).

        Raises:
            ServiceError: `corpus-not-found`, `k-too-large`, `upload-too-large`, `too-many-jobs` ...
            CorpusInputError: `file-not-found`.
        """
        query = {
            "src_lang": src_lang,
            "tgt_lang": tgt_lang,
            "format": format,
            "columns": columns,
            "source": file_name or name_of(source),
            "src_background": src_background,
            "tgt_background": tgt_background,
            "encoder": encoder,
            "k": k,
            "margin": margin,
            "allow_uncovered_languages": allow_uncovered_languages,
        }
        return (yield from sent_file("/v1/scoring-jobs", query, source, progress))
