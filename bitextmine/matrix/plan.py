"""What there is to do, and what it will take: said before anything starts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from bitextmine.artifacts import MANIFEST, ArtifactKey, ArtifactStore
from bitextmine.calibration import Calibration
from bitextmine.corpus import Corpus
from bitextmine.embeddings import KIND, embeddings_digest, unembedded_shards
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError, ParameterError
from bitextmine.matrix.choice import NamePair, PairChoice
from bitextmine.matrix.parameters import MatrixParameters
from bitextmine.matrix.searches import Search, no_longer_fits, plan_pair, read_searches
from bitextmine.mining import check_minable
from bitextmine.planner import Plan
from bitextmine.resources import Resources
from bitextmine.search.stored import KIND as NEIGHBORS

MOST_CORPORA = 1000
_SAMPLE = 256  # sentences, encoded to find out how fast that is
_REMEMBERED = 20  # shards, of which it is known
_LEAST = 0.5  # seconds that one took; of less nothing can be told


@dataclass(frozen=True, slots=True)
class MatrixCorpus:
    """A corpus under the name that the run gives it."""

    name: str
    corpus: Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a plan is made for.

    Attributes:
        task: what one task may use.
        together: what tasks may use together, by which each pair's search is chosen: it does not matter then how many
            processes share it. A search that does not fit `task` is given all this memory. `task` where it is None.
        rates: of this machine's searches, where they were measured.
        encoding: sentences a second, of one encoder. Where it is None the latest embeddings tell, or else a few
            sentences are encoded, unless `measure` is false.
    """

    task: Resources = field(default_factory=Resources)
    together: Resources | None = None
    rates: Calibration | None = None
    encoding: float | None = None
    measure: bool = True


@dataclass(frozen=True, slots=True)
class NamedMatrix:
    """A run that is not planned yet: the corpora that it uses, its pairs, and the name that all of it gives the run."""

    corpora: Mapping[str, Corpus]
    pairs: tuple[NamePair, ...]
    digest: str

    def check(self, encoder: Encoder, parameters: MatrixParameters) -> None:
        """Refuse what no machine could mine.

        Raises:
            ParameterError, LanguageError: as `check_minable`.
        """
        for src, tgt in self.pairs:
            try:
                check_minable(self.corpora[src], self.corpora[tgt], encoder, parameters.mining)
            except ParameterError as error:
                raise _of_pair(src, tgt, error) from error


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """One pair, and how its search will be done: with the memory that its task is given.

    `seconds` is 0 where the neighbours are there already.
    """

    src: str
    tgt: str
    search: Plan
    seconds: float


@dataclass(frozen=True)
class MatrixPlan:
    """The corpora by name, the shards of each that are to be embedded, and the pairs in the order of the work."""

    corpora: Mapping[str, Corpus]
    parameters: MatrixParameters
    encoder: str
    signature: str
    unembedded: Mapping[str, tuple[int, ...]]
    rows_to_embed: Mapping[str, int]
    rate: float | None  # sentences a second, of one encoder; None where nothing is known, nor to be done
    pairs: tuple[PlannedPair, ...]

    @cached_property
    def digest(self) -> str:
        """Names the run: the same corpora, pairs and parameters are the same run, which goes on where it ended."""
        pairs = ((pair.src, pair.tgt) for pair in self.pairs)
        return _digest(self.corpora, pairs, self.parameters, self.signature)

    @property
    def searches(self) -> dict[NamePair, Search]:
        """How each pair is searched."""
        return {(pair.src, pair.tgt): Search.of(pair.search) for pair in self.pairs}

    @property
    def embed_seconds(self) -> float:
        return sum(self.rows_to_embed.values()) / self.rate if self.rate else 0.0

    @property
    def search_seconds(self) -> float:
        return sum(pair.seconds for pair in self.pairs)

    @property
    def memory_bytes(self) -> int:
        """The most that one pair's search needs."""
        return max(pair.search.chosen.memory_bytes for pair in self.pairs)

    @property
    def disk_bytes(self) -> int:
        """Vectors that are to be written, and what the searches keep."""
        dims = self.pairs[0].search.size.dims
        vectors = 2 * dims * sum(self.rows_to_embed.values())
        return vectors + sum(pair.search.chosen.disk_bytes for pair in self.pairs if pair.seconds)

    def as_json(self) -> dict[str, Any]:
        """Plain values; of embedding None where nothing is known."""
        known = self.rate or not any(self.rows_to_embed.values())
        return {
            "sentences": sum(map(len, self.corpora.values())),
            "sentences_to_embed": sum(self.rows_to_embed.values()),
            "sentences_per_second": round(self.rate, 1) if self.rate else None,
            "embed_seconds": round(self.embed_seconds, 1) if known else None,
            "search_seconds": round(self.search_seconds, 1),
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "pairs": len(self.pairs),
        }


def name_matrix(
    corpora: Sequence[MatrixCorpus], choice: PairChoice, encoder: Encoder, parameters: MatrixParameters
) -> NamedMatrix:
    """The run that this is.

    Raises:
        ParameterError: `invalid-name`; as `PairChoice.pairs`.
    """
    named = _named(corpora)
    wanted = choice.pairs({name: corpus.lang for name, corpus in named.items()})
    used = {name: corpus for name, corpus in named.items() if any(name in pair for pair in wanted)}
    return NamedMatrix(used, tuple(wanted), _digest(used, wanted, parameters, encoder.signature))


def plan_matrix(
    corpora: Sequence[MatrixCorpus],
    choice: PairChoice,
    encoder: Encoder,
    parameters: MatrixParameters,
    store: ArtifactStore,
    machine: Machine,
    directory: Path,
) -> MatrixPlan:
    """Plan every pair: those that are to be first, then the cheapest.

    Args:
        directory: the run's. A pair is searched as was kept there when the run began; nothing is written.

    Raises:
        ParameterError: as `name_matrix`; of each pair as `plan_mining`.
        LanguageError: `language-not-covered` by the encoder.
        ArtifactError: what was kept cannot be read.
    """
    matrix = name_matrix(corpora, choice, encoder, parameters)
    kept, used = read_searches(directory), matrix.corpora
    pairs = []
    for src, tgt in matrix.pairs:
        sides = used[src], used[tgt]
        try:
            plan = _searched_how(sides, encoder, parameters, machine, kept.get((src, tgt)))
        except ParameterError as error:
            refused = (src, tgt) in kept and error.code == "memory-too-small"
            raise _of_pair(src, tgt, no_longer_fits(error, kept[src, tgt], directory) if refused else error) from error
        seconds = 0.0 if _is_searched(sides, encoder, plan, store) else plan.chosen.seconds
        pairs.append(PlannedPair(src, tgt, plan, seconds))
    pairs.sort(key=lambda pair: (not choice.is_first((pair.src, pair.tgt)), pair.search.chosen.seconds))
    missing = {name: unembedded_shards(corpus, encoder.signature, store) for name, corpus in used.items()}
    return MatrixPlan(
        corpora=used,
        parameters=parameters,
        encoder=encoder.name,
        signature=encoder.signature,
        unembedded={name: tuple(shard.number for shard in shards) for name, shards in missing.items()},
        rows_to_embed={name: sum(shard.stop - shard.start for shard in shards) for name, shards in missing.items()},
        rate=machine.encoding or (_encoding_rate(used, missing, encoder, store) if machine.measure else None),
        pairs=tuple(pairs),
    )


def _searched_how(
    sides: tuple[Corpus, Corpus],
    encoder: Encoder,
    parameters: MatrixParameters,
    machine: Machine,
    search: Search | None,
) -> Plan:
    """The plan of a pair's task: the search that was kept, or else that for what all tasks may use together.

    Raises:
        ParameterError, LanguageError: as `plan_mining`.
    """
    task, together = machine.task, machine.together or machine.task
    if search is None:
        plan = plan_pair(sides, encoder, parameters.mining, resources=together, rates=machine.rates)
        if task == together:
            return plan
        search = Search.of(plan)
    try:
        return plan_pair(sides, encoder, parameters.mining, resources=task, rates=machine.rates, search=search)
    except ParameterError as error:
        if error.code != "memory-too-small" or task == together:
            raise
    alone = replace(task, memory_bytes=together.memory_bytes)
    return plan_pair(sides, encoder, parameters.mining, resources=alone, rates=machine.rates, search=search)


def _of_pair(src: str, tgt: str, error: ParameterError) -> ParameterError:
    return ParameterError(f"{src} with {tgt}: {error}", code=error.code)


def _digest(
    corpora: Mapping[str, Corpus], pairs: Iterable[NamePair], parameters: MatrixParameters, signature: str
) -> str:
    key = {
        "corpora": {name: corpus.digest for name, corpus in corpora.items()},
        "pairs": sorted(pairs),
        "parameters": parameters.as_json(),
        "encoder": signature,
    }
    return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def _named(corpora: Sequence[MatrixCorpus]) -> dict[str, Corpus]:
    if len(corpora) > MOST_CORPORA:
        raise ParameterError(f"{len(corpora):,} corpora are more than {MOST_CORPORA:,}", code="too-many-pairs")
    named: dict[str, Corpus] = {}
    for each in corpora:
        if each.name in named:
            raise ParameterError(f"two corpora are named {each.name!r}", code="invalid-name")
        named[each.name] = each.corpus
    return named


def _is_searched(sides: tuple[Corpus, Corpus], encoder: Encoder, plan: Plan, store: ArtifactStore) -> bool:
    """Whether the neighbours of a pair are there; not known beforehand where vectors are post-processed."""
    src, tgt = (embeddings_digest(corpus, encoder.signature) for corpus in sides)
    key = ArtifactKey(NEIGHBORS, plan.parameters, {"src": src, "tgt": tgt})
    return (store.path(key.kind, key.digest) / MANIFEST).is_file()


def _encoding_rate(
    corpora: Mapping[str, Corpus], missing: Mapping[str, Sequence[Any]], encoder: Encoder, store: ArtifactStore
) -> float | None:
    """Sentences a second: as the latest shards went, or else as a few go now; None if there is nothing to do."""
    known = []
    for _, digest in store.published(KIND)[-_REMEMBERED:]:
        with suppress(ArtifactError):  # whoever needs these vectors is told
            made = store.open(KIND, digest)
            if made and made.parameters.get("encoder") == encoder.signature and made.summary.get("seconds", 0) > _LEAST:
                known.append((int(made.summary["rows"]), float(made.summary["seconds"])))
    if known:
        return sum(rows for rows, _ in known) / sum(seconds for _, seconds in known)
    shard = next((shards[0] for shards in missing.values() if shards), None)
    if shard is None:
        return None
    name = next(name for name, shards in missing.items() if shards)
    texts = corpora[name].shard_texts(shard)[:_SAMPLE]
    started = time.monotonic()
    encoder.encode(texts)
    return len(texts) / max(time.monotonic() - started, 1e-9)
