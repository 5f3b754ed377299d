"""How each pair of a matrix is mined, as plain values that travel between processes and machines."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from bitextmine.documents import DEFAULT_BONUS, DocumentRule, DocumentUse
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.errors import ParameterError
from bitextmine.filters import FilterSettings
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MiningParameters
from bitextmine.search.method import Method
from bitextmine.thresholds.estimate import check_documents


def _document_rule(value: Any) -> DocumentRule:
    """
    Raises:
        ParameterError: it is neither the name of a use, nor that with a bonus.
    """
    wanted = value if isinstance(value, dict) else {"use": value}
    uses = ", ".join(use.value for use in DocumentUse)
    bonus = wanted.get("bonus", DEFAULT_BONUS)
    if not set(wanted) <= {"use", "bonus"} or wanted.get("use") not in list(DocumentUse):
        raise ParameterError(f"documents is {value!r}; it must be one of {uses}, or a table of use and bonus")
    if isinstance(bonus, bool) or not isinstance(bonus, int | float):
        raise ParameterError(f"the bonus of documents is {bonus!r}, which is no number")
    return DocumentRule(use=DocumentUse(wanted["use"]), bonus=float(bonus))


_PARSERS = {
    "margin": Margin,
    "retrieval": Retrieval,
    "method": Method,
    "postprocess": PostProcessing.parse,
    "documents": _document_rule,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixParameters:
    """`precision` (0 to 1) has a threshold chosen for each pair; that of `mining` is then for those of which none can.

    Raises:
        ParameterError: `invalid-threshold`: the precision is not between 0 and 1; mining by documents, of which no
            precision is estimated.
    """

    mining: MiningParameters = field(default_factory=MiningParameters)
    precision: float | None = None
    filters: FilterSettings | None = None

    def __post_init__(self) -> None:
        if self.precision is not None and not 0 < self.precision < 1:
            message = f"a precision of {self.precision:g}; it must be between 0 and 1"
            raise ParameterError(message, code="invalid-threshold")
        if self.precision is not None:
            check_documents(self.mining)

    def as_json(self) -> dict[str, Any]:
        """All of it, as `from_json` takes it; what is at its default is left out, so that a new one changes no name."""
        default = MiningParameters()
        values = {field.name: getattr(self.mining, field.name) for field in fields(default)}
        changed = {name: value for name, value in values.items() if value != getattr(default, name)}
        mining = {name: _plain(name, value) for name, value in changed.items()}
        filters = self.filters.as_json() if self.filters and self.filters.filters else None
        return {"mining": mining, "precision": self.precision, "filters": filters}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> MatrixParameters:
        """
        Raises:
            ParameterError: as the classes themselves.
        """
        filters = values.get("filters")
        return cls(
            mining=mining_parameters(values.get("mining", {})),
            precision=values.get("precision"),
            filters=FilterSettings.parse(filters) if filters is not None else None,
        )


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, DocumentRule):
        if value.links is not None:
            raise ParameterError("of many corpora, documents of the same id are linked, and no others")
        return {"use": value.use.value, "bonus": value.bonus}
    return str(value) if name in _PARSERS else value


def mining_parameters(values: dict[str, Any]) -> MiningParameters:
    """Mining parameters by their names, those of a few choices as text.

    Raises:
        ParameterError: there is no such parameter, or it has no such value.
    """
    known = {field.name: field.type for field in fields(MiningParameters)}
    for name, value in values.items():
        if name not in known:
            raise ParameterError(f"unknown setting {name!r}; there are {', '.join(known)}")
        if name != "documents":
            _check_type(name, value, str(known[name]))
    parsed = {name: _parsed(name, value) if name in _PARSERS else value for name, value in values.items()}
    return MiningParameters(**parsed)


def _check_type(name: str, value: Any, wanted: str) -> None:
    kinds = {"int": int, "float": int | float, "float | None": int | float | None, "bool": bool}
    kind = kinds.get(wanted, str)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ParameterError(f"{name} is {value!r}, which is no {wanted.partition(' ')[0]}")


def _parsed(name: str, value: Any) -> Any:
    try:
        return _PARSERS[name](value)
    except ValueError:
        choices = ", ".join(str(choice) for choice in (Margin, Retrieval, Method)[list(_PARSERS).index(name)])
        raise ParameterError(f"{name} is {value!r}; it must be one of {choices}") from None
