"""The service's settings, read once from the environment by `__main__`. docs/operations.md has the table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bitextmine.imports import import_dirs
from bitextmine.jobs.settings import LogFormatName, LogLevel, RedisUrl, report, validator
from bitextmine.logs import LogFormat
from bitextmine.resources import Device, Provider, available_memory, default_threads, parse_memory
from bitextmine.uploads import MAX_AGE_SECONDS
from bitextmine.workspace import Workspace, default_data_dir, default_encoders_dir
from bitextmine_service.auth import AuthMode
from bitextmine_service.origins import parse_origins

Memory = Annotated[PositiveInt, BeforeValidator(validator(parse_memory))]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(validator(parse_origins))]
ImportDirs = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(validator(import_dirs))]


class ServiceSettings(BaseSettings):
    """Environment variables are the names below in capitals, with `BITEXTMINE_` before them, except REDIS_URL."""

    model_config = SettingsConfigDict(env_prefix="BITEXTMINE_", populate_by_name=True, frozen=True)

    redis_url: RedisUrl = Field(validation_alias="REDIS_URL", description="redis:// or unix:// URL of Redis or Valkey.")
    data_dir: Path = Field(default_factory=default_data_dir, description="Shared with the workers.")
    encoders_dir: Path = Field(default_factory=default_encoders_dir)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    auth: AuthMode = Field(default=AuthMode.AUTO, description="Keys: on, off; auto: on, but for loopback addresses.")
    metrics_open: bool = Field(default=False, description="Whether /metrics answers without a key.")
    cors_origins: Origins = Field(default=(), description="Of pages that may use the API: https://a,https://b or *.")
    max_connections: int = Field(default=1_000, gt=0, description="Open at a time; beyond it requests get 503.")
    header_seconds: float = Field(default=10, gt=0, le=3600, description="For the head of a request to arrive.")
    body_seconds: float = Field(default=30, gt=0, le=86_400, description="For a body to arrive, but for uploads.")
    send_seconds: float = Field(default=120, gt=0, le=86_400, description="For which a client may read nothing.")
    max_upload_bytes: int = Field(default=10 << 30, gt=0, description="Largest upload, as sent.")
    upload_stall_seconds: float = Field(default=60, gt=0, le=86_400, description="Without a byte: uploads get 408.")
    upload_max_age_seconds: float = Field(default=MAX_AGE_SECONDS, gt=0, description="After its last byte.")
    max_unfinished_uploads: int = Field(default=100, gt=0, description="In pieces, of a tenant; beyond it 429.")
    import_dirs: ImportDirs = Field(default=(), description="That files of the server are imported from.")
    max_expanded_bytes: int = Field(default=100 << 30, gt=0, description="Most text that an upload may expand to.")
    max_chars: int = Field(default=10_000, gt=0, description="Longer lines are refused.")
    max_unfinished_jobs: int = Field(default=1_000, gt=0, description="Beyond it new jobs get 429.")
    max_event_streams: int = Field(default=256, gt=0, description="Open GET /v1/jobs/{id}/events; beyond it 503.")
    min_free_bytes: int = Field(default=1 << 30, ge=0, description="Less free disk makes /readyz fail.")
    embed_threads: int = Field(default_factory=default_threads, gt=0, description="Of each encoder that is open.")
    embed_queue_tokens: int = Field(default=1 << 16, gt=0, description="Beyond it requests for vectors get 429.")
    embed_encoders: int = Field(default=2, gt=0, description="Encoders open at a time.")
    search_threads: int = Field(default_factory=default_threads, gt=0, description="Searches at a time.")
    search_queue: int = Field(default=256, gt=0, description="Queries being answered; beyond it searches get 429.")
    search_corpora: int = Field(default=32, gt=0, description="Searched corpora kept open.")
    search_memory: Memory = Field(
        default_factory=lambda: min(4 << 30, available_memory() // 4),
        description="Of indexes that are loaded to be searched, as 4GB.",
    )
    provider: Provider = Field(default=Provider.AUTO, description="What encoders run on: auto, cpu or cuda.")
    allow_cpu_fallback: bool = Field(default=False, description="Whether the CPU will do where cuda does not work.")
    log_level: LogLevel = "INFO"
    log_format: LogFormatName = Field(default=LogFormat.TEXT, description="text, or json: an object a line.")
    ready_encoder: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="What /readyz tries; unset: muse where it is installed, else the first.",
    )
    drain_seconds: float = Field(default=0, ge=0, le=3600, description="Told to stop: how long to fail /readyz first.")
    shutdown_seconds: float = Field(default=10, ge=0, le=86_400, description="Then: for requests in flight to end.")

    @property
    def asks_for_keys(self) -> bool:
        return self.auth.asks(self.host)

    @property
    def device(self) -> Device:
        return Device(self.provider, self.allow_cpu_fallback)

    @property
    def workspace(self) -> Workspace:
        return Workspace.at(self.data_dir, self.encoders_dir)


if __name__ == "__main__":
    sys.stdout.write(report(ServiceSettings))
