"""Retrieval accuracy on the Tatoeba test set of Artetxe & Schwenk (2019), "Massively multilingual sentence embeddings
for zero-shot cross-lingual transfer and beyond" (TACL), appendix; the protocol is that of `retrieval.accuracies`.

The set lies in a directory as `tatoeba.<code>-eng.<code>` and `tatoeba.<code>-eng.eng`, aligned line by line, up to
1,000 sentences for each of 112 languages. Codes are ISO 639-3, and some of them obsolete.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from bitextmine.encoders import Encoder
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.errors import InputError, LanguageError, NotFoundError, ParameterError
from bitextmine.evaluation.retrieval import Accuracy, accuracies, check_k
from bitextmine.evaluation.sentences import read_aligned
from bitextmine.languages import parse_language
from bitextmine.margin import Margin
from bitextmine.progress import Progress, silent

MOST_SENTENCES = 10_000  # a side: all scores of a language are held at once
ENGLISH = "eng"
# The languages of the multilingual Universal Sentence Encoder other than English: "14 langs" in the table of Tatoeba
# accuracies of Feng et al. (2022), "Language-agnostic BERT sentence embedding". Both Chinese scripts are cmn here.
MUSE_14 = (
    *("ara", "cmn", "deu", "fra", "ita", "jpn", "kor"),
    *("nld", "pol", "por", "rus", "spa", "tha", "tur"),
)
# The Tatoeba task of Hu et al. (2020), "XTREME": its 40 languages but English, Burmese, Malay and Yoruba.
XTREME_36 = (
    *("afr", "ara", "ben", "bul", "cmn", "deu", "ell", "est", "eus", "fin", "fra", "heb"),
    *("hin", "hun", "ind", "ita", "jav", "jpn", "kat", "kaz", "kor", "mal", "mar", "nld"),
    *("pes", "por", "rus", "spa", "swh", "tam", "tel", "tgl", "tha", "tur", "urd", "vie"),
)
SUBSETS: Mapping[str, tuple[str, ...]] = {"14": MUSE_14, "36": XTREME_36}
ALL, COVERED = "all", "covered"


@dataclass(frozen=True, slots=True)
class LanguageTest:
    """The sentences of a language and their English translations, row by row."""

    code: str  # as the files have it
    sentences: list[str]
    english: list[str]

    def __len__(self) -> int:
        return len(self.sentences)


@dataclass(frozen=True, slots=True)
class LanguageResult:
    """How well a language is found from English (`Accuracy.backward`), and English from it (`Accuracy.forward`)."""

    code: str
    language: str | None  # deu_Latn; None where the code is not one that is known
    covered: bool | None  # whether the encoder claims it; None where it claims nothing
    n: int
    plain: Mapping[Margin, Accuracy]
    processed: Mapping[str, Mapping[Margin, Accuracy]]  # by post-processing


def languages_in(directory: Path) -> list[str]:
    """The codes that the test set in a directory has, in alphabetical order.

    Raises:
        NotFoundError: there is none (code file-not-found).
    """
    prefix, suffix = "tatoeba.", f"-{ENGLISH}.{ENGLISH}"
    names = sorted(path.name for path in directory.glob(f"{prefix}*{suffix}"))
    if not names:
        message = f"{directory} holds no Tatoeba test set: no file is named {prefix}<language>{suffix}"
        raise NotFoundError(message, code="file-not-found")
    return [name.removeprefix(prefix).removesuffix(suffix) for name in names]


def chosen_languages(wanted: str, directory: Path, encoder: Encoder) -> list[str]:
    """The codes that a person asks for.

    Args:
        wanted: `all` in the directory, those of them that are `covered` by the encoder, `14` or `36` (see SUBSETS), or
            codes with commas between them, in any form that stands for a language of the set: deu, de, deu_Latn.

    Raises:
        ParameterError: no language is asked for, or none is covered.
        LanguageError: a code stands for no language.
        NotFoundError: the directory has no test set, or not of a language that is asked for (code file-not-found).
    """
    there = languages_in(directory)
    if wanted == ALL:
        return there
    if wanted == COVERED:
        codes = [code for code in there if is_covered(code, encoder)]
        if not codes:
            raise ParameterError(f"{directory} has no language that the encoder {encoder.name} says it covers")
        return codes
    asked = SUBSETS.get(wanted) or tuple(code.strip() for code in wanted.split(",") if code.strip())
    if not asked:
        raise ParameterError("no language is given; write codes with commas between them, 14, 36, covered or all")
    return list(dict.fromkeys(_code_in(there, code, directory) for code in asked))


def is_covered(code: str, encoder: Encoder) -> bool | None:
    """Whether the encoder says that it was trained on a language of the set; None where it says nothing."""
    return _language(code) in encoder.languages if encoder.languages else None


def read_test(directory: Path, code: str) -> LanguageTest:
    """The test of a language.

    Raises:
        CorpusInputError: a file is missing, empty or has a line that is no sentence.
        InputError: `not-aligned`, or `input-too-large` for scores of all pairs.
    """
    stem = f"tatoeba.{code}-{ENGLISH}"
    test = LanguageTest(code, *read_aligned(directory / f"{stem}.{code}", directory / f"{stem}.{ENGLISH}"))
    if len(test) > MOST_SENTENCES:
        message = f"{stem}.{code} has {len(test):,} sentences, more than {MOST_SENTENCES:,}; use: evaluate xsim"
        raise InputError(message, code="input-too-large")
    return test


def evaluate_languages(
    tests: Sequence[LanguageTest],
    encoder: Encoder,
    *,
    k: int = 4,
    margins: Collection[Margin] = (Margin.RATIO, Margin.ABSOLUTE),
    postprocessings: Sequence[PostProcessing] = (),
    progress: Progress = silent,
) -> list[LanguageResult]:
    """The accuracies of each test, without post-processing and with each one.

    A post-processing is fitted on the very vectors of each side that it is judged on. It sees no alignment, but the
    figure is for a sample that is known beforehand (transductive), not for new sentences.

    Raises:
        ParameterError: `invalid-k`, `k-too-large` or `too-few-vectors`, before anything is encoded.
        EncoderError, InputError: see `Encoder.encode`.
    """
    for test in tests:
        check_k(k, len(test))
        for processing in postprocessings:
            processing.check_rows(len(test), encoder.dims, of=f"tatoeba.{test.code}-{ENGLISH}")
    judge = partial(_evaluate, encoder=encoder, k=k, margins=margins, postprocessings=postprocessings)
    results, done, total = [], 0, sum(2 * len(test) for test in tests)
    for test in tests:
        results.append(judge(test, report=_from(done, total, progress)))
        done += 2 * len(test)
    return results


def mean_accuracy(accuracies_of_languages: Collection[Accuracy]) -> Accuracy:
    """The mean over languages, each of the same weight whatever its number of sentences; at least one."""
    return Accuracy(
        fmean(accuracy.forward for accuracy in accuracies_of_languages),
        fmean(accuracy.backward for accuracy in accuracies_of_languages),
    )


def _evaluate(
    test: LanguageTest,
    *,
    encoder: Encoder,
    k: int,
    margins: Collection[Margin],
    postprocessings: Sequence[PostProcessing],
    report: Callable[[int], None],
) -> LanguageResult:
    src = encoder.encode(test.sentences, progress=report)
    tgt = encoder.encode(test.english, progress=lambda done: report(len(test) + done))
    processed = {
        str(processing): accuracies(
            processing.fit(src).apply(src), processing.fit(tgt).apply(tgt), k=k, margins=margins
        )
        for processing in postprocessings
    }
    plain = accuracies(src, tgt, k=k, margins=margins)
    return LanguageResult(test.code, _language(test.code), is_covered(test.code, encoder), len(test), plain, processed)


def _from(start: int, total: int, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress("encode", start + done, total)


def _language(code: str) -> str | None:
    try:
        return parse_language(code)
    except LanguageError:
        return None


def _code_in(there: Sequence[str], code: str, directory: Path) -> str:
    """The set's own code for what a person wrote."""
    if code in there:
        return code
    language = parse_language(code)
    for known in there:
        if _language(known) == language:
            return known
    message = f"{directory} has no test of {code}: there is no file tatoeba.{code}-{ENGLISH}.{ENGLISH}"
    raise NotFoundError(message, code="file-not-found")
