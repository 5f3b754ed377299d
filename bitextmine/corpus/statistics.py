"""What a corpus is like: how long its sentences are, what they look like, and what became of its lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus.corpus import Corpus
from bitextmine.corpus.identify import IDENTIFIER, UNSURE, agree, identify, known_languages
from bitextmine.corpus.scripts import UNSPACED, scripts_in
from bitextmine.errors import ArtifactError
from bitextmine.progress import Progress, silent

KIND = "corpus-statistics"
STATISTICS = "statistics.json"
STAGE = "statistics"
SAMPLE = 2_000  # sentences looked at for language and script, evenly spaced
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
EDGES = (1, 2, 3, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000)
_WORDS = r"[^\s\pZ]+"
_SUSPICIOUS = 0.5  # of the sample looks like another language
_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long sentences are, in `unit`. `histogram` counts those of `start` to below `stop` (None: no end)."""

    unit: str
    mean: float
    least: int
    most: int
    quantiles: dict[str, int]
    histogram: list[dict[str, int | None]]


@dataclass(frozen=True, slots=True)
class Languages:
    """What a sample of the sentences looks like; shares are of the sample. See `Statistics`."""

    identifier: str
    sample: int
    declared: str  # ISO 639-3
    declared_is_known: bool  # whether the identifier can tell the declared language at all
    agree: float | None  # share that looks like it; None where it cannot be told
    unsure: float
    shares: dict[str, float]  # by ISO 639-3 code, the largest first, without those that are unsure


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a corpus is like. `scripts` are shares of the letters in the sample, by ISO 15924 code."""

    lines: int
    sentences: int
    duplicates: int
    refused: dict[str, int]
    characters: Lengths
    words: Lengths  # characters where the script puts no spaces between words
    languages: Languages
    scripts: dict[str, float]
    warnings: list[str]


def statistics(corpus: Corpus, store: ArtifactStore, *, progress: Progress = silent) -> dict[str, Any]:
    """The statistics of a corpus as JSON values, see `Statistics`: found, or made by reading it once, shard by shard.

    Raises:
        ArtifactError: they are damaged.
        DiskFullError: there is no room for them.
    """
    if (known := find_statistics(corpus, store)) is not None:
        return known
    found = asdict(_compute(corpus, progress))
    with store.publish(_key(corpus)) as staging:
        text = json.dumps(found, ensure_ascii=False, indent=1)
        (staging.path / STATISTICS).write_text(text, encoding="utf-8")
        staging.summary["warnings"] = found["warnings"]
    return found


def find_statistics(corpus: Corpus, store: ArtifactStore) -> dict[str, Any] | None:
    """The statistics of a corpus, if they have been made; computes nothing.

    Raises:
        ArtifactError: they are damaged.
    """
    artifact = store.find(_key(corpus))
    return None if artifact is None else _read(artifact)


def known_warnings(corpus: Corpus, store: ArtifactStore) -> list[str]:
    """What the statistics warn of, where they have been made; computes nothing."""
    try:
        artifact = store.find(_key(corpus))
    except ArtifactError:
        return []
    return [] if artifact is None else list(map(str, artifact.summary["warnings"]))


def delete_statistics(store: ArtifactStore, corpus: str) -> None:
    """Delete the statistics of the corpus with this digest."""
    store.delete(KIND, _key_of(corpus).digest)


def _key(corpus: Corpus) -> ArtifactKey:
    return _key_of(corpus.digest)


def _key_of(digest: str) -> ArtifactKey:
    return ArtifactKey(KIND, {"sample": SAMPLE, "identifier": IDENTIFIER}, {"corpus": digest})


def _read(artifact: Artifact) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((artifact.path / STATISTICS).read_bytes())
    except (OSError, ValueError) as error:
        message = f"{artifact.path / STATISTICS} is damaged: {error}; delete {artifact.path} to make it again"
        raise ArtifactError(message) from error
    return found


def _compute(corpus: Corpus, progress: Progress) -> Statistics:
    characters, words = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for shard in corpus.shards:
        texts = corpus.shard_column("text", shard)
        characters = _with(characters, pc.utf8_length(texts))
        words = _with(words, pc.count_substring_regex(texts, _WORDS))
        progress(STAGE, shard.stop, len(corpus))
    unspaced = corpus.lang.split("_")[1] in UNSPACED
    sample = corpus.take("text", _evenly(len(corpus), SAMPLE)).to_pylist()
    languages = _languages(corpus.lang.split("_")[0], sample)
    return Statistics(
        lines=int(corpus.summary["lines"]),
        sentences=len(corpus),
        duplicates=int(corpus.summary["duplicates"]),
        refused=dict(corpus.summary["refused"]),
        characters=_lengths("characters", characters),
        words=_lengths("characters", characters) if unspaced else _lengths("words", words),
        languages=languages,
        scripts=_shares(scripts_in(sample)),
        warnings=_warnings(languages),
    )


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """Up to `most` of so many rows, evenly spaced."""
    chosen = min(count, most)
    return np.arange(chosen, dtype=np.int64) * count // max(chosen, 1)


def _with(counts: NDArray[np.int64], lengths: pa.Array) -> NDArray[np.int64]:
    """How often each length occurs, with some more of them; as long as the longest."""
    more = np.bincount(lengths.to_numpy(zero_copy_only=False).astype(np.int64), minlength=len(counts))
    more[: len(counts)] += counts
    return more


def _lengths(unit: str, counts: NDArray[np.int64]) -> Lengths:
    """From how often each length occurs."""
    total, lengths = int(counts.sum()), np.arange(len(counts))
    upto, present = np.cumsum(counts), np.flatnonzero(counts)
    places = [min(int(quantile * total), total - 1) for quantile in QUANTILES]
    starts = [0, *EDGES]
    stops: list[int | None] = [*EDGES, None]
    return Lengths(
        unit=unit,
        mean=round(float((counts * lengths).sum() / total), 2),
        least=int(present[0]),
        most=int(present[-1]),
        quantiles={
            f"{quantile:g}": int(np.searchsorted(upto, place, side="right"))
            for quantile, place in zip(QUANTILES, places, strict=True)
        },
        histogram=[
            {"start": start, "stop": stop, "count": count}
            for start, stop in zip(starts, stops, strict=True)
            if (count := int(counts[start:stop].sum()))
        ],
    )


def _languages(declared: str, sample: Sequence[str]) -> Languages:
    looks = identify(sample)
    shares = _shares(Counter(look for look in looks if look != UNSURE), of=len(sample))
    known = any(agree(declared, language) for language in known_languages())
    agreeing = sum(agree(declared, look) for look in looks) / len(sample)
    return Languages(
        identifier=IDENTIFIER,
        sample=len(sample),
        declared=declared,
        declared_is_known=known,
        agree=round(agreeing, 4) if known else None,
        unsure=round(looks.count(UNSURE) / len(sample), 4),
        shares=shares,
    )


def _shares(counts: Mapping[str, int], of: int | None = None) -> dict[str, float]:
    total = of or sum(counts.values())
    return {name: round(count / total, 4) for name, count in Counter(counts).most_common(_MOST_LISTED)}


def _warnings(languages: Languages) -> list[str]:
    if not languages.declared_is_known:
        return []
    others: Iterable[tuple[str, float]] = (
        (language, share) for language, share in languages.shares.items() if not agree(languages.declared, language)
    )
    listed = list(others)
    if sum(share for _, share in listed) <= _SUSPICIOUS:
        return []
    most, share = listed[0]
    return [
        f"most sentences look like another language than {languages.declared}: {share:.0%} of {languages.sample:,} "
        f"sampled ones like {most}, {languages.agree:.0%} like {languages.declared}"
    ]
