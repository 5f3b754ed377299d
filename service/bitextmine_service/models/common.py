"""Types that several resources have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitextmine.catalog import NAME_PATTERN

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", description="1 to 64 of a-z, 0-9, '.', '_', '-'.")]
EncoderName = Annotated[str, Field(min_length=1, max_length=64, description="An installed encoder: GET /v1/encoders.")]


def whole(value: object) -> object:
    """4.0 is an integer, to JSON Schema and so to the API's description."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
