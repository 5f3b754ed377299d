"""TMX: variants of languages, inline codes, and what makes XML dangerous refused before it does harm."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from bitextmine.corpus import Limits
from bitextmine.pair_files import PairFormat
from tests.unit.pair_readers import Read, read, refusal

TMX = PairFormat.TMX
DOCTYPE = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'
HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n{DOCTYPE}\n<tmx version="1.4">\n<header/>\n<body>\n'
TAIL = "</body>\n</tmx>\n"


def unit(de: str = "Haus", en: str = "house", codes: tuple[str, str] = ("de", "en"), tuid: str = "") -> str:
    own = f' tuid="{tuid}"' if tuid else ""
    variants = (f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in zip(codes, (de, en), strict=True))
    return f"<tu{own}>{''.join(variants)}</tu>\n"


def written(folder: Path, content: str | bytes, name: str = "memory.tmx") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def units(folder: Path, *content: str, limits: Limits | None = None) -> Read:
    return read(written(folder, HEAD + "".join(content) + TAIL), TMX, limits)


def test_units_become_pairs_with_their_ids(tmp_path: Path) -> None:
    found = units(tmp_path, unit(tuid="u-1"), unit("See &amp; Berg", "lake &#38; mountain"))
    assert found.pairs == [(1, "Haus", "house"), (2, "See & Berg", "lake & mountain")]
    assert found.ids == [("u-1", "u-1"), (None, None)]


@pytest.mark.parametrize("codes", [("de", "en"), ("DE", "EN"), ("de-DE", "en-GB"), ("deu", "eng"), ("de_AT", "en-us")])
def test_variants_of_a_language_are_that_language(tmp_path: Path, codes: tuple[str, str]) -> None:
    assert units(tmp_path, unit(codes=codes)).pairs == [(1, "Haus", "house")]


def test_the_sides_are_those_asked_for_wherever_they_stand(tmp_path: Path) -> None:
    middle = '<tuv xml:lang="fr"><seg>maison</seg></tuv>'
    unit_of_three = f'<tu><tuv lang="en"><seg>house</seg></tuv>{middle}<tuv xml:lang="de"><seg>Haus</seg></tuv></tu>'
    assert units(tmp_path, unit_of_three).pairs == [(1, "Haus", "house")]


def test_of_two_variants_the_first_is_taken(tmp_path: Path) -> None:
    more = '<tuv xml:lang="en-GB"><seg>colour</seg></tuv><tuv xml:lang="en-US"><seg>color</seg></tuv>'
    assert units(tmp_path, f'<tu><tuv xml:lang="de"><seg>Farbe</seg></tuv>{more}</tu>').pairs == [
        (1, "Farbe", "colour")
    ]


def test_inline_codes_are_left_out_and_highlighted_text_is_not(tmp_path: Path) -> None:
    old = '<bpt i="1">&lt;b&gt;</bpt>alte<ept i="1">&lt;/b&gt;</ept>'
    de = f'Das {old} <hi type="x">Haus</hi><ph>{{0}}<sub>Fuß</sub></ph>.'
    assert units(tmp_path, unit(de, "The old house.")).pairs == [(1, "Das alte Haus.", "The old house.")]


def test_wrapped_lines_are_joined(tmp_path: Path) -> None:
    assert units(tmp_path, unit("Das\n      alte\t\tHaus\r\n", "a  b")).pairs == [(1, "Das alte Haus", "a  b")]


def test_text_outside_segments_is_none(tmp_path: Path) -> None:
    noise = '<note>note</note><prop type="x">prop</prop>stray'
    content = (
        f'<tu>{noise}<tuv xml:lang="de">{noise}<seg>Haus</seg></tuv><tuv xml:lang="en"><seg>house</seg></tuv></tu>'
    )
    assert units(tmp_path, content).pairs == [(1, "Haus", "house")]


def test_units_that_cannot_be_used_are_refused_by_number(tmp_path: Path) -> None:
    found = units(
        tmp_path,
        unit(),
        unit(codes=("de", "fr")),
        "<tu/>",
        unit("", "house"),
        unit("a&#x2028;b"),
        unit("x" * 51),
        unit("x" * 1_000_000),
        unit("&missing;"),
        unit(codes=("x-none", "")),
        unit(tuid="x&#x85;x"),
        unit("See", "lake"),
        limits=Limits(max_chars=50),
    )
    assert found.pairs == [(1, "Haus", "house"), (11, "See", "lake")]
    assert found.refused == [
        (2, "bad-record"),
        (3, "bad-record"),
        (4, "empty"),
        (5, "control-character"),
        (6, "too-long"),
        (7, "too-long"),
        (8, "bad-record"),
        (9, "bad-record"),
        (10, "bad-record"),
    ]
    assert found.details[0] == "no segment in eng_Latn (languages: de, fr)"
    assert "&missing;" in found.details[6]


def test_a_file_without_one_of_the_languages_says_which_it_has(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + unit(codes=("de-DE", "fr")) + unit(codes=("de-DE", "it")) + TAIL)
    message = refusal(path, TMX, "empty-corpus")
    assert "2 units, with de-DE, fr, it" in message
    refusal(written(tmp_path, HEAD + TAIL), TMX, "empty-corpus")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252"])
def test_encodings_that_xml_can_declare_are_read(tmp_path: Path, encoding: str) -> None:
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    bom = b"\xff\xfe" if encoding == "utf-16-le" else b""
    content = (HEAD.replace("UTF-8", declared) + unit("Müller", "miller") + TAIL).encode(encoding)
    assert read(written(tmp_path, bom + content), TMX).pairs == [(1, "Müller", "miller")]
    assert read(written(tmp_path, gzip.compress(bom + content), "memory.tmx.gz"), TMX).pairs == [
        (1, "Müller", "miller")
    ]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "subset",
    [
        f'<!ENTITY l0 "ha">{LAUGHS}',
        '<!ENTITY a "b">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY a PUBLIC "x" "http://127.0.0.1:1/x">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1:1/evil.dtd"> %p;',
        '<!NOTATION n SYSTEM "n"><!ENTITY a SYSTEM "x" NDATA n>',
    ],
)
def test_entities_are_refused_where_they_are_declared(tmp_path: Path, subset: str) -> None:
    text = "&l9;" if "l9" in subset else "&a;"
    doctype = f'<!DOCTYPE tmx SYSTEM "tmx14.dtd" [{subset}]>'
    content = HEAD.replace(DOCTYPE, doctype) + unit(text) + TAIL
    assert "entity" in refusal(written(tmp_path, content), TMX, "xml-entities")


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE tmx SYSTEM "tmx14.dtd">',
        '<!DOCTYPE tmx SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE tmx PUBLIC "-//LISA OSCAR:1998//DTD for Translation Memory eXchange//EN" "http://127.0.0.1:1/t.dtd">',
        "",
        "<!DOCTYPE tmx [<!ELEMENT tmx ANY>]>",
    ],
)
def test_a_doctype_is_accepted_and_never_fetched(tmp_path: Path, doctype: str) -> None:
    content = HEAD.replace(DOCTYPE, doctype) + unit() + TAIL
    assert read(written(tmp_path, content), TMX).pairs == [(1, "Haus", "house")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "truncated-input"),
        (HEAD + unit(), "truncated-input"),
        ((HEAD + unit())[:-9], "truncated-input"),
        (HEAD + "<tu><tuv></tu>" + TAIL, "xml-malformed"),
        (HEAD + unit("&undefined") + TAIL, "xml-malformed"),
        (HEAD + unit("a\x00b") + TAIL, "xml-malformed"),
        (HEAD + unit("&#0;") + TAIL, "xml-malformed"),
        ((HEAD + unit("Müller") + TAIL).encode("latin-1"), "xml-malformed"),
        (HEAD.replace("UTF-8", "no-such") + TAIL, "xml-malformed"),
        (HEAD.replace("UTF-8", "big5") + TAIL, "xml-malformed"),
        (HEAD.replace("UTF-8", "zlib") + TAIL, "xml-malformed"),
        (HEAD + "<a>" * 1000 + TAIL, "xml-malformed"),
        ("Haus\thouse\n", "xml-malformed"),
        ("<html><body/></html>", "unsupported-input"),
        (b"PK\x03\x04zip", "unsupported-input"),
        (gzip.compress(HEAD.encode(), mtime=0)[:-4], "truncated-input"),
    ],
)
def test_what_is_no_whole_tmx_is_refused(tmp_path: Path, content: str | bytes, code: str) -> None:
    refusal(written(tmp_path, content), TMX, code)


@pytest.mark.parametrize("fill", ['<tu tuid="{}"/>', "<!--{}-->", "<?pi {}?>"])
def test_a_tag_that_never_ends_is_refused_before_it_fills_the_memory(tmp_path: Path, fill: str) -> None:
    path = written(tmp_path, gzip.compress((HEAD + fill.format("x" * (60 << 20)) + TAIL).encode()))
    assert "8,388,608 bytes" in refusal(path, TMX, "xml-malformed")


def test_a_segment_that_never_ends_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress((HEAD + unit("x" * (60 << 20)) + unit() + TAIL).encode()))
    tracemalloc.start()
    found = read(path, TMX)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.pairs, found.refused) == ([(2, "Haus", "house")], [(1, "too-long")])
    assert peak < 16 << 20


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "".join(unit(f"Haus {n}", f"house {n}") for n in range(60_000)) + TAIL)
    assert path.stat().st_size > 4 << 20
    tracemalloc.start()
    count = read(path, TMX).lines  # what the test keeps of it is about 20 MB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 40 << 20
