"""What LASER does to a sentence before SentencePiece sees it.

Four steps, those of LASER's mining pipeline (stopes): characters that do not print become spaces, punctuation is
normalised, Moses' escapes are undone, letters become lower-case. The second step is that of the Moses scripts for
English, as in LASER's own package: an encoder is not told the language, and other languages differ only in how a
quotation's comma and the space between digits are written.

Sources: Koehn et al. 2007 (Moses); https://github.com/facebookresearch/LASER and https://github.com/facebookresearch/stopes.
"""

from __future__ import annotations

import re
import unicodedata

_NBSP = "\u00a0"

# No rule below touches a text without any of these.
_TOUCHED = re.compile(rf"[()%:;`'\"„“”–—´‘‚’…«»{_NBSP}]|  ")

_SINGLE = str.maketrans(
    {"`": "'", "´": "'", "‘": "'", "‚": "'", "’": "'", "„": '"', "“": '"', "”": '"', "–": "-", "—": " - ", "…": "..."}
)

# In this order: first the spaces around brackets and before signs, then quotation marks, then non-breaking spaces.
_BEFORE_MARKS = (
    (re.compile(r"\("), " ("),
    (re.compile(r"\)"), ") "),
    (re.compile(r" {2,}"), " "),
    (re.compile(r"\) (?=[.!:?;,])"), ")"),
    (re.compile(r"(?<=\() | (?=\))"), ""),
    (re.compile(r"(?<=[0-9]) (?=%)| (?=[:;])"), ""),
    (re.compile(r"[`']{2}"), ' " '),
)
_AFTER_MARKS = (
    (re.compile(r" {2,}"), " "),
    (re.compile(r"''"), '"'),
    (re.compile(rf"{_NBSP}«{_NBSP}"), ' "'),
    (re.compile(rf"{_NBSP}»{_NBSP}"), '" '),
    (re.compile(rf"«{_NBSP}?|{_NBSP}?»"), '"'),
    (re.compile(rf"{_NBSP}(?=[%:?!;])"), ""),
    (re.compile(rf"(?<=nº){_NBSP}|{_NBSP}(?=ºC|cm)|(?<=,){_NBSP}"), " "),
    (re.compile(r" {2,}"), " "),
    (re.compile(r'"([,.]+)'), r'\1"'),  # "quotation," with the comma inside, as in English
    (re.compile(rf"(?<=[0-9]){_NBSP}(?=[0-9])"), "."),
)

_ESCAPES = {
    **{"&bar;": "|", "&#124;": "|", "&lt;": "<", "&gt;": ">", "&bra;": "[", "&ket;": "]"},
    **{"&quot;": '"', "&apos;": "'", "&#91;": "[", "&#93;": "]"},
    "&amp;": "&",  # last, so that nothing is undone twice
}


def laser_text(sentence: str) -> str:
    """The text that LASER's SentencePiece model expects; it may be empty."""
    text = sentence if sentence.isprintable() else _printing(sentence)
    if _TOUCHED.search(text):
        text = _normalised(text)
    if "&" in text:
        for escape, character in _ESCAPES.items():
            text = text.replace(escape, character)
    return text.lower().strip()


def _printing(text: str) -> str:
    """Control and format characters, private and unassigned ones, as spaces (Unicode's categories C*)."""
    return "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)


def _normalised(text: str) -> str:
    for pattern, replacement in _BEFORE_MARKS:
        text = pattern.sub(replacement, text)
    text = text.translate(_SINGLE)
    for pattern, replacement in _AFTER_MARKS:
        text = pattern.sub(replacement, text)
    return text
