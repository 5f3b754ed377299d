"""TMX 1.4b (LISA OSCAR, 2005): translation memories as XML.

A pair is a `tu` whose two `tuv` hold a `seg` each; scores and provenance are `prop`s with types of our own, which the
specification wants to begin with `x-`. No document type is declared: a reader would have to fetch it from somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from bitextmine import __version__
from bitextmine.bitext import Bitext
from bitextmine.languages import bcp47

_REPLACEMENT = "\ufffd"
# What XML 1.0 (section 2.2) has no way to write; surrogates cannot be in UTF-8.
_UNWRITABLE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))  # a bare CR would be read as LF
_TEXTS = ("src", "tgt", "src_id", "tgt_id", "src_doc_id", "tgt_doc_id")
_RUN = ("encoder", "k", "margin", "retrieval", "threshold", "ceiling", "src_source", "tgt_source")

FOOT = b"</body>\n</tmx>\n"


def head(bitext: Bitext) -> bytes:
    """All that comes before the first pair; it names how the pairs were mined."""
    src = bcp47(bitext.parameters["src_lang"])
    created = datetime.fromisoformat(bitext.artifact.manifest["created"])
    attributes = {
        "creationtool": "bitextmine",
        "creationtoolversion": __version__,
        "datatype": "plaintext",
        "segtype": "sentence",
        "adminlang": "en",
        "srclang": src,
        "o-tmf": "bitextmine",
        "creationdate": created.strftime("%Y%m%dT%H%M%SZ"),
    }
    of_header = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    facts = {"bitext": bitext.digest} | {name: bitext.parameters.get(name) for name in _RUN}
    props = "\n".join(_props({name.replace("_", "-"): _plain(value) for name, value in facts.items()}))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<tmx version="1.4">\n<header {of_header}>\n{props}\n</header>\n<body>\n'
    ).encode()


def units(batch: pa.RecordBatch, langs: tuple[str, str]) -> bytes:
    """The pairs of a batch as translation units; `langs` are those of both sides as BCP 47 has them.

    Sentences are as they are, but for characters that XML 1.0 cannot hold: each is U+FFFD.
    """
    names = batch.schema.names
    columns = {name: escaped(batch[name]) if name in _TEXTS else batch[name] for name in names}
    rows = zip(*(column.to_pylist() for column in columns.values()), strict=True)
    return "".join(_unit(dict(zip(names, row, strict=True)), langs) for row in rows).encode()


def escaped(texts: pa.StringArray) -> pa.StringArray:
    """Texts as an element holds them; nulls stay."""
    texts = pc.replace_substring_regex(texts, _UNWRITABLE, _REPLACEMENT)
    for character, reference in _ESCAPES:
        texts = pc.replace_substring(texts, character, reference)
    return texts


def _unit(row: dict[str, Any], langs: tuple[str, str]) -> str:
    scores = {"margin": f"{row['margin']:.6f}", "cosine": f"{row['cosine']:.6f}", "direction": row["direction"]}
    sides = "".join(_variant(row, side, lang) for side, lang in zip(("src", "tgt"), langs, strict=True))
    return f'<tu tuid="{row["src_row"]}-{row["tgt_row"]}">{"".join(_props(scores))}\n{sides}</tu>\n'


def _variant(row: dict[str, Any], side: str, lang: str) -> str:
    provenance = {"id": row[f"{side}_id"], "doc-id": row[f"{side}_doc_id"], "line": row[f"{side}_line"]}
    return f'<tuv xml:lang="{lang}">{"".join(_props(provenance))}<seg>{row[side]}</seg></tuv>\n'


def _props(facts: dict[str, Any]) -> Iterator[str]:
    """A prop for each fact that is known; values are escaped already."""
    for name, value in facts.items():
        if value is not None:
            yield f'<prop type="x-{name}">{value}</prop>'


def _plain(value: Any) -> str | None:
    """A parameter as an element's text."""
    if value is None:
        return None
    return str(escaped(pa.array([str(value)]))[0])
