"""What there is to do, and what it will take: said before anything starts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from bitextmine.artifacts import MANIFEST, ArtifactKey, ArtifactStore
from bitextmine.calibration import Calibration
from bitextmine.corpus import Corpus
from bitextmine.embeddings import KIND, embeddings_digest, unembedded_shards
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.matrix.choice import PairChoice
from bitextmine.matrix.parameters import MatrixParameters
from bitextmine.mining import plan_mining
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


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """One pair, and how its search will be done. `seconds` is 0 where the neighbours are there already."""

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
        key = {
            "corpora": {name: corpus.digest for name, corpus in self.corpora.items()},
            "pairs": sorted((pair.src, pair.tgt) for pair in self.pairs),
            "parameters": self.parameters.as_json(),
            "encoder": self.signature,
        }
        return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]

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
        return {
            "sentences": sum(map(len, self.corpora.values())),
            "sentences_to_embed": sum(self.rows_to_embed.values()),
            "sentences_per_second": round(self.rate, 1) if self.rate else None,
            "embed_seconds": round(self.embed_seconds, 1),
            "search_seconds": round(self.search_seconds, 1),
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "pairs": len(self.pairs),
        }


def plan_matrix(
    corpora: Sequence[MatrixCorpus],
    choice: PairChoice,
    encoder: Encoder,
    parameters: MatrixParameters,
    store: ArtifactStore,
    *,
    resources: Resources | None = None,
    calibration: Calibration | None = None,
) -> MatrixPlan:
    """Plan every pair: those that are to be first, then the cheapest.

    Raises:
        ParameterError: `invalid-name`; as `PairChoice.pairs`; of each pair as `plan_mining`.
        LanguageError: `language-not-covered` by the encoder.
    """
    named = _named(corpora)
    wanted = choice.pairs({name: corpus.lang for name, corpus in named.items()})
    used = {name: corpus for name, corpus in named.items() if any(name in pair for pair in wanted)}
    pairs = []
    for src, tgt in wanted:
        sides = used[src], used[tgt]
        try:
            plan = plan_mining(*sides, encoder, parameters.mining, resources=resources, calibration=calibration)
        except ParameterError as error:
            raise ParameterError(f"{src} with {tgt}: {error}", code=error.code) from error
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
        rate=_encoding_rate(used, missing, encoder, store),
        pairs=tuple(pairs),
    )


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
    latest = (store.open(KIND, digest) for _, digest in store.published(KIND)[-_REMEMBERED:])
    known = [
        (int(made.summary["rows"]), float(made.summary["seconds"]))
        for made in latest
        if made and made.parameters.get("encoder") == encoder.signature and made.summary.get("seconds", 0) > _LEAST
    ]
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
