"""The command line. Exit codes: 0, 2 for bad input with one line that says what to do, 1 for anything else."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from bitextmine import __version__
from bitextmine.cli.encoders import encoders
from bitextmine.cli.evaluate import evaluate
from bitextmine.cli.mine import mine
from bitextmine.cli.serve import serve, worker
from bitextmine.errors import BitextmineError, InputError

_INTERRUPTED = 130
TRACEBACK_VARIABLE = "BITEXTMINE_TRACEBACK"

app = typer.Typer(
    name="bitextmine",
    help="Mine parallel sentences: monolingual corpora in, scored sentence pairs out.",
    epilog="Start with: bitextmine encoders pull muse, then bitextmine mine --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(mine)
app.add_typer(evaluate, name="evaluate")
app.add_typer(encoders, name="encoders")
app.command()(serve)
app.command()(worker)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bitextmine {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Mine parallel sentences: monolingual corpora in, scored sentence pairs out."""


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; errors become one line on stderr, never a traceback."""
    try:
        result = typer.main.get_command(app)(args=arguments, prog_name="bitextmine", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        result = _INTERRUPTED
    except (BrokenPipeError, SystemExit):  # Typer makes the second of the first: whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE) and not isinstance(error, TyperException | BitextmineError):
            raise
        return _explained(error)
    if result == _INTERRUPTED:  # also what Typer makes of a KeyboardInterrupt
        return _fail("interrupted", _INTERRUPTED)
    return result if isinstance(result, int) else 0


def _explained(error: Exception) -> int:
    if _is_interrupt(error):
        return _fail("interrupted", _INTERRUPTED)
    if isinstance(error, TyperException):
        return _fail(error.format_message(), error.exit_code)
    if isinstance(error, BitextmineError):
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    return _fail(f"unexpected {type(error).__name__}: {error} ({TRACEBACK_VARIABLE}=1 shows where)", 1)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether a KeyboardInterrupt is behind it: native modules make an ImportError of one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(message: str, exit_code: int) -> int:
    line = " ".join(message.split())
    if line:
        sys.stderr.write(f"bitextmine: {line}\n")
    return exit_code
