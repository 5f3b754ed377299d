"""`bitextmine export`: the pairs of a stored bitext, as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import KIND, Bitext, MarginRange
from bitextmine.cli import console
from bitextmine.cli.output import FORMAT_DEFAULT, OUTPUT_HELP, STDOUT, planned_export, write_export
from bitextmine.cli.stages import say
from bitextmine.errors import NotFoundError, ParameterError
from bitextmine.exports import Export, ExportFormat, Side

_BEGINNING = re.compile("[0-9a-f]{4,32}")


def export(
    bitext_id: Annotated[str, typer.Argument(metavar="BITEXT_ID", help="The id that mine says, or its beginning.")],
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT_HELP)] = STDOUT,
    output_format: Annotated[
        ExportFormat | None, typer.Option("--format", show_default=FORMAT_DEFAULT, help="How pairs are written.")
    ] = None,
    side: Annotated[
        Side | None, typer.Option(show_default=False, help="One side alone, a sentence a line, as Moses has it.")
    ] = None,
    min_margin: Annotated[float | None, typer.Option(help="Leave out pairs with a lower margin.")] = None,
    max_margin: Annotated[float | None, typer.Option(help="Leave out pairs with a higher margin.")] = None,
    data_dir: console.DataDir = None,
) -> None:
    """Write the pairs of a bitext that was mined before, or those of some margins, best first.

    Example: bitextmine export 1a2b3c4d -o pairs.tmx.gz --min-margin 1.1
    """
    wanted = Export(
        form=ExportFormat.MOSES if side else ExportFormat.TSV, side=side, margins=MarginRange(min_margin, max_margin)
    )
    planned = planned_export(output, output_format, wanted)
    bitext = stored_bitext(bitext_id, console.workspace(data_dir, None).artifacts)
    write_export(output, bitext, planned)
    with bitext.opened() as reader:
        say(f"{len(reader.span(planned.margins)):,} of {len(bitext):,} pairs of bitext {bitext.digest}")


def stored_bitext(beginning: str, store: ArtifactStore) -> Bitext:
    """The bitext whose id begins so.

    Raises:
        ArtifactError: it is damaged.
        NotFoundError: `bitext-not-found`.
        ParameterError: several do, or it is no beginning of an id.
    """
    if not _BEGINNING.fullmatch(beginning):
        raise ParameterError(f"{beginning!r} is no id of a bitext: 4 to 32 of 0-9 and a-f")
    found = [digest for _, digest in store.published(KIND) if digest.startswith(beginning)]
    if len(found) > 1:
        raise ParameterError(f"several bitexts begin with {beginning}: {', '.join(found[:5])}")
    artifact = store.open(KIND, found[0]) if found else None
    if artifact is None:
        raise NotFoundError(f"there is no bitext {beginning} in {store.root}", code="bitext-not-found")
    return Bitext(artifact)
