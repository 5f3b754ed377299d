"""Which pairs of the corpora are mined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from bitextmine.errors import ParameterError

MOST_PAIRS = 100_000

NamePair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairChoice:
    """All pairs of corpora in different languages; or all with pivots; or those that are listed.

    `pivots` name corpora, or languages and so all their corpora, which are then the targets. `listed` pairs are kept
    as they are, source first. Pairs in `first` are mined before the others; they may be written either way round.
    """

    pivots: tuple[str, ...] = ()
    listed: tuple[NamePair, ...] | None = None
    first: tuple[NamePair, ...] = ()

    def __post_init__(self) -> None:
        if self.pivots and self.listed is not None:
            raise ParameterError("give pivots or a list of pairs, not both")

    def pairs(self, languages: Mapping[str, str]) -> list[NamePair]:
        """The pairs, source and target by name, in the order of the corpora.

        Args:
            languages: of the corpora, in their order.

        Raises:
            ParameterError: `unknown-corpus`; `no-pairs`; `same-language`; `too-many-pairs`.
        """
        found = self._listed(languages) if self.listed is not None else self._combined(languages)
        if not found:
            raise ParameterError("there is no pair to mine: give corpora in two languages or more", code="no-pairs")
        if len(found) > MOST_PAIRS:
            raise ParameterError(f"{len(found):,} pairs are more than {MOST_PAIRS:,}", code="too-many-pairs")
        wanted = {frozenset(_known(pair, languages)) for pair in self.first}
        return sorted(found, key=lambda pair: frozenset(pair) not in wanted)

    def is_first(self, pair: NamePair) -> bool:
        return any(set(pair) == set(other) for other in self.first)

    def _combined(self, languages: Mapping[str, str]) -> list[NamePair]:
        pairs = [(a, b) for a, b in combinations(languages, 2) if languages[a] != languages[b]]
        if not self.pivots:
            return pairs
        for pivot in self.pivots:
            if pivot not in languages and pivot not in languages.values():
                raise ParameterError(f"the pivot {pivot!r} is none of {_names(languages)}", code="unknown-corpus")
        pivots = {name for name, lang in languages.items() if name in self.pivots or lang in self.pivots}
        turned = [(b, a) if a in pivots and b not in pivots else (a, b) for a, b in pairs]
        return [(src, tgt) for src, tgt in turned if tgt in pivots]

    def _listed(self, languages: Mapping[str, str]) -> list[NamePair]:
        found: dict[frozenset[str], NamePair] = {}
        for pair in self.listed or ():
            src, tgt = _known(pair, languages)
            if languages[src] == languages[tgt]:
                message = f"{src!r} and {tgt!r} are both in {languages[src]}: a pair has two languages"
                raise ParameterError(message, code="same-language")
            if frozenset(pair) in found:
                raise ParameterError(f"the pair {src!r}, {tgt!r} is listed twice", code="invalid-parameter")
            found[frozenset(pair)] = (src, tgt)
        return list(found.values())


def _known(pair: Sequence[str], languages: Mapping[str, str]) -> NamePair:
    for name in pair:
        if name not in languages:
            raise ParameterError(f"there is no corpus {name!r}; there are {_names(languages)}", code="unknown-corpus")
    return pair[0], pair[1]


def _names(languages: Mapping[str, str]) -> str:
    return ", ".join(languages)
