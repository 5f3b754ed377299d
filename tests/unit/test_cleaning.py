"""A line becomes a sentence, or a refusal with its number and reason."""

import json

import pytest

from bitextmine.corpus.cleaning import CorpusFormat, Reason, SentenceBlock, clean_block
from bitextmine.corpus.readers import RawBlock

TEXT, JSONL, ID_TSV = CorpusFormat
FIRST, LATER = 1, 1000  # later blocks may take a faster path


def clean(*lines: bytes | None, form: CorpusFormat = TEXT, first: int = LATER, max_chars: int = 100) -> SentenceBlock:
    return clean_block(RawBlock(first, list(lines), 0), form, max_chars)


def reason(line: bytes | None, form: CorpusFormat = TEXT, **options) -> Reason:
    """Why the line is refused, alone and among good lines."""
    good = {TEXT: b"fine", JSONL: b'{"text": "fine"}', ID_TSV: b"1\tfine"}[form]
    block = clean(good, line, good, form=form, **options)
    assert block.texts == ["fine", "fine"]
    [refusal] = block.refused
    assert refusal.line == LATER + 1
    assert refusal.detail
    [alone] = clean(line, form=form, **options).refused
    assert (alone.reason, alone.detail) == (refusal.reason, refusal.detail)
    return refusal.reason


def record(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize("first", [FIRST, LATER])
@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plain", "plain"),
        ("  spaces around \r", "spaces around"),
        ("\u00a0\u3000\u2003wide spaces\u3000\u00a0", "wide spaces"),
        ("spaces\u00a0and\u3000inside", "spaces\u00a0and\u3000inside"),
        ("\ttabs around\t", "tabs around"),
        ("cafe\u0301", "café"),
        ("\u1112\u1161\u11ab", "한"),
        ("\u212b", "Å"),
        ("ﬁ and ² stay", "ﬁ and ² stay"),
        ("👩\u200d👩\u200d👧 \u200fעברית", "👩\u200d👩\u200d👧 \u200fעברית"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\U0010ffff", "\U0010ffff"),
    ],
)
def test_a_sentence_is_stripped_and_composed_and_otherwise_left_alone(first, line, text) -> None:
    for lines in ([line], [line, line], [line, "\x00"]):
        block = clean(*(line.encode() for line in lines), first=first)
        assert set(block.texts) == {text}


def test_a_byte_order_mark_is_dropped_at_the_start_of_the_file_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert clean(mark + b"a", mark + b"b", first=FIRST).texts == ["a", "\ufeffb"]
    assert clean(mark + b"a", first=LATER).texts == ["\ufeffa"]
    assert clean(mark + b'{"text": "a"}', first=FIRST, form=JSONL).texts == ["a"]
    assert clean(mark, first=FIRST).refused[0].reason is Reason.EMPTY


@pytest.mark.parametrize("line", [b"", b" ", b"\r", b"\t", "\u00a0\u3000".encode()])
@pytest.mark.parametrize("form", CorpusFormat)
def test_blank_lines_are_refused_as_empty(line, form) -> None:
    assert reason(line, form) is Reason.EMPTY


@pytest.mark.parametrize(
    "line", [b"caf\xe9", b"\xff\xfea\x00", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\xe4\xbd"]
)
@pytest.mark.parametrize("form", CorpusFormat)
def test_what_is_not_utf8_is_refused(line, form) -> None:
    assert reason(line, form) is Reason.NOT_UTF8


def test_a_refusal_says_which_byte_is_not_utf8() -> None:
    assert clean(b"caf\xe9 au lait").refused[0].detail == "not UTF-8: byte 0xe9 at position 3"


@pytest.mark.parametrize("character", [*"\x00\x01\x08\t\x0b\x0c\r\x1b\x1f\x7f\x80\x85\x9f\u2028\u2029"])
@pytest.mark.parametrize("form", CorpusFormat)
def test_control_characters_and_separators_inside_are_refused(character, form) -> None:
    text = f"a{character}b"
    line = {TEXT: text.encode(), JSONL: record(text=text), ID_TSV: f"1\t{text}".encode()}[form]
    assert reason(line, form) is Reason.CONTROL_CHARACTER


@pytest.mark.parametrize("text", ["\\ud800", "a\\udfffb", "\\ude00\\ud83d"])
def test_lone_surrogates_smuggled_in_by_json_are_refused(text) -> None:
    assert reason(b'{"text": "%s"}' % text.encode(), JSONL) is Reason.CONTROL_CHARACTER


def test_a_newline_smuggled_in_by_json_is_refused() -> None:
    assert reason(record(text="two\nlines"), JSONL) is Reason.CONTROL_CHARACTER
    assert clean(record(text="one line\n"), form=JSONL).texts == ["one line"]


# --- length


@pytest.mark.parametrize("first", [FIRST, LATER])
@pytest.mark.parametrize("character", ["x", "é", "字", "😀", "e\u0301", "\u1112\u1161\u11ab"])
@pytest.mark.parametrize("form", CorpusFormat)
def test_max_chars_characters_pass_and_one_more_does_not(first, character, form) -> None:
    def line(count: int) -> bytes:
        text = f"  {character * count} "
        return {TEXT: text.encode(), JSONL: record(text=text), ID_TSV: f"1\t{text}".encode()}[form]

    block = clean(line(9), line(10), first=first, form=form, max_chars=9)
    assert [len(text) for text in block.texts] == [9]
    assert [(refusal.line, refusal.reason) for refusal in block.refused] == [(first + 1, Reason.TOO_LONG)]


def test_length_counts_after_composition_even_where_that_lengthens() -> None:
    assert clean("\u0958".encode(), max_chars=2).texts == ["\u0915\u093c"]
    assert reason("\u0958\u0958\u0958".encode(), max_chars=5) is Reason.TOO_LONG


@pytest.mark.parametrize("form", CorpusFormat)
def test_a_line_that_was_too_long_to_keep_is_refused(form) -> None:
    assert reason(None, form) is Reason.TOO_LONG


# --- records


@pytest.mark.parametrize(
    ("fields", "identifier", "document"),
    [
        ({}, None, None),
        ({"id": "a", "doc_id": "d"}, "a", "d"),
        ({"id": 0, "doc_id": -17}, "0", "-17"),
        ({"id": 10**30}, "1" + "0" * 30, None),
        ({"id": None, "doc_id": None}, None, None),
        ({"id": "", "doc_id": "  "}, None, None),
        ({"id": " cafe\u0301 "}, "café", None),
        ({"url": "http://x", "more": {"text": ["not this"]}}, None, None),
    ],
)
def test_a_json_record_may_name_itself_and_its_document(fields, identifier, document) -> None:
    block = clean(record(text="hello", **fields), form=JSONL)
    assert (block.texts, block.ids, block.doc_ids) == (["hello"], [identifier], [document])


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"text": "a"',
        b'{"text": "a"} {"text": "b"}',
        b"[]",
        b'"a"',
        b"1",
        b"null",
        b"{}",
        record(text=None),
        record(text=1),
        record(text=["a"]),
        record(Text="a"),
        record(text="a", id=True),
        record(text="a", id=1.5),
        record(text="a", id=["b"]),
        record(text="a", doc_id={}),
        record(text="a", id="b\tc"),
        record(text="a", doc_id="b\x00c"),
        record(text="a", id="x" * 101),
        b'{"text": "a", "id": NaN}',
        b'{"text": "a", "id": ' + b"9" * 5000 + b"}",
        b'{"text": "a", "id": "\\ud800"}',
        b"[" * 100_000,
        b'{"text":' * 50_000,
        '\ufeff{"text": "a"}'.encode(),
    ],
)
def test_what_is_no_usable_record_is_refused(line) -> None:
    assert reason(line, JSONL) is Reason.BAD_RECORD


def test_a_refusal_names_the_field() -> None:
    assert "doc_id" in clean(record(text="a", doc_id=True), form=JSONL).refused[0].detail
    assert '"id": control character U+0009' in clean(record(text="a", id="b\tc"), form=JSONL).refused[0].detail


@pytest.mark.parametrize("text", ["", " ", "\u3000"])
def test_a_record_without_text_is_refused_as_empty(text) -> None:
    assert reason(record(text=text), JSONL) is Reason.EMPTY
    assert reason(f"17\t{text}".encode(), ID_TSV) is Reason.EMPTY


def test_the_last_of_duplicated_keys_counts_as_json_readers_do() -> None:
    block = clean(b'{"text": "first", "text": "last", "id": 1, "id": 2}', form=JSONL)
    assert (block.texts, block.ids) == (["last"], ["2"])


def test_id_tsv_keeps_the_id_and_the_sentence() -> None:
    block = clean(b"de-000000001\tGuten Tag\r", "cafe\u0301\t e\u0301 ".encode(), form=ID_TSV)
    assert (block.texts, block.ids, block.doc_ids) == (["Guten Tag", "é"], ["de-000000001", "café"], [None, None])


@pytest.mark.parametrize("line", [b"no tab", b"\tno id", b"  \tno id"])
def test_id_tsv_without_a_tab_or_an_id_is_refused(line) -> None:
    assert reason(line, ID_TSV) is Reason.BAD_RECORD


# --- numbers


@pytest.mark.parametrize("first", [FIRST, LATER])
def test_every_line_is_either_a_sentence_or_a_refusal_with_its_own_number(first) -> None:
    block = clean(b"a", b"", b"\xff", b"b", b"\x00", None, b"a", first=first)
    assert list(zip(block.lines, block.texts, strict=True)) == [(first, "a"), (first + 3, "b"), (first + 6, "a")]
    assert [(refusal.line - first, refusal.reason) for refusal in block.refused] == [
        (1, Reason.EMPTY),
        (2, Reason.NOT_UTF8),
        (4, Reason.CONTROL_CHARACTER),
        (5, Reason.TOO_LONG),
    ]


@pytest.mark.parametrize(
    ("meta", "kept"),
    [
        ({"b": " cafe\u0301 ", "a": ""}, '{"a": "", "b": "café"}'),
        ({str(n): "x" * 256 for n in range(10, 26)}, json.dumps({str(n): "x" * 256 for n in range(10, 26)})),
        ({"x" * 64: "y"}, json.dumps({"x" * 64: "y"})),
        ({}, None),
        (None, None),
    ],
)
def test_metadata_is_cleaned_and_written_out_with_its_names_in_order(meta: object, kept: str | None) -> None:
    block = clean(record(text="hello", meta=meta), form=JSONL)
    assert (block.texts, block.metas) == (["hello"], [kept])


@pytest.mark.parametrize(
    "meta",
    [
        *("text", 1, True, [], [{}], {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": {"b": "c"}}, {"a": "x" * 257}),
        *({"x" * 65: "a"}, {"": "a"}, {" ": "a"}, {str(n): "x" for n in range(17)}, {"a": "b\tc"}, {"a\n": "b\u0085c"}),
    ],
)
def test_metadata_that_is_none_refuses_its_line(meta: object) -> None:
    block = clean(record(text="hello", meta=meta), record(text="good"), form=JSONL)
    assert block.texts == ["good"]
    [refusal] = block.refused
    assert refusal.reason is Reason.BAD_RECORD
    assert refusal.detail.startswith('"meta"')
    assert len(refusal.detail) < 100
