"""Language codes: whatever people write (de, deu, zh-Hans, cmn) becomes one form, `deu_Latn` (ISO 639-3 + script)."""

from __future__ import annotations

import langcodes

from bitextmine.errors import LanguageError

# Members of a macrolanguage whose corpora carry either code; the macrolanguage's code stands for both.
_MACROLANGUAGE = {
    "cmn": "zho", "arb": "ara", "swh": "swa", "lvs": "lav", "ekk": "est", "zsm": "msa", "pes": "fas", "khk": "mon",
    "uzn": "uzb", "azj": "aze", "als": "sqi", "npi": "nep", "ory": "ori", "gaz": "orm", "plt": "mlg", "ydd": "yid",
}  # fmt: skip
_SCRIPT = {"Kore": "Hang"}
_NOT_A_LANGUAGE = (None, "und", "mul", "mis", "zxx")
_NOT_A_SCRIPT = (None, "Zinh", "Zmth", "Zsye", "Zsym", "Zxxx", "Zyyy", "Zzzz")


def parse_language(code: str) -> str:
    """Map a code to the form used everywhere inside: `deu_Latn`, `zho_Hant`.

    Without a script, the one that the language is most often written in is taken (Unicode's likely subtags).

    Raises:
        LanguageError: the code names no language.
    """
    try:
        language = langcodes.Language.get(code.strip().replace("_", "-"))
        likely = language.maximize()
        alpha3 = likely.to_alpha3()
    except (ValueError, LookupError) as error:
        raise LanguageError(_unknown(code)) from error
    if not language.is_valid() or language.language in _NOT_A_LANGUAGE or likely.script in _NOT_A_SCRIPT:
        raise LanguageError(_unknown(code))
    return f"{_MACROLANGUAGE.get(alpha3, alpha3)}_{_SCRIPT.get(likely.script, likely.script)}"


def bcp47(code: str) -> str:
    """The BCP 47 tag of a code of ours, as short as it can be: de for deu_Latn, zh-Hant for zho_Hant.

    `parse_language` takes it back to the code.

    Raises:
        LanguageError: the code names no language.
    """
    code = parse_language(code)
    language = langcodes.Language.get(code.replace("_", "-"))
    short = str(language.language)
    return short if parse_language(short) == code else f"{short}-{language.script}"


def _unknown(code: str) -> str:
    return f"unknown language {code[:40]!r}; give an ISO 639 code such as de, deu, deu_Latn or zh-Hans"
