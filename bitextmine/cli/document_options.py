"""Options of mining by documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitextmine.documents import DEFAULT_BONUS, DocumentRule, DocumentUse, read_links
from bitextmine.errors import ParameterError
from bitextmine.languages import parse_language

DocumentsOption = Annotated[
    DocumentUse | None,
    typer.Option(
        show_default="not looked at",
        help="Use document ids: restrict mines only within linked documents, boost gives such pairs a bonus.",
    ),
]
LinksOption = Annotated[
    Path | None,
    typer.Option(
        show_default="documents of the same id",
        help="Which documents are linked: TSV, JSON, or interlanguage links of Wikipedia or Wikidata.",
    ),
]
BonusOption = Annotated[
    float | None,
    typer.Option(show_default=f"{DEFAULT_BONUS:g}", help="Of --documents boost: what is added to the compared margin."),
]


def document_rule(
    use: DocumentUse | None, links: Path | None, bonus: float | None, langs: tuple[str | None, str | None]
) -> DocumentRule | None:
    """
    Raises:
        InputError: `invalid-links`, `file-not-found`.
        ParameterError: options that do not go together.
    """
    if use is None:
        if links is not None or bonus is not None:
            raise ParameterError("--links and --bonus go with --documents restrict or --documents boost")
        return None
    if bonus is not None and use is not DocumentUse.BOOST:
        raise ParameterError("--bonus goes with --documents boost")
    bonus = DEFAULT_BONUS if bonus is None else bonus
    if links is None:
        return DocumentRule(use=use, bonus=bonus)
    src_lang, tgt_lang = langs
    if src_lang is None or tgt_lang is None:
        raise ParameterError("give --src-lang and --tgt-lang: links are between documents of two languages")
    found = read_links(links, parse_language(src_lang), parse_language(tgt_lang))
    return DocumentRule(use=use, bonus=bonus, links=found)
