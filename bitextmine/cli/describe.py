"""All that is known of an encoder, as plain data and as lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bitextmine.encoders import EncoderCard, Preset, find_encoder, preset
from bitextmine.encoders.presets import HubSource, LaserSource, WheelSource
from bitextmine.errors import NotFoundError

_NOT_INSTALLED = "encoder-not-installed"


def describe_encoder(reference: str, encoders_dir: Path) -> dict[str, Any]:
    """The facts of an installed encoder, or of one that could be installed, for JSON.

    Raises:
        NotFoundError: there is no such encoder, or it is neither installed nor known here.
    """
    try:
        encoder = find_encoder(reference, encoders_dir)
    except NotFoundError as error:
        if error.code != _NOT_INSTALLED or "/" in reference:
            raise
        known = preset(reference)
        return {"name": known.name, "installed": False, **_facts(known), "source": _source(known)}
    card = encoder.card
    precisions = {precision.value: card.quality.get(precision, {}) for precision in card.precisions}
    return {
        "name": card.name,
        "installed": True,
        **_facts(card),
        "source": card.source,
        "parity": card.parity.model_dump() if card.parity else None,
        "precisions": precisions,
        "signature": encoder.signature,
        "directory": str(encoder.directory),
    }


def shown(key: str, value: Any) -> Iterator[str]:
    """A fact as lines for people: what has parts has one a line, indented."""
    label = key.replace("_", " ")
    if isinstance(value, dict) and value:
        yield f"{label}:"
        for part, inner in value.items():
            figures = inner if isinstance(inner, dict) else {"": inner}
            text = ", ".join(f"{name.replace('_', ' ')} {_text(number)}".strip() for name, number in figures.items())
            yield f"  {part.replace('_', ' ')}: {text}".rstrip(": ")
    else:
        yield f"{label}: {_text(value)}"


def _facts(known: EncoderCard | Preset) -> dict[str, Any]:
    return {
        "dims": known.dims,
        "matryoshka": list(known.matryoshka),
        "max_tokens": known.max_tokens,
        "prefix": known.prefix,
        "pooling": known.pooling,
        "tokenizer": known.tokenizer.value,
        "languages": list(known.languages),
        "licence": known.licence,
        "citation": known.citation,
    }


def _source(known: Preset) -> str:
    match known.source:
        case HubSource(repository=repository, revision=revision):
            return f"{repository} on the Hugging Face hub, revision {revision}"
        case WheelSource(requirement=requirement):
            return f"the wheel of {requirement}"
        case LaserSource(base_url=url, files=files):
            return f"{', '.join(files)} from {url}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple | dict):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return (repr(value) if value != value.strip() else value) or "none" if isinstance(value, str) else str(value)
