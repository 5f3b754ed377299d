"""Which filters run, and within which bounds: said in a TOML or JSON file, a request or options of a command."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, TypeAlias

from bitextmine.errors import ParameterError
from bitextmine.filters.boilerplate import Boilerplate
from bitextmine.filters.ceiling import Ceiling
from bitextmine.filters.copies import Copy, Overlap
from bitextmine.filters.language import Language
from bitextmine.filters.lengths import LengthRatio
from bitextmine.filters.marks import Addresses, Punctuation
from bitextmine.filters.numbers import Numbers

Filter: TypeAlias = LengthRatio | Punctuation | Addresses | Numbers | Copy | Overlap | Boilerplate | Language | Ceiling
# In the order in which they run, the cheap ones first: a pair is counted for the first that drops it.
_DEFAULTS: tuple[Filter, ...] = (
    LengthRatio(),
    Punctuation(),
    Addresses(),
    Numbers(),
    Copy(),
    Overlap(),
    Boilerplate(),
    Language(),
)
_ALL: Mapping[str, Filter] = {each.name: each for each in (*_DEFAULTS, Ceiling())}
_OTHERS = "defaults"  # the one key of a mapping that names no filter
_WORDS = "default and none"
_LARGEST = 1e9  # of a bound
_MOST_BYTES = 1 << 20  # of a file
_SHOWN = 40  # characters of what is wrong


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """The filters that run, in their order. Two are equal where they drop the same pairs of every bitext."""

    filters: tuple[Filter, ...]

    @classmethod
    def defaults(cls) -> FilterSettings:
        """Those that leave good pairs of any script alone."""
        return cls(_DEFAULTS)

    @classmethod
    def none(cls) -> FilterSettings:
        return cls(())

    @classmethod
    def parse(cls, wanted: object) -> FilterSettings:
        """Settings as TOML and JSON have them: "default", "none", or a mapping of filters to what is wanted of them.

        Of a filter `true` is wanted, `false`, or bounds: {"least": -4, "most": 4}; a bound that is null is none. The
        defaults that are not named run too, unless the mapping says {"defaults": false}.

        Raises:
            ParameterError: `invalid-filters`.
        """
        if isinstance(wanted, str):
            if wanted not in ("default", "none"):
                raise _invalid(f"{_shown(wanted)} is no choice of filters; there are {_WORDS}, or a mapping of filters")
            return cls.defaults() if wanted == "default" else cls.none()
        if not isinstance(wanted, Mapping):
            raise _invalid(f"filters are {_WORDS}, or a mapping of filters to their bounds, not {_shown(wanted)}")
        others = wanted.get(_OTHERS, True)
        if not isinstance(others, bool):
            raise _invalid(f"{_OTHERS} is true or false, not {_shown(others)}")
        chosen = {each.name: each for each in _DEFAULTS} if others else {}
        for name, value in wanted.items():
            if name == _OTHERS:
                continue
            known = _known(name)
            if value is False:
                chosen.pop(known.name, None)
            else:
                chosen[known.name] = known if value is True else _bounded(known, value)
        return cls._of(chosen)

    @classmethod
    def read(cls, path: Path) -> FilterSettings:
        """The settings of a file: TOML, or JSON where it is called so.

        Raises:
            ParameterError: `invalid-filters`.
        """
        try:
            with path.open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise _invalid(f"{path} has over {_MOST_BYTES:,} bytes: no settings of filters")
            text = content.decode()
            wanted = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except OSError as error:
            raise _invalid(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:  # of UTF-8, JSON and TOML
            kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
            raise _invalid(f"{path} is not {kind}: {' '.join(str(error).split())}") from error
        try:
            return cls.parse(wanted)
        except ParameterError as error:
            raise _invalid(f"{path}: {error}") from error

    def as_json(self) -> dict[str, Any]:
        """All that decides which pairs these filters drop, as JSON values; `parse` makes the same settings of it."""
        bounds = {each.name: {"least": _finite(each.least), "most": _finite(each.most)} for each in self.filters}
        return {_OTHERS: False, **bounds}

    def only(self, names: Iterable[str]) -> FilterSettings:
        """These filters alone, with their bounds of here where they run here.

        Raises:
            ParameterError: `invalid-filters`, of an unknown name.
        """
        here = self._by_name()
        wanted = [_known(name).name for name in names]
        return self._of({name: here.get(name) or _ready(_ALL[name]) for name in wanted})

    def without(self, names: Iterable[str]) -> FilterSettings:
        """All of these but some.

        Raises:
            ParameterError: `invalid-filters`, of an unknown name.
        """
        left_out = {_known(name).name for name in names}
        return self._of({name: each for name, each in self._by_name().items() if name not in left_out})

    def with_bound(self, said: str) -> FilterSettings:
        """With a bound as people write it: `length-ratio.most=4`. A filter that does not run yet will.

        Raises:
            ParameterError: `invalid-filters`.
        """
        place, equals, number = said.partition("=")
        name, dot, bound = place.strip().rpartition(".")
        if not (equals and dot):
            raise _invalid(f"{_shown(said)} sets no bound; write it as length-ratio.most=4")
        try:
            value = float(number)
        except ValueError:
            raise _invalid(f"{_shown(said)} sets no bound: {_shown(number)} is no number") from None
        known = _known(name)
        return self._of({**self._by_name(), name: _bounded(self._by_name().get(name, known), {bound: value})})

    def _by_name(self) -> dict[str, Filter]:
        return {each.name: each for each in self.filters}

    @classmethod
    def _of(cls, chosen: Mapping[str, Filter]) -> FilterSettings:
        return cls(tuple(_ready(chosen[name]) for name in _ALL if name in chosen))


def filter_names() -> list[str]:
    """Of all filters, in the order in which they run."""
    return list(_ALL)


def check_filter_name(name: str) -> None:
    """
    Raises:
        ParameterError: `invalid-filters`: there is no such filter.
    """
    _known(name)


def _known(name: object) -> Filter:
    if not isinstance(name, str) or name not in _ALL:
        raise _invalid(f"unknown filter {_shown(name)}; there are: {', '.join(_ALL)}")
    return _ALL[name]


def _bounded(known: Filter, value: object) -> Filter:
    """The filter with other bounds."""
    if not isinstance(value, Mapping):
        message = f"{known.name} is true, false or its bounds, as in {{most = 4}}, not {_shown(value)}"
        raise _invalid(message)
    if unknown := [bound for bound in value if bound not in ("least", "most")]:
        raise _invalid(f"{known.name} has no bound {_shown(unknown[0])}; there are least and most")
    least = _bound(f"{known.name}.least", value["least"], -inf) if "least" in value else known.least
    most = _bound(f"{known.name}.most", value["most"], inf) if "most" in value else known.most
    if least > most:
        raise _invalid(f"{known.name}.least {least:g} is above its most {most:g}: no pair could pass")
    return replace(known, least=least, most=most)


def _bound(what: str, value: object, nothing: float) -> float:
    if value is None:
        return nothing
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:  # NaN is not either
        raise _invalid(f"{what} is {_shown(value)}; it must be a number from {-_LARGEST:.0e} to {_LARGEST:.0e}")
    return float(value)


def _ready(chosen: Filter) -> Filter:
    """
    Raises:
        ParameterError: `invalid-filters`: it would let everything pass.
    """
    if chosen.least == -inf and chosen.most == inf:
        raise _invalid(f"{chosen.name} needs a bound, as in {chosen.name}.most: without one it drops nothing")
    return chosen


def _finite(bound: float) -> float | None:
    return bound if isfinite(bound) else None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _invalid(message: str) -> ParameterError:
    return ParameterError(message, code="invalid-filters")
