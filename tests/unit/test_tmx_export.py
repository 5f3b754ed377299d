"""TMX exports against the specification's rules, and what their elements say of a pair."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bitextmine import __version__
from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext, pair_record
from bitextmine.exports import Export, ExportFormat, export_chunks
from tests.unit.bitexts import ROWS, published, with_texts

# What TMX 1.4b asks of the elements that carry plain text, written down from its descriptions of them: which attributes
# each must and may have, what it holds, and the values of those that are lists. The elements of markup within a
# segment (bpt, ept, it, ph, hi, sub, ut) and user-defined encodings (ude) are not there: they must not occur.
RULES = """
<!ELEMENT tmx (header, body)>
<!ATTLIST tmx version CDATA #FIXED "1.4">
<!ELEMENT header (note | prop)*>
<!ATTLIST header
  creationtool CDATA #REQUIRED  creationtoolversion CDATA #REQUIRED  datatype CDATA #REQUIRED
  segtype (block | paragraph | sentence | phrase) #REQUIRED
  adminlang CDATA #REQUIRED  srclang CDATA #REQUIRED  o-tmf CDATA #REQUIRED
  creationdate CDATA #IMPLIED  creationid CDATA #IMPLIED  changedate CDATA #IMPLIED  changeid CDATA #IMPLIED
  o-encoding CDATA #IMPLIED>
<!ELEMENT body (tu*)>
<!ELEMENT tu ((note | prop)*, tuv+)>
<!ATTLIST tu
  tuid CDATA #IMPLIED  datatype CDATA #IMPLIED  usagecount CDATA #IMPLIED  lastusagedate CDATA #IMPLIED
  creationtool CDATA #IMPLIED  creationtoolversion CDATA #IMPLIED  creationdate CDATA #IMPLIED
  creationid CDATA #IMPLIED  changedate CDATA #IMPLIED  changeid CDATA #IMPLIED
  segtype (block | paragraph | sentence | phrase) #IMPLIED  srclang CDATA #IMPLIED  o-tmf CDATA #IMPLIED
  o-encoding CDATA #IMPLIED>
<!ELEMENT tuv ((note | prop)*, seg)>
<!ATTLIST tuv
  xml:lang CDATA #REQUIRED
  datatype CDATA #IMPLIED  usagecount CDATA #IMPLIED  lastusagedate CDATA #IMPLIED  creationtool CDATA #IMPLIED
  creationtoolversion CDATA #IMPLIED  creationdate CDATA #IMPLIED  creationid CDATA #IMPLIED
  changedate CDATA #IMPLIED  changeid CDATA #IMPLIED  o-tmf CDATA #IMPLIED  o-encoding CDATA #IMPLIED>
<!ELEMENT seg (#PCDATA)>
<!ELEMENT note (#PCDATA)>
<!ATTLIST note xml:lang CDATA #IMPLIED  o-encoding CDATA #IMPLIED>
<!ELEMENT prop (#PCDATA)>
<!ATTLIST prop type CDATA #REQUIRED  xml:lang CDATA #IMPLIED  o-encoding CDATA #IMPLIED>
"""
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@pytest.fixture(scope="module")
def rules() -> etree.DTD:
    return etree.DTD(io.StringIO(RULES))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def tmx(bitext: Bitext) -> bytes:
    return b"".join(export_chunks(bitext, Export(form=ExportFormat.TMX)))


def props(element: etree._Element) -> dict[str, str]:
    return {prop.get("type", ""): prop.text or "" for prop in element.findall("prop")}


@pytest.mark.parametrize("rows", [0, 1, ROWS])
def test_a_file_is_valid(store: ArtifactStore, rules: etree.DTD, rows: int) -> None:
    root = etree.fromstring(tmx(published(store, rows)))
    rules.assertValid(root)
    assert len(root.findall("body/tu")) == rows


def test_the_rules_are_ones_that_can_be_broken(store: ArtifactStore, rules: etree.DTD) -> None:
    content = tmx(published(store, 1)).decode()
    for found, by in (
        ('segtype="sentence"', 'segtype="words"'),
        ('version="1.4"', 'version="2.0"'),
        (' xml:lang="de"', ""),
        (' type="x-cosine"', ""),
        ("<seg>", "<seg><b/>"),
        (' adminlang="en"', ""),
        ("</seg>", "</seg><prop type='x'/>"),
    ):
        assert found in content
        assert not rules.validate(etree.fromstring(content.replace(found, by, 1).encode())), found


def test_any_texts_make_a_valid_file(tmp_path_factory: pytest.TempPathFactory, rules: etree.DTD) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

    @settings(max_examples=60, deadline=None)
    @given(text, text, text)
    def check(src: str, tgt: str, source: str) -> None:
        store = ArtifactStore(tmp_path_factory.mktemp("any") / "artifacts")
        rules.assertValid(etree.fromstring(tmx(with_texts(store, (src, tgt), src_source=source))))

    check()


def test_a_pair_has_its_scores_and_its_origin(store: ArtifactStore) -> None:
    bitext = published(store)
    units = etree.fromstring(tmx(bitext)).findall("body/tu")
    assert len({unit.get("tuid") for unit in units}) == ROWS
    for unit, pair in zip(units, bitext.pairs(), strict=True):
        record = pair_record(pair)
        scores = props(unit)
        assert (float(scores["x-margin"]), float(scores["x-cosine"])) == (record["margin"], record["cosine"])
        assert scores["x-direction"] == pair.direction
        for variant, side, lang in zip(unit.findall("tuv"), ("src", "tgt"), ("de", "en"), strict=True):
            assert variant.get(LANG) == lang
            assert variant.findtext("seg") == record[side]
            assert props(variant) == {"x-id": record[f"{side}_id"], "x-line": str(record[f"{side}_line"])}


def test_ids_of_documents_are_there_where_they_are_known(store: ArtifactStore) -> None:
    (unit,) = etree.fromstring(tmx(with_texts(store, ("<a>", "b&\x01")))).findall("body/tu")
    src, tgt = (props(variant) for variant in unit.findall("tuv"))
    assert src == {"x-id": "<a>", "x-doc-id": "b&\ufffd", "x-line": "1"}
    assert tgt == {"x-id": "1", "x-line": "1"}


def test_the_header_says_what_made_the_file(store: ArtifactStore) -> None:
    bitext = published(store, encoder="tiny", margin="ratio", threshold=None)
    header = etree.fromstring(tmx(bitext)).find("header")
    assert header is not None
    assert (header.get("creationtool"), header.get("creationtoolversion")) == ("bitextmine", __version__)
    assert header.get("srclang") == "de"
    assert re.fullmatch(r"\d{8}T\d{6}Z", header.get("creationdate", ""))
    told = props(header)
    assert told["x-bitext"] == bitext.digest
    assert (told["x-encoder"], told["x-margin"], told["x-src-source"]) == ("tiny", "ratio", "news <&>.de")
    assert "x-threshold" not in told


@pytest.mark.parametrize(
    ("codes", "tags"),
    [
        (("zho_Hant", "zho_Hans"), ("zh-Hant", "zh")),
        (("srp_Latn", "srp_Cyrl"), ("sr-Latn", "sr")),
        (("kor_Hang", "yue_Hant"), ("ko", "yue")),
    ],
)
def test_languages_are_told_as_bcp_47_has_them(
    store: ArtifactStore, rules: etree.DTD, codes: tuple[str, str], tags: tuple[str, str]
) -> None:
    root = etree.fromstring(tmx(published(store, src_lang=codes[0], tgt_lang=codes[1])))
    rules.assertValid(root)
    assert {tuple(tuv.get(LANG) for tuv in unit.findall("tuv")) for unit in root.iter("tu")} == {tags}


def test_no_document_type_is_declared_that_a_reader_would_have_to_fetch(store: ArtifactStore) -> None:
    content = tmx(published(store))
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n')
    assert b"<!" not in content
