"""Whatever people write for a language becomes one code, and what is no language is refused."""

from contextlib import suppress

import langcodes
import langcodes.data_dicts
import pytest

from bitextmine.errors import LanguageError
from bitextmine.languages import bcp47, parse_language


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("de", "deu_Latn"),
        ("deu", "deu_Latn"),
        ("ger", "deu_Latn"),
        ("DE", "deu_Latn"),
        ("de_DE", "deu_Latn"),
        (" de-AT\n", "deu_Latn"),
        ("deu_Latn", "deu_Latn"),
        ("deu_latn", "deu_Latn"),
        ("zh", "zho_Hans"),
        ("cmn", "zho_Hans"),
        ("zh-Hans", "zho_Hans"),
        ("zh-CN", "zho_Hans"),
        ("zh_TW", "zho_Hant"),
        ("zho_Hant", "zho_Hant"),
        ("yue", "yue_Hant"),
        ("ko", "kor_Hang"),
        ("kor_Kore", "kor_Hang"),
        ("ja", "jpn_Jpan"),
        ("sr", "srp_Cyrl"),
        ("sr-Latn", "srp_Latn"),
        ("sh", "srp_Latn"),
        ("iw", "heb_Hebr"),
        ("no", "nor_Latn"),
        ("nb", "nob_Latn"),
        ("nn", "nno_Latn"),
        ("ar", "ara_Arab"),
        ("arb_Arab", "ara_Arab"),
        ("swh", "swa_Latn"),
        ("lvs", "lav_Latn"),
        ("ekk", "est_Latn"),
        ("kas_Deva", "kas_Deva"),
        ("ace_Arab", "ace_Arab"),
        ("aaa", "aaa_Latn"),
    ],
)
def test_codes_in_use_become_one_form(given: str, code: str) -> None:
    assert parse_language(given) == code


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", "-", "_", "de-", "d", "xx", "C", "POSIX", "english", "en_US.UTF-8", "x-default", "de-Abcd"),
        *("und", "und-Cyrl", "und_Latn", "mul", "mis", "zxx", "mul_Latn", "en-Zzzz", "deu_Zxxx", "zh-Zyyy"),
        *("../de", "de/..", "de\x00", "d\u0435", "德", "\ud800", "a" * 100_000, "de fr", "de,fr", "*"),
    ],
)
def test_what_names_no_language_is_refused_in_one_short_line(given: str) -> None:
    with pytest.raises(LanguageError, match=r"unknown language .*deu_Latn") as raised:
        parse_language(given)
    assert raised.value.code == "unknown-language"
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


ISO_639_1 = [a + b for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz"]
KNOWN = [code for code in ISO_639_1 if langcodes.Language.get(code).is_valid()]
PUBLISHED = ["tgl_Latn", "fil_Latn", "prs_Arab", "zsm_Latn", "als_Latn", "ydd_Hebr", "npi_Deva", "ory_Orya", "plt_Latn"]


@pytest.mark.parametrize("given", [*KNOWN, *PUBLISHED])
def test_a_parsed_code_stays_itself_when_parsed_again(given: str) -> None:
    code = parse_language(given)
    assert parse_language(code) == code
    assert parse_language(code.replace("_", "-").upper()) == code
    language, script = code.split("_")
    assert (len(language), len(script)) == (3, 4)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("deu_Latn", "de"),
        ("zho_Hans", "zh"),
        ("zho_Hant", "zh-Hant"),
        ("srp_Cyrl", "sr"),
        ("srp_Latn", "sr-Latn"),
        ("kor_Hang", "ko"),
        ("yue_Hant", "yue"),
        ("eng_Cyrl", "en-Cyrl"),
    ],
)
def test_a_code_has_a_short_tag_of_bcp_47(code: str, tag: str) -> None:
    assert bcp47(code) == tag


def test_every_tag_is_valid_and_leads_back_to_its_code() -> None:
    likely = [tag for tag in langcodes.data_dicts.LIKELY_SUBTAGS if "-" not in tag]
    codes = set()
    for language in likely:
        with suppress(LanguageError):
            codes.add(parse_language(language))
    assert len(codes) > 500
    for code in codes:
        assert parse_language(bcp47(code)) == code
        assert langcodes.tag_is_valid(bcp47(code))


def test_a_tag_of_no_language_is_refused() -> None:
    with pytest.raises(LanguageError):
        bcp47("und_Latn")
