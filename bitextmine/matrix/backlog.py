"""What of a plan is still to be handed out: pairs whose corpora are embedded first of all, then shards to embed."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

from bitextmine.matrix.plan import MatrixPlan, PlannedPair


@dataclass(frozen=True, slots=True)
class CorpusShard:
    """A shard of a corpus, by the corpus's name, that is to be embedded."""

    corpus: str
    number: int


class Backlog:
    """Pairs come in the plan's order, each as soon as both corpora are embedded; shards as the pairs want them."""

    def __init__(self, plan: MatrixPlan) -> None:
        order = dict.fromkeys(name for pair in plan.pairs for name in (pair.src, pair.tgt))
        self._pairs = plan.pairs
        self._shards = deque(CorpusShard(name, number) for name in order for number in plan.unembedded[name])
        self._missing = {name: set(plan.unembedded[name]) for name in order}
        self._blocked = set(range(len(plan.pairs)))  # by their places in the plan
        self._of: dict[str, list[int]] = {name: [] for name in order}
        for place, pair in enumerate(plan.pairs):
            self._of[pair.src].append(place)
            self._of[pair.tgt].append(place)
        self._ready: list[int] = []
        self._release(range(len(plan.pairs)))

    def pop(self) -> PlannedPair | CorpusShard | None:
        """What to hand out next; None where there is nothing, or nothing before something has been embedded."""
        if self._ready:
            return self._pairs[heapq.heappop(self._ready)]
        return self._shards.popleft() if self._shards else None

    def embedded(self, shard: CorpusShard) -> None:
        """The shard has its vectors: pairs that waited for no other are ready."""
        missing = self._missing[shard.corpus]
        missing.discard(shard.number)
        if not missing:
            self._release(self._of[shard.corpus])

    def give_up(self, corpus: str) -> list[PlannedPair]:
        """The corpus cannot be embedded: the pairs that waited for it. What they alone wanted is not embedded."""
        lost = [place for place in self._of[corpus] if place in self._blocked]
        self._blocked.difference_update(lost)
        wanted = {name for place in self._blocked for name in (self._pairs[place].src, self._pairs[place].tgt)}
        self._shards = deque(shard for shard in self._shards if shard.corpus in wanted)
        return [self._pairs[place] for place in lost]

    def _release(self, places: range | list[int]) -> None:
        for place in places:
            pair = self._pairs[place]
            if place in self._blocked and not self._missing[pair.src] and not self._missing[pair.tgt]:
                self._blocked.discard(place)
                heapq.heappush(self._ready, place)
