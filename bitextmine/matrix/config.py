"""A run as a TOML file: corpora, pairs, and how they are mined."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitextmine.catalog import check_name
from bitextmine.corpus import CorpusFormat
from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.exports import Export, export_named
from bitextmine.filters import FilterSettings
from bitextmine.languages import parse_language
from bitextmine.matrix.choice import NamePair, PairChoice
from bitextmine.matrix.parameters import MatrixParameters, mining_parameters
from bitextmine.matrix.sources import CorpusSource

_SETTINGS = (
    "encoder",
    "pairs",
    "pivot",
    "first",
    "precision",
    "filters",
    "output",
    "format",
    "mining",
    "preparation",
    "corpora",
)
_OF_A_CORPUS = ("lang", "files", "format", "preparation")
DEFAULT_ENCODER, DEFAULT_FORMAT = "muse", "tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixConfig:
    """What a configuration asks for. `output` is where each pair's file goes, if anywhere, and `export` what it is."""

    encoder: str
    sources: tuple[CorpusSource, ...]
    choice: PairChoice
    parameters: MatrixParameters
    output: Path | None
    ending: str
    export: Export


def read_config(path: Path) -> MatrixConfig:
    """Parse a configuration; paths in it are relative to the file's directory.

    Raises:
        ParameterError: `invalid-config`: the file and what is wrong with it; or a part of it is none that can be.
        CorpusInputError, LanguageError: a corpus has no such files or language.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror}", code="invalid-config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: {error}", code="invalid-config") from error
    try:
        return _parsed(values, path.resolve().parent)
    except BitextmineError as error:
        raise type(error)(f"{path}: {error}", code=error.code) from error


def _parsed(values: Mapping[str, Any], base: Path) -> MatrixConfig:
    _check_names(values, _SETTINGS, "the configuration")
    corpora = values.get("corpora")
    if not isinstance(corpora, dict) or not corpora:
        raise _wrong("there are no corpora; give each a table, as [corpora.de] with files = [...]")
    ending = _text(values, "format", DEFAULT_FORMAT)
    output = values.get("output")
    return MatrixConfig(
        encoder=_text(values, "encoder", DEFAULT_ENCODER),
        sources=tuple(_source(name, table, values.get("preparation"), base) for name, table in corpora.items()),
        choice=_choice(values),
        parameters=_parameters(values),
        output=None if output is None else base / _text(values, "output", ""),
        ending=ending,
        export=export_named(f"pairs.{ending}"),
    )


def _source(name: str, table: Any, preparation: Any, base: Path) -> CorpusSource:
    from bitextmine.preparation import expand_sources

    where = f"[corpora.{name}]"
    check_name(name)
    if not isinstance(table, dict):
        raise _wrong(f"{where} is no table")
    _check_names(table, _OF_A_CORPUS, where)
    files = table.get("files")
    if isinstance(files, str):
        files = [files]
    if not isinstance(files, list) or not files or not all(isinstance(each, str) for each in files):
        raise _wrong(f"{where}: files must be a list of files, directories or patterns")
    form = table.get("format")
    if form is not None and form not in [known.value for known in CorpusFormat]:
        raise _wrong(f"{where}: format is {form!r}; it must be one of {', '.join(CorpusFormat)}")
    own = _preparation(table.get("preparation", preparation), where, base)
    found = tuple(str(path) for path in expand_sources(files, base))
    lang = parse_language(_text(table, "lang", name))
    return CorpusSource(name=name, lang=lang, files=found, form=form, preparation=own)


def _preparation(wanted: Any, where: str, base: Path) -> dict[str, Any] | None:
    """The table, with files to be excluded found from the configuration's directory."""
    from bitextmine.preparation import PreparationParameters

    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        raise _wrong(f"{where}: preparation is no table")
    exclude = PreparationParameters.parse(wanted).exclude
    return {**wanted, "exclude": [str(base / path) for path in exclude]} if exclude else wanted


def _choice(values: Mapping[str, Any]) -> PairChoice:
    pairs = values.get("pairs", "all")
    listed = None if pairs == "all" else _pairs(pairs, "pairs")
    wanted = values.get("pivot", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(wanted, list) or not all(isinstance(each, str) for each in wanted):
        raise _wrong('pivot must be a corpus or a language, or a list of them, as ["en", "fr"]')
    pivots = tuple(each if each in values["corpora"] else parse_language(each) for each in wanted)
    return PairChoice(pivots=pivots, listed=listed, first=_pairs(values.get("first", []), "first"))


def _pairs(values: Any, name: str) -> tuple[NamePair, ...]:
    wrong = _wrong(f'{name} must be "all" or a list of pairs of corpora, as [["de", "en"]]')
    if not isinstance(values, list):
        raise wrong
    for pair in values:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(each, str) for each in pair):
            raise wrong
    return tuple((src, tgt) for src, tgt in values)


def _parameters(values: Mapping[str, Any]) -> MatrixParameters:
    mining = values.get("mining", {})
    if not isinstance(mining, dict):
        raise _wrong("[mining] is no table")
    precision = values.get("precision")
    if precision is not None and (isinstance(precision, bool) or not isinstance(precision, int | float)):
        raise _wrong(f"precision is {precision!r}, which is no number")
    return MatrixParameters(
        mining=mining_parameters(mining), precision=precision, filters=_filters(values.get("filters", "default"))
    )


def _filters(wanted: Any) -> FilterSettings | None:
    settings = FilterSettings.parse(wanted)
    return settings if settings.filters else None


def _text(values: Mapping[str, Any], name: str, default: str) -> str:
    value = values.get(name, default)
    if not isinstance(value, str):
        raise _wrong(f"{name} is {value!r}, which is no text")
    return value


def _check_names(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in values:
        if name not in known:
            raise _wrong(f"{where} has an unknown setting {name!r}; there are {', '.join(known)}")


def _wrong(message: str) -> ParameterError:
    return ParameterError(message, code="invalid-config")
