"""`bitextmine corpora`: the corpora of a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitextmine.cli.remote import SERVER_DEFAULT, KeyOption, ServerOption, connected, waited
from bitextmine.cli.stages import progress_shown, say
from bitextmine.corpus import CorpusFormat

corpora = typer.Typer(help="Corpora of a service: upload, list, look at, delete.", no_args_is_help=True)
CorpusName = Annotated[str, typer.Argument(metavar="NAME", help="The corpus's name; see: bitextmine corpora list.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]


@corpora.command("list")
def list_corpora(as_json: AsJson = False, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """List the corpora that are ready."""
    with connected(server, key) as client:
        for corpus in client.corpora.list():
            line = f"{corpus.name:<32} {corpus.lang:<9} {corpus.sentences:>13,} sentences"
            typer.echo(corpus.model_dump_json() if as_json else line)


@corpora.command()
def show(name: CorpusName, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Show one corpus as JSON: its language, and what became of the lines of its file."""
    with connected(server, key) as client:
        typer.echo(client.corpora.get(name).model_dump_json(indent=2))


@corpora.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Text or JSONL; plain, .gz, .xz or .zst.")],
    name: Annotated[str, typer.Option(help="A name for it: 1 to 64 of a-z, 0-9, '.', '_', '-'.")],
    lang: Annotated[str, typer.Option(help="Its language: de, deu, deu_Latn, zh-Hans ...")],
    form: Annotated[
        CorpusFormat | None,
        typer.Option("--format", show_default="by the file's name", help="How lines are written."),
    ] = None,
    server: ServerOption = SERVER_DEFAULT,
    key: KeyOption = None,
) -> None:
    """Upload a corpus, one sentence a line, and wait until it is ready to mine.

    Example: bitextmine corpora upload news.de.gz --name news-de --lang de --server http://127.0.0.1:8000
    """
    with connected(server, key) as client, progress_shown() as progress:
        job = client.corpora.upload(file, name=name, lang=lang, format=form and form.value, progress=progress)
        waited(client, job, progress)
        found = client.corpora.get(name)
    say(f"{name}: {found.sentences:,} sentences of {found.lines:,} lines; {sum(found.refused.values()):,} refused")


@corpora.command()
def statistics(name: CorpusName, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Show what a corpus is like, as JSON: lengths, languages and scripts of its sentences, what was refused."""
    with connected(server, key) as client:
        typer.echo(client.corpora.statistics(name).model_dump_json(indent=2))


@corpora.command()
def append(
    name: CorpusName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Text or JSONL; plain, .gz, .xz or .zst.")],
    form: Annotated[
        CorpusFormat | None,
        typer.Option("--format", show_default="by the file's name", help="How lines are written."),
    ] = None,
    server: ServerOption = SERVER_DEFAULT,
    key: KeyOption = None,
) -> None:
    """Append a file to a corpus, and wait until its new version is ready; only new sentences are embedded."""
    with connected(server, key) as client, progress_shown() as progress:
        waited(client, client.corpora.append(name, file, format=form and form.value, progress=progress), progress)
        found = client.corpora.get(name)
    say(f"{name}: {found.sentences:,} sentences of {found.lines:,} lines")


@corpora.command()
def index(
    name: CorpusName,
    encoder: Annotated[str, typer.Option(help="An encoder of the service.")] = "muse",
    allow_uncovered: Annotated[
        bool, typer.Option(help="Go on if the encoder does not know the language. Hits are mostly wrong then.")
    ] = False,
    server: ServerOption = SERVER_DEFAULT,
    key: KeyOption = None,
) -> None:
    """Make a corpus searchable: embed what has no vectors yet, index it if it is large, and wait until it is done."""
    with connected(server, key) as client, progress_shown() as progress:
        job = client.corpora.index(name, encoder=encoder, allow_uncovered_languages=allow_uncovered)
        waited(client, job, progress)
        found = next(each for each in client.corpora.indexes(name) if each.encoder == encoder)
    say(f"{name}: {found.sentences:,} sentences can be searched by {encoder}")


@corpora.command()
def refused(name: CorpusName, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Print the lines of the corpus's file that could not be used: number, reason, detail."""
    with connected(server, key) as client:
        for line in client.corpora.refused(name):
            typer.echo(f"{line.line}\t{line.reason}\t{line.detail}")


@corpora.command()
def delete(name: CorpusName, server: ServerOption = SERVER_DEFAULT, key: KeyOption = None) -> None:
    """Delete a corpus and its embeddings; bitexts mined from it stay."""
    with connected(server, key) as client:
        client.corpora.delete(name)
