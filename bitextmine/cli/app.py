"""The commands, put together."""

from __future__ import annotations

import typer

from bitextmine import __version__
from bitextmine.cli.align import align
from bitextmine.cli.corpora import corpora
from bitextmine.cli.doctor import doctor
from bitextmine.cli.embed import embed
from bitextmine.cli.encoders import encoders
from bitextmine.cli.evaluate import evaluate
from bitextmine.cli.export import export
from bitextmine.cli.filter import filter_pairs
from bitextmine.cli.jobs import jobs
from bitextmine.cli.keys import keys
from bitextmine.cli.matrix import matrix
from bitextmine.cli.mine import mine
from bitextmine.cli.plan import calibrate_machine, plan
from bitextmine.cli.prepare import prepare
from bitextmine.cli.ray_check import ray_check
from bitextmine.cli.score import score
from bitextmine.cli.search import search
from bitextmine.cli.serve import serve, worker
from bitextmine.cli.threshold import threshold

app = typer.Typer(
    name="bitextmine",
    help="Mine parallel sentences: monolingual corpora in, scored sentence pairs out.",
    epilog="Start with: bitextmine encoders pull muse, then bitextmine mine --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(mine)
app.command()(prepare)
app.command()(matrix)
app.command()(threshold)
app.command()(score)
app.command()(align)
app.command(name="filter")(filter_pairs)
app.command()(export)
app.command()(embed)
app.command()(plan)
app.command()(calibrate_machine)
app.add_typer(evaluate, name="evaluate")
app.add_typer(encoders, name="encoders")
app.command()(serve)
app.command()(doctor)
app.command()(worker)
app.command()(ray_check)
app.add_typer(keys, name="keys")
app.add_typer(corpora, name="corpora")
app.add_typer(jobs, name="jobs")
app.command()(search)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bitextmine {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Mine parallel sentences: monolingual corpora in, scored sentence pairs out."""


def call(arguments: list[str]) -> int:
    """Run a command and return its exit code; raises what the command raises."""
    result = typer.main.get_command(app)(args=arguments, prog_name="bitextmine", standalone_mode=False)
    return result if isinstance(result, int) else 0
