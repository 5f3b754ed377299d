"""The worker's settings, from the environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from bitextmine.jobs.leases import WorkerLimits
from bitextmine.jobs.queue import HEARTBEAT_SECONDS
from bitextmine.jobs.settings import LogFormatName, LogLevel, RedisUrl, report, validator
from bitextmine.logs import LogFormat
from bitextmine.resources import Device, Provider, Resources, default_memory, default_threads, parse_memory
from bitextmine.uploads import MAX_AGE_SECONDS
from bitextmine.workspace import Workspace, default_data_dir, default_encoders_dir

CHILD_COMMAND = (sys.executable, "-m", "bitextmine_indexer.child")
Memory = Annotated[PositiveInt, BeforeValidator(validator(parse_memory))]


class WorkerSettings(BaseSettings):
    """Each is read from the environment variable of its name in capitals, after `BITEXTMINE_`; REDIS_URL has no prefix.

    data_dir           where artifacts lie; shared by all workers and the API
    encoders_dir       where encoders are installed
    redis_url          `redis://`, `rediss://` or `unix://`; required
    heartbeat_seconds  a worker or a job silent for so long is taken for dead, and its work given to another
    max_attempts       a job whose process died so often without getting further is failed (code job-crashed)
    max_finished_jobs  of more the oldest records are dropped
    finished_job_days  records of jobs that ended longer ago are dropped too
    upload_max_age_seconds  uploads that nothing was added to for so long, and that no job needs, are deleted
    threads            for each job
    memory             for each job, as 8GB; by default the jobs share a part of what is free when they start
    gpus               for each job; by default all that FAISS sees
    provider           what encoders run on: auto, cpu or cuda
    allow_cpu_fallback whether the CPU will do where cuda does not work
    jobs_at_once       jobs that this worker runs side by side; memory is needed for each
    log_level          of the worker and of its jobs
    log_format         text or json, of the same
    child_command      (for tests) what is started for each job
    """

    model_config = SettingsConfigDict(env_prefix="BITEXTMINE_", frozen=True)

    data_dir: Path = Field(default_factory=default_data_dir)
    encoders_dir: Path = Field(default_factory=default_encoders_dir)
    redis_url: RedisUrl = Field(validation_alias="REDIS_URL")
    heartbeat_seconds: PositiveFloat = HEARTBEAT_SECONDS
    max_attempts: PositiveInt = 3
    max_finished_jobs: PositiveInt = 10_000
    finished_job_days: PositiveFloat = Field(default=30.0, le=36_500)
    upload_max_age_seconds: PositiveFloat = MAX_AGE_SECONDS
    threads: PositiveInt = Field(default_factory=default_threads)
    memory: Memory | None = None
    gpus: NonNegativeInt | None = None
    provider: Provider = Provider.AUTO
    allow_cpu_fallback: bool = False
    jobs_at_once: PositiveInt = 1
    log_level: LogLevel = "INFO"
    log_format: LogFormatName = LogFormat.TEXT
    child_command: tuple[str, ...] = CHILD_COMMAND

    @property
    def resources(self) -> Resources:
        """What a job that starts now may use."""
        from bitextmine.search.gpu import gpu_count  # it loads FAISS

        memory = self.memory or default_memory() // self.jobs_at_once
        gpus = gpu_count() if self.gpus is None else self.gpus
        return Resources(self.threads, memory, gpus, Device(self.provider, self.allow_cpu_fallback))

    @property
    def limits(self) -> WorkerLimits:
        """What a job may use whenever it starts."""
        return WorkerLimits(threads=self.threads, memory=self.memory, gpus=self.gpus or 0)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.data_dir, self.encoders_dir)


if __name__ == "__main__":
    sys.stdout.write(report(WorkerSettings))
