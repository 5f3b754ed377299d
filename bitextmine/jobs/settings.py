"""What the settings of the API, the worker and `serve` have in common: types that refuse values which cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings

from bitextmine.errors import ParameterError
from bitextmine.jobs.queue import connect
from bitextmine.logs import LogFormat

T = TypeVar("T")
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LEVELS: tuple[Level, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")
PREFIX = "BITEXTMINE_"
OTHER_VARIABLES = ("BITEXTMINE_KEY", "BITEXTMINE_SERVER", "BITEXTMINE_TRACEBACK")  # that no class of settings has
_ANY_REDIS = "redis://127.0.0.1"  # for looking at the other settings where there is none yet
LOG_FORMAT_VARIABLE = "BITEXTMINE_LOG_FORMAT"


def check_level(text: str) -> Level:
    """A log level, written in whatever case.

    Raises:
        ParameterError: there is no such level.
    """
    if (level := text.strip().upper()) not in LEVELS:
        raise ParameterError(f"{text!r} is no log level; use {', '.join(LEVELS)}")
    return level


def check_log_format(text: str) -> LogFormat:
    """A log format, written in whatever case.

    Raises:
        ParameterError: there is no such format.
    """
    try:
        return LogFormat(text.strip().lower())
    except ValueError:
        raise ParameterError(f"{text!r} is no log format; use {' or '.join(LogFormat)}") from None


def check_redis_url(url: str) -> str:
    """
    Raises:
        ParameterError: it is not the URL of a Redis.
    """
    connect(url).close()
    return url


def problems(error: ValidationError) -> list[str]:
    """What is wrong with settings: a line for each, with the name of its environment variable."""
    found = []
    for problem in error.errors():
        name = "_".join(map(str, problem["loc"])).upper()
        variable = name if name == "REDIS_URL" else PREFIX + name
        found.append(f"{variable}: {problem['msg'].removeprefix('Value error, ')}")
    return found


def variables(settings: type[BaseSettings]) -> list[str]:
    """The environment variables that a class of settings reads."""
    return [str(field.validation_alias or PREFIX + name.upper()) for name, field in settings.model_fields.items()]


def report(settings: type[BaseSettings]) -> str:
    """What a class of settings makes of the environment, as a JSON object for `bitextmine doctor`: `variables` that
    it reads, `problems` with their values, and the `values` by field, but for the URL with its password."""
    os.environ.setdefault("REDIS_URL", _ANY_REDIS)
    values: dict[str, object] = {}
    found: list[str] = []
    try:
        values = settings().model_dump(mode="json", exclude={"redis_url"})
    except ValidationError as error:
        found = problems(error)
    return json.dumps({"variables": variables(settings), "problems": found, "values": values})


def validator(check: Callable[[str], T]) -> Callable[[object], object]:
    """A check that raises ParameterError as a validator of strings: pydantic wants a ValueError."""

    def validate(value: object) -> object:
        try:
            return check(value) if isinstance(value, str) else value
        except ParameterError as error:
            raise ValueError(str(error)) from error

    return validate


LogLevel = Annotated[Level, BeforeValidator(validator(check_level))]
LogFormatName = Annotated[LogFormat, BeforeValidator(validator(check_log_format))]
RedisUrl = Annotated[str, BeforeValidator(validator(check_redis_url))]
