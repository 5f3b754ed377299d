"""The worker's settings, from the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from bitextmine.jobs.queue import HEARTBEAT_SECONDS
from bitextmine.workspace import Workspace, default_data_dir, default_encoders_dir

CHILD_COMMAND = (sys.executable, "-m", "bitextmine_indexer.child")


def _cores() -> int:
    """The cores that this process may use, which in a container are often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerSettings(BaseSettings):
    """Each is read from the environment variable of its name in capitals, after `BITEXTMINE_`; REDIS_URL has no prefix.

    data_dir           where artifacts lie; shared by all workers and the API
    encoders_dir       where encoders are installed
    redis_url          `redis://`, `rediss://` or `unix://`; required
    heartbeat_seconds  a worker or a job silent for so long is taken for dead, and its work given to another
    max_attempts       a job whose process died so often is failed (code job-crashed)
    threads            for each job
    jobs_at_once       jobs that this worker runs side by side; memory is needed for each
    log_level          of the worker and of its jobs
    child_command      (for tests) what is started for each job
    """

    model_config = SettingsConfigDict(env_prefix="BITEXTMINE_", frozen=True)

    data_dir: Path = Field(default_factory=default_data_dir)
    encoders_dir: Path = Field(default_factory=default_encoders_dir)
    redis_url: str = Field(validation_alias="REDIS_URL")
    heartbeat_seconds: PositiveFloat = HEARTBEAT_SECONDS
    max_attempts: PositiveInt = 3
    threads: PositiveInt = Field(default_factory=_cores)
    jobs_at_once: PositiveInt = 1
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    child_command: tuple[str, ...] = CHILD_COMMAND

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.data_dir, self.encoders_dir)
