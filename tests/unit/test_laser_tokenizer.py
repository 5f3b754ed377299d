from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.encoders.laser_text import laser_text
from bitextmine.encoders.laser_tokenizer import (
    BEGIN,
    END,
    PADDING,
    SPECIAL_SYMBOLS,
    UNKNOWN,
    LaserTokenizer,
    vocabulary_file,
)
from bitextmine.errors import EncoderError, InputError
from tests.laser_files import TEXT, write_tokenizer

NBSP = "\u00a0"
MARKS = b"<s>\n<pad>\n</s>\n<unk>\n"


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("", ""),
        (" \t ", ""),
        ("Hello!!! How are you???", "hello!!! how are you???"),
        ("STRASSE, Straße, ΣΊΣΥΦΟΣ", "strasse, straße, σίσυφος"),
        ("a\x00b\tc\x1fd", "a b c d"),
        ("zero\u200bwidth and soft\u00adhyphen", "zero width and soft hyphen"),
        ("👩\u200d👧 ok", "👩 👧 ok"),
        ("( one )and(two ),three", "(one) and (two),three"),
        ("((a))", "((a))"),
        ("5 % : yes ; no", "5%: yes; no"),
        ("٥ %", "٥ %"),
        ("„Ja“ “yes” ‚a‘ it’s ´x´", "\"ja\" \"yes\" 'a' it's 'x'"),
        ("``quoted'' and ’’this’’", '" quoted " and "this"'),
        ("a–b and c—d…", "a-b and c - d..."),
        (f"dit{NBSP}«{NBSP}oui{NBSP}»{NBSP}puis", 'dit "oui" puis'),
        (f"«oui» «{NBSP}non{NBSP}»", '"oui" "non"'),
        (f"100{NBSP}% vrai{NBSP}? oui{NBSP}! a{NBSP}: b{NBSP}; 20{NBSP}ºC 3{NBSP}cm nº{NBSP}7,{NBSP}x", None),
        (f"1{NBSP}000{NBSP}000 a{NBSP}b", f"1.000.000 a{NBSP}b"),
        ('he said "yes", and "no".', 'he said "yes," and "no."'),
        ("I &lt;3 Apple &amp; &quot;Carrots&apos; &#91;&bar;&#93; &amp;lt;", "i <3 apple & \"carrots' [|] &lt;"),
        ("多くの  人。", "多くの 人。"),
        ("الرقم 42 هنا", "الرقم 42 هنا"),
    ],
)
def test_text_becomes_what_laser_was_trained_on(sentence: str, text: str | None) -> None:
    expected = "100% vrai? oui! a: b; 20 ºc 3 cm nº 7, x" if text is None else text
    assert laser_text(sentence) == expected


@given(st.text(alphabet=st.sampled_from("aZ5 .,:;!?%()\"'`´‘’„“”«»–—…&\u00a0\u200b\t\x07あ"), max_size=30))
def test_nothing_is_left_that_normalisation_removes(sentence: str) -> None:
    text = laser_text(sentence)
    assert not set(text) & set("`´‘’„“”«»–—…")
    assert all(unicodedata.category(character)[0] != "C" for character in text)
    assert text == text.strip() == text.lower()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, tuple[str, ...]]:
    directory = tmp_path_factory.mktemp("tokenizer")
    pieces = write_tokenizer(directory)
    return (directory / "laser2.spm").read_bytes(), pieces


def tokenizer(files: tuple[bytes, tuple[str, ...]], max_tokens: int = 100, threads: int = 1) -> LaserTokenizer:
    vocabulary = vocabulary_file((*SPECIAL_SYMBOLS, *files[1]))
    return LaserTokenizer(files[0], vocabulary, prefix="", max_tokens=max_tokens, threads=threads)


def test_pieces_are_looked_up_in_fairseqs_dictionary(files: tuple[bytes, tuple[str, ...]]) -> None:
    sentences = [*TEXT, "Das WETTER", "Zebra 🦓 quark", "", "ขอบคุณ", "  "]
    tokens = tokenizer(files, threads=2)(sentences)
    processor = sentencepiece.SentencePieceProcessor(model_proto=files[0])
    for row, sentence in enumerate(sentences):
        pieces = processor.encode(sentence.lower().strip(), out_type=str)
        expected = [4 + files[1].index(piece) if piece in files[1] else UNKNOWN for piece in pieces]
        start = tokens.starts[row]
        assert tokens.ids[start : start + tokens.lengths[row]].tolist() == [*expected, END]
    assert tokens.truncated == 0
    assert tokens.lengths.min() == 1
    assert UNKNOWN in tokens.ids


def test_an_empty_sentence_is_its_end_mark(files: tuple[bytes, tuple[str, ...]]) -> None:
    tokens = tokenizer(files)(["", "\u200b", "x"])
    assert tokens.lengths[:2].tolist() == [1, 1]
    assert tokens.ids[:2].tolist() == [END, END]
    assert tokenizer(files)([]).lengths.tolist() == []


def test_no_text_stands_for_a_special_symbol(files: tuple[bytes, tuple[str, ...]]) -> None:
    tokens = tokenizer(files)(["<s> <pad> </s> <unk>", "</s>", "<pad>"])
    ends = tokens.starts + tokens.lengths - 1
    assert (tokens.ids == END).sum() == 3
    assert (tokens.ids[ends] == END).all()
    assert not {BEGIN, PADDING} & set(tokens.ids.tolist())


def test_the_tail_of_a_long_sentence_is_cut_off(files: tuple[bytes, tuple[str, ...]]) -> None:
    whole = tokenizer(files)([TEXT[0]])
    length = int(whole.lengths[0])
    fits = tokenizer(files, max_tokens=length)([TEXT[0]])
    assert (fits.truncated, fits.ids.tolist()) == (0, whole.ids.tolist())
    cut = tokenizer(files, max_tokens=length - 1)([TEXT[0]])
    assert (cut.truncated, cut.ids.tolist()) == (1, [*whole.ids.tolist()[: length - 2], END])


def test_half_of_a_surrogate_pair_is_refused(files: tuple[bytes, tuple[str, ...]]) -> None:
    with pytest.raises(InputError, match="not a Unicode text"):
        tokenizer(files)(["fine", "broken \ud83d"])


@pytest.mark.parametrize(
    "content",
    [b"", b"<s>\n<pad>\n", b"a\nb\nc\nd\ne\n", b"<s>\n<pad>\n</s>\n<unk>\n\xff\n", b"<s>\n<pad>\n</s>\n<unk>\nab"],
)
def test_what_is_no_vocabulary_is_refused(files: tuple[bytes, tuple[str, ...]], content: bytes) -> None:
    with pytest.raises(EncoderError, match="the vocabulary"):
        LaserTokenizer(files[0], content, prefix="", max_tokens=10, threads=1)


@pytest.mark.parametrize("symbol", ["", "two\nlines"])
def test_a_symbol_that_fits_on_no_line_is_refused(symbol: str) -> None:
    with pytest.raises(EncoderError, match="which is no symbol"):
        vocabulary_file([*SPECIAL_SYMBOLS, symbol])


def test_a_vocabulary_keeps_odd_symbols_on_their_lines(tmp_path: Path, files: tuple[bytes, tuple[str, ...]]) -> None:
    odd = ("\x85", "\u2028", "\r", NBSP)
    content = vocabulary_file((*SPECIAL_SYMBOLS, *odd, *files[1]))
    made = LaserTokenizer(files[0], content, prefix="", max_tokens=100, threads=1)
    plain = tokenizer(files)([TEXT[0]]).ids
    expected = [id_ + len(odd) if id_ > UNKNOWN else id_ for id_ in plain.tolist()]
    assert made([TEXT[0]]).ids.tolist() == expected
