"""`bitextmine jobs`: the jobs of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli.remote import SERVER_DEFAULT, KeyOption, ServerOption, connected, waited
from bitextmine.cli.stages import progress_shown, say
from bitextmine.jobs.record import JobKind, JobState

if TYPE_CHECKING:
    from bitextmine.client import Job

jobs = typer.Typer(help="Jobs of a service: list, look at, follow, cancel, retry.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id; see: bitextmine jobs list.")]


@jobs.command("list")
def list_jobs(
    state: Annotated[list[JobState] | None, typer.Option(help="In this state; may be given again for another.")] = None,
    kind: Annotated[list[JobKind] | None, typer.Option(help="Of this kind; may be given again.")] = None,
    corpus: Annotated[str | None, typer.Option(show_default=False, help="That read or make this corpus.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
    server: ServerOption = SERVER_DEFAULT,
    key: KeyOption = None,
) -> None:
    """List jobs, newest first."""
    with connected(server, key) as client:
        found = client.jobs.list(
            state=[each.value for each in state or ()], kind=[each.value for each in kind or ()], corpus=corpus
        )
        for _, job in zip(range(limit), found, strict=False):
            typer.echo(job.model_dump_json() if as_json else _line(job))


@jobs.command()
def show(job_id: JobId, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Show one job as JSON: what was asked for, its state and stages, its error or its result."""
    with connected(server, key) as client:
        typer.echo(client.jobs.get(job_id).model_dump_json(indent=2))


@jobs.command()
def watch(job_id: JobId, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Follow a job until it is over, with a bar for each stage. Ctrl-C stops watching; the job goes on.

    The exit code is 0 when it succeeded.
    """
    with connected(server, key) as client, progress_shown() as progress:
        job = waited(client, client.jobs.get(job_id), progress, cancel=False)
    say(_line(job))


@jobs.command()
def cancel(job_id: JobId, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Cancel a job: a waiting one at once, a running one within seconds."""
    with connected(server, key) as client:
        client.jobs.cancel(job_id)


@jobs.command()
def retry(job_id: JobId, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Send a job that failed or was cancelled again, and print the id of the new one. What was finished is kept."""
    with connected(server, key) as client:
        typer.echo(client.jobs.retry(job_id).id)


def _line(job: Job) -> str:
    names = (job.request.get(name) for name in ("name", "corpus", "src", "tgt"))
    about = " ".join(str(name) for name in names if name)
    where = job.progress.stage if job.progress is not None and not job.over else ""
    why = job.error.code if job.error is not None else ""
    return f"{job.id}  {job.created:%Y-%m-%d %H:%M:%S}  {job.kind:<7} {job.state:<9} {about} {where}{why}".rstrip()
