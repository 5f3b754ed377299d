"""`bitextmine search`: the nearest sentences of a service's corpora."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli.remote import SERVER_DEFAULT, KeyOption, ServerOption, connected
from bitextmine.cli.stages import say
from bitextmine.errors import ParameterError

if TYPE_CHECKING:
    from bitextmine.client import Hits

_AT_ONCE = 64  # the most sentences of a request


def search(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="Sentences to search for; - reads a line each from standard input."),
    ],
    lang: Annotated[
        str | None, typer.Option(show_default=False, help="Their language; without it there are no margins.")
    ] = None,
    corpora: Annotated[
        list[str] | None, typer.Option("--corpus", "-c", help="A corpus to search; may be given again.")
    ] = None,
    langs: Annotated[
        list[str] | None, typer.Option("--in", help="Search all corpora of this language; may be given again.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(show_default="muse", help="The encoder that the corpora are embedded with.")
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="Most hits of a sentence.")] = 10,
    min_margin: Annotated[float | None, typer.Option(help="Drop hits with a lower margin.")] = None,
    min_cosine: Annotated[float | None, typer.Option(help="Drop hits with a lower cosine.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every sentence, not by an index.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a sentence.")] = False,
    server: ServerOption = SERVER_DEFAULT,
    key: KeyOption = None,
) -> None:
    """Find the sentences of a service's corpora that are nearest to some texts, across languages.

    Each hit is a line of margin (or cosine, where there is no background to compare with), corpus and sentence.

    Example: bitextmine search "Wo ist der Bahnhof?" --lang de --corpus news-en
    """
    if not corpora and not langs:
        raise ParameterError("say where to search: --corpus NAME, or --in LANG for all corpora of a language")
    if texts == ["-"]:
        texts = [line.strip() for line in sys.stdin if line.strip()]
    skipped: dict[str, str] = {}
    with connected(server, key) as client:
        for start in range(0, len(texts), _AT_ONCE):
            batch = texts[start : start + _AT_ONCE]
            found = client.search(
                batch,
                lang=lang,
                corpora=corpora or (),
                langs=langs or (),
                encoder=encoder,
                k=k,
                min_margin=min_margin,
                min_cosine=min_cosine,
                exact=exact or None,
            )
            skipped |= {each.corpus: each.code for each in found.skipped}
            for text, hits in zip(batch, found.results, strict=True):
                typer.echo("\n".join(_lines(text, hits, as_json=as_json, named=len(texts) > 1)))
    for corpus, code in skipped.items():
        say(f"warning: corpus {corpus} was not searched: {code}")


def _lines(text: str, hits: Hits, *, as_json: bool, named: bool) -> Iterator[str]:
    if as_json:
        yield json.dumps({"text": text, **hits.model_dump(mode="json")}, ensure_ascii=False)
        return
    if named:
        yield text
    for hit in hits.hits:
        yield f"{hit.cosine if hit.margin is None else hit.margin:.6f}\t{hit.corpus}\t{hit.text}"
