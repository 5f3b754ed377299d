"""How each pair of a run is searched: chosen once, and kept beside its report, so that going on changes no bitext.

What suits a pair depends on the machine, and so does the memory that is free when a run goes on; what is found depends
on it too, above the size up to which every search is exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bitextmine.calibration import Calibration
from bitextmine.corpus import Corpus
from bitextmine.costs import SearchSize
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError, BitextmineError, ParameterError
from bitextmine.files import write_atomically
from bitextmine.matrix.choice import NamePair
from bitextmine.mining import MiningParameters, check_minable
from bitextmine.planner import Plan, make_plan
from bitextmine.resources import Resources
from bitextmine.search.index_spec import CodeKind, IndexSpec
from bitextmine.search.method import Method

FILE = "searches.json"


@dataclass(frozen=True, slots=True)
class Search:
    """What decides, beside the run's parameters, which neighbours a pair's search finds.

    Attributes:
        method: never auto.
        reason: why it was chosen, in words.
        indexes: of the source and of the target, for ivfpq alone.
    """

    method: Method
    reason: str
    indexes: tuple[IndexSpec, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> Search:
        return cls(plan.method, plan.reason, plan.specs if plan.method is Method.IVFPQ else ())

    def finds_as(self, other: Search) -> bool:
        """Whether both find the same."""
        return (self.method, self.indexes) == (other.method, other.indexes)

    def as_json(self) -> dict[str, Any]:
        indexes = [{**asdict(spec), "kind": spec.kind.value} for spec in self.indexes]
        return {"method": self.method.value, "reason": self.reason, **({"indexes": indexes} if indexes else {})}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Search:
        """
        Raises:
            ParameterError, KeyError, TypeError, ValueError: it is not what `as_json` gives.
        """
        method = Method(values["method"])
        indexes = tuple(IndexSpec(**{**each, "kind": CodeKind(each["kind"])}) for each in values.get("indexes", ()))
        if method is Method.AUTO or len(indexes) != (2 if method is Method.IVFPQ else 0):
            raise ValueError(f"{method} with {len(indexes)} indexes")
        return cls(method, str(values["reason"]), indexes)


def plan_pair(
    sides: tuple[Corpus, Corpus],
    encoder: Encoder,
    parameters: MiningParameters,
    *,
    resources: Resources,
    rates: Calibration | None = None,
    search: Search | None = None,
) -> Plan:
    """As `plan_mining`, by the search that was chosen before, if it was.

    Raises:
        ParameterError, LanguageError: as `plan_mining`; `memory-too-small` also where that search does not fit.
    """
    check_minable(*sides, encoder, parameters)
    plan = make_plan(
        SearchSize(len(sides[0]), len(sides[1]), encoder.dims, parameters.k),
        resources,
        rates,
        method=search.method if search else parameters.method,
        target_recall=parameters.target_recall,
        specs=search.indexes if search else (),
    )
    return replace(plan, reason=search.reason) if search else plan


def read_searches(directory: Path) -> dict[NamePair, Search]:
    """What was kept in a run's directory: nothing before its first start.

    Raises:
        ArtifactError: it cannot be read.
    """
    path = directory / FILE
    try:
        kept = json.loads(path.read_bytes())
        return {(str(each["src"]), str(each["tgt"])): Search.from_json(each) for each in kept}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BitextmineError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; {_delete(path)}") from error


def keep_searches(searches: Mapping[NamePair, Search], directory: Path) -> None:
    """Keep how each pair is searched, unless it was kept before.

    Raises:
        ParameterError: another start of the run has kept other searches since this one was planned.
        ArtifactError: what was kept cannot be read.
        DiskFullError: no room.
    """
    listed = [{"src": src, "tgt": tgt, **search.as_json()} for (src, tgt), search in searches.items()]
    try:
        write_atomically(directory / FILE, json.dumps(listed, indent=1).encode() + b"\n", replace=False)
    except FileExistsError:
        for (src, tgt), search in read_searches(directory).items():
            if not search.finds_as(searches.get((src, tgt), search)):
                message = f"{src} with {tgt}: the same run was begun elsewhere by {search.method}; start this one again"
                raise ParameterError(message) from None


def no_longer_fits(error: ParameterError, search: Search, directory: Path) -> ParameterError:
    """The error of a search that was kept, and that the memory no longer holds."""
    return ParameterError(
        f"{error}; this run was begun by {search.method}: give it that memory (--memory, BITEXTMINE_MEMORY to a "
        f"worker), or {_delete(directory / FILE)}",
        code=error.code,
    )


def _delete(path: Path) -> str:
    return f"delete {path} to have methods chosen anew: pairs that get another one are searched again"
