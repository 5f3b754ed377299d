"""What commands that speak to a service share: the options, the connection, and waiting for a job."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli.stages import say
from bitextmine.errors import BitextmineError
from bitextmine.progress import Progress

if TYPE_CHECKING:
    from bitextmine.client import Client, Job

SERVER_VARIABLE = "BITEXTMINE_SERVER"
SERVER_DEFAULT = "http://127.0.0.1:8000"
_SERVER_HELP = "The service's URL."
_KEY_HELP = "Of the service, where it asks for one; better in the environment, which other users cannot see."
ServerOption = Annotated[str, typer.Option("--server", envvar=SERVER_VARIABLE, metavar="URL", help=_SERVER_HELP)]
ServerOrHere = Annotated[
    str | None,
    typer.Option(
        "--server", envvar=SERVER_VARIABLE, metavar="URL", show_default="here", help="Have a service at this URL do it."
    ),
]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="BITEXTMINE_KEY", show_default=False, metavar="KEY", help=_KEY_HELP)
]


@contextmanager
def connected(server: str, key: str | None) -> Iterator[Client]:
    """A client of a service that answers.

    Raises:
        ServiceError: `service-unreachable`, at once; or something else answers there.
        ParameterError: no URL, or no key.
    """
    from bitextmine.client import Client

    with Client(server, key) as client:
        client.alive()
        yield client


def waited(client: Client, job: Job, progress: Progress, *, cancel: bool = True) -> Job:
    """The job once it has succeeded. A Ctrl-C cancels it, or leaves it alone.

    Raises:
        ServiceError: the job failed, with its code.
        KeyboardInterrupt: after the job was cancelled.
    """
    try:
        return client.jobs.wait(job, progress=progress)
    except KeyboardInterrupt:
        if cancel:
            _cancel(client, job)
        else:
            say(f"job {job.id} goes on; follow it with: bitextmine jobs watch {job.id}")
        raise


def _cancel(client: Client, job: Job) -> None:
    """Cancel the job, were there a second Ctrl-C meanwhile."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        client.jobs.cancel(job)
        say(f"job {job.id} is cancelled; what it finished is kept for a next try")
    except BitextmineError as error:
        say(f"job {job.id} may go on: {error}")
    finally:
        with suppress(ValueError, TypeError):
            signal.signal(signal.SIGINT, before)
