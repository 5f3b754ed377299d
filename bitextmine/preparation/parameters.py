"""What preparation does and drops: said in a TOML or JSON file, or by the options of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from bitextmine.corpus.build import SHARD_ROWS
from bitextmine.errors import ParameterError
from bitextmine.languages import parse_language
from bitextmine.preparation.language import USUAL, Language, Script
from bitextmine.preparation.repetition import RepeatedCharacters, RepeatedPassages, RepeatedWords
from bitextmine.preparation.rule import Bounded, Rule
from bitextmine.preparation.shape import Digits, Length, Punctuation

EXCLUDED, NEAR_DUPLICATE = "excluded", "near-duplicate"  # rules that look at other sentences too
_SHOWN = 40  # characters of what is wrong
_LARGEST = 1e9  # of a bound
_Choice = TypeVar("_Choice", bound=StrEnum)


class Split(StrEnum):
    """What is split into sentences."""

    AUTO = "auto"  # documents: texts of several lines, and records with a title
    ALWAYS = "always"  # every line and record, as where a line is a paragraph
    NEVER = "never"  # a line, and a line of a document, is a sentence


class Normalization(StrEnum):
    NFC = "nfc"  # composed
    NFKC = "nfkc"  # and compatibility characters replaced: ligatures, full-width letters, superscripts


class Tidying(StrEnum):
    """What may be tidied up within a sentence."""

    WIDTH = "width"  # full-width letters and digits, half-width Katakana
    QUOTES = "quotes"  # typographic quotation marks and apostrophes become " and '
    SPACES = "spaces"  # any white space becomes one space, tabs too
    ZERO_WIDTH = "zero-width"  # characters that nobody sees go; the joiners of Arabic and Indic scripts stay


class NearDuplicates(StrEnum):
    """Which sentences count as the same as an earlier one."""

    KEEP = "keep"  # none
    LETTERS = "letters"  # but for case, punctuation and spaces
    DIGITS = "digits"  # and but for digits


# In the order in which they are asked, the cheap ones first: a sentence is counted for the first that drops it.
DEFAULT_BOUNDS: Mapping[str, Bounded] = {
    Length.name: Bounded(least=2, most=500),
    Punctuation.name: Bounded(most=0.6),
    Digits.name: Bounded(most=0.5),
    Script.name: Bounded(most=0.75),
    RepeatedCharacters.name: Bounded(most=10),
    RepeatedWords.name: Bounded(most=4),
    RepeatedPassages.name: Bounded(most=0.5),
    Language.name: Bounded(most=USUAL),
}


def rule_names() -> list[str]:
    """All rules that there are, in the order in which they are asked."""
    return [EXCLUDED, *DEFAULT_BOUNDS, NEAR_DUPLICATE]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationParameters:
    """Two that are equal make the same corpus of the same files.

    Attributes:
        bounds: of the rules that run, by name, in the order of DEFAULT_BOUNDS.
        languages: the most that the rule `language` passes, by ISO 639-3 code.
        exclude: files whose sentences are dropped: bitexts, or texts.
        max_document_chars: a longer text of a record is refused as a whole.
    """

    split: Split = Split.AUTO
    normalization: Normalization = Normalization.NFC
    tidy: tuple[Tidying, ...] = ()
    near_duplicates: NearDuplicates = NearDuplicates.LETTERS
    bounds: Mapping[str, Bounded] = field(default_factory=lambda: dict(DEFAULT_BOUNDS))
    languages: Mapping[str, float] = field(default_factory=dict)
    exclude: tuple[Path, ...] = ()
    shard_rows: int = SHARD_ROWS
    max_document_chars: int = 1_000_000

    @classmethod
    def parse(cls, wanted: object) -> PreparationParameters:
        """Parameters as TOML and JSON have them: a mapping of the names above, where `rules` are the bounds.

        Of a rule `true` is wanted, `false`, or bounds: {"length": {"least": 5, "most": 300}, "language": false}. Rules
        that are not named run with their defaults.

        Raises:
            ParameterError: `invalid-preparation`.
        """
        if not isinstance(wanted, Mapping):
            raise invalid(f"preparation is a table of its parameters, not {_shown(wanted)}")
        if unknown := [name for name in wanted if name not in _PARSERS]:
            raise invalid(f"unknown parameter {_shown(unknown[0])}; there are: {', '.join(_PARSERS)}")
        parsed = {str(name): _PARSERS[name](name, value) for name, value in wanted.items()}
        if "rules" in parsed:
            parsed["bounds"] = parsed.pop("rules")
        return cls(**parsed)

    def rules(self, lang: str) -> tuple[Rule, ...]:
        """The rules for sentences of a language (deu_Latn form), in the order in which they are asked."""
        return tuple(self._rule(name, bounds, lang) for name, bounds in self.bounds.items())

    def described(self, lang: str) -> dict[str, Any]:
        """All that decides what becomes of a sentence of a language, as JSON values."""
        bounds = {rule.name: [_finite(rule.least), _finite(rule.most)] for rule in self.rules(lang)}
        return {
            "split": self.split.value,
            "normalization": self.normalization.value,
            "tidy": sorted(each.value for each in self.tidy),
            "near_duplicates": self.near_duplicates.value,
            "rules": bounds,
            "max_document_chars": self.max_document_chars,
        }

    def _rule(self, name: str, bounds: Bounded, lang: str) -> Any:
        match name:
            case Script.name:
                return Script.of(lang, bounds)
            case Language.name:
                return Language.of(lang, bounds, self.languages)
            case _:
                return _PLAIN[name](least=bounds.least, most=bounds.most)


_PLAIN: Mapping[str, type[Bounded]] = {
    each.name: each for each in (Length, Punctuation, Digits, RepeatedCharacters, RepeatedWords, RepeatedPassages)
}


def with_rule(parameters: PreparationParameters, said: str) -> dict[str, Bounded]:
    """The bounds with one as people write it: `length.most=400`. A rule that does not run yet will.

    Raises:
        ParameterError: `invalid-preparation`.
    """
    place, equals, number = said.partition("=")
    name, dot, bound = place.strip().rpartition(".")
    if not (equals and dot):
        raise invalid(f"{_shown(said)} sets no bound; write it as length.most=400")
    try:
        value = float(number)
    except ValueError:
        raise invalid(f"{_shown(said)} sets no bound: {_shown(number)} is no number") from None
    former = parameters.bounds.get(name) or DEFAULT_BOUNDS.get(name)
    return _in_order({**parameters.bounds, name: _bounded(name, former, {bound: value})})


def invalid(message: str) -> ParameterError:
    return ParameterError(message, code="invalid-preparation")


def _rules(_: str, value: object) -> dict[str, Bounded]:
    if not isinstance(value, Mapping):
        raise invalid(f"rules are a table of rules to their bounds, not {_shown(value)}")
    chosen = dict(DEFAULT_BOUNDS)
    for name, wanted in value.items():
        if wanted is False and name in DEFAULT_BOUNDS:
            del chosen[name]
        elif wanted is not True or name not in DEFAULT_BOUNDS:
            chosen[name] = _bounded(name, DEFAULT_BOUNDS.get(name), wanted)
    return chosen


def _bounded(name: object, former: Bounded | None, wanted: object) -> Bounded:
    if former is None:
        raise invalid(f"unknown rule {_shown(name)}; with bounds there are: {', '.join(DEFAULT_BOUNDS)}")
    if not isinstance(wanted, Mapping):
        raise invalid(f"{name} is true, false or its bounds, as in {{most = 4}}, not {_shown(wanted)}")
    if unknown := [bound for bound in wanted if bound not in ("least", "most")]:
        raise invalid(f"{name} has no bound {_shown(unknown[0])}; there are least and most")
    least = _number(f"{name}.least", wanted["least"]) if "least" in wanted else former.least
    most = _number(f"{name}.most", wanted["most"]) if "most" in wanted else former.most
    if least > most:
        raise invalid(f"{name}.least {least:g} is above its most {most:g}: no sentence could pass")
    return Bounded(least=least, most=most)


def _in_order(bounds: Mapping[str, Bounded]) -> dict[str, Bounded]:
    return {name: bounds[name] for name in DEFAULT_BOUNDS if name in bounds}


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:  # NaN is not either
        raise invalid(f"{what} is {_shown(value)}; it must be a number")
    return float(value)


def _whole(least: int, most: int) -> Any:
    def parsed(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise invalid(f"{name} is {_shown(value)}; it must be a whole number from {least:,} to {most:,}")
        return value

    return parsed


def _languages(name: str, value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise invalid(f"{name} is a table of languages to thresholds, as in {{swa = 0.9}}, not {_shown(value)}")
    return {
        parse_language(str(code)).partition("_")[0]: _number(f"{name}.{code}", threshold)
        for code, threshold in value.items()
    }


def _one_of(kind: type[_Choice]) -> Any:
    def parsed(name: str, value: object) -> _Choice:
        try:
            return kind(str(value))
        except ValueError:
            raise invalid(f"{name} is {_shown(value)}; there are: {', '.join(kind)}") from None

    return parsed


def _tidy(name: str, value: object) -> tuple[Tidying, ...]:
    wanted = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return tuple(sorted({_one_of(Tidying)(name, each) for each in wanted}))


def _paths(name: str, value: object) -> tuple[Path, ...]:
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, Sequence) or not all(isinstance(each, str | Path) for each in wanted):
        raise invalid(f"{name} is a list of files, not {_shown(value)}")
    return tuple(map(Path, wanted))


def _finite(bound: float) -> float | None:
    return bound if isfinite(bound) else None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


_PARSERS: Mapping[str, Any] = {
    "split": _one_of(Split),
    "normalization": _one_of(Normalization),
    "tidy": _tidy,
    "near_duplicates": _one_of(NearDuplicates),
    "rules": _rules,
    "languages": _languages,
    "exclude": _paths,
    "shard_rows": _whole(1, 1 << 20),
    "max_document_chars": _whole(1, 10_000_000),
}
