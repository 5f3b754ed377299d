"""TMX 1.4b (LISA OSCAR, 2005): translation memories as XML.

A pair is a `tu` whose two `tuv` hold a `seg` each; scores and provenance are `prop`s with types of our own, which the
specification wants to begin with `x-`. No document type is declared: a reader would have to fetch it from somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from bitextmine import __version__
from bitextmine.bitext import Bitext
from bitextmine.exports.lines import fixed, joined
from bitextmine.languages import bcp47

_REPLACEMENT = "\ufffd"
# What XML 1.0 (section 2.2) has no way to write; surrogates cannot be in UTF-8.
_UNWRITABLE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))  # a bare CR would be read as LF
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
    props = "".join(
        f'<prop type="x-{name.replace("_", "-")}">{escaped(pa.array([str(value)]))[0]}</prop>\n'
        for name, value in facts.items()
        if value is not None
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n<header {of_header}>\n{props}</header>\n<body>\n'
    ).encode()


def units(batch: pa.RecordBatch, langs: tuple[str, str]) -> bytes:
    """The pairs of a batch as translation units; `langs` are those of both sides as BCP 47 has them.

    Sentences are as they are, but for characters that XML 1.0 cannot hold: each is U+FFFD.
    """
    src_rows, tgt_rows = (batch[name].cast(pa.string()) for name in ("src_row", "tgt_row"))
    scores = [fixed(batch["margin"]), fixed(batch["cosine"]), batch["direction"]]
    return joined(
        *('<tu tuid="', src_rows, "-", tgt_rows, '">'),
        *map(_prop, ("margin", "cosine", "direction"), scores),
        "\n",
        *_variant(batch, "src", langs[0]),
        *_variant(batch, "tgt", langs[1]),
        "</tu>\n",
    )


def escaped(texts: pa.StringArray) -> pa.StringArray:
    """Texts as an element holds them; nulls stay."""
    texts = pc.replace_substring_regex(texts, _UNWRITABLE, _REPLACEMENT)
    for character, reference in _ESCAPES:
        texts = pc.replace_substring(texts, character, reference)
    return texts


def _variant(batch: pa.RecordBatch, side: str, lang: str) -> Iterator[pa.StringArray | str]:
    yield f'<tuv xml:lang="{lang}">'
    yield _prop("id", escaped(batch[f"{side}_id"]))
    yield _prop("doc-id", escaped(batch[f"{side}_doc_id"]))
    yield _prop("line", batch[f"{side}_line"].cast(pa.string()))
    yield "<seg>"
    yield escaped(batch[side])
    yield "</seg></tuv>\n"


def _prop(name: str, values: pa.StringArray) -> pa.StringArray:
    """A prop for each value, nothing for a null; the values are escaped."""
    return pc.fill_null(pc.binary_join_element_wise(f'<prop type="x-{name}">', values, "</prop>", ""), "")
