"""What the service says of itself."""

from __future__ import annotations

from pydantic import BaseModel, Field


class EncoderOut(BaseModel):
    name: str
    dims: int
    languages: list[str]
    licence: str
    installed: bool
    provider: str | None = Field(
        default=None, description="What the API runs it on, once it has loaded it: CPUExecutionProvider, CUDA..."
    )


class EncoderList(BaseModel):
    items: list[EncoderOut]


class Check(BaseModel):
    name: str
    ok: bool
    detail: str


class Readiness(BaseModel):
    ready: bool
    checks: list[Check]


class Liveness(BaseModel):
    live: bool = True
    version: str
