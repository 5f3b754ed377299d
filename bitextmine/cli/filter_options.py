"""Which filters a command is asked for, and what it says of what they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bitextmine.cli.stages import say
from bitextmine.errors import ParameterError
from bitextmine.filters import FilterSettings

_WORDS = ("default", "none")
FiltersOption = Annotated[
    str,
    typer.Option(
        metavar="CHOICE", help="Filters that pairs must pass: default, none, or a .toml or .json file of settings."
    ),
]


def settings_of(
    choice: str, only: Sequence[str] = (), without: Sequence[str] = (), bounds: Sequence[str] = ()
) -> FilterSettings:
    """
    Raises:
        ParameterError: `invalid-filters`.
    """
    settings = FilterSettings.parse(choice) if choice in _WORDS else _read(Path(choice))
    for bound in bounds:
        settings = settings.with_bound(bound)
    return (settings.only(only) if only else settings).without(without)


def say_filtered(summary: Mapping[str, Any]) -> None:
    """How many pairs of a filtered bitext's were dropped, and by what."""
    filters = summary["filters"]
    if dropped := summary["unfiltered_pairs"] - summary["pairs"]:
        by = ", ".join(f"{each['name']} {each['dropped']:,}" for each in filters if each["dropped"])
        say(f"{dropped:,} of {summary['unfiltered_pairs']:,} pairs were dropped by filters: {by}")
    else:
        say(f"no filter dropped any of {summary['unfiltered_pairs']:,} pairs")


def _read(path: Path) -> FilterSettings:
    if not path.exists():
        message = f"{str(path)!r} is no choice of filters: neither {' nor '.join(_WORDS)}, nor a file"
        raise ParameterError(message, code="invalid-filters")
    return FilterSettings.read(path)
