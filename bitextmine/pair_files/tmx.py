"""TMX 1.4: translation units of any number of languages, a unit at a time, whatever the file's size.

Expat parses; what makes XML dangerous is refused when it is met: any declaration of an entity (so none is ever
expanded, and nothing outside the file is read), tokens and nesting that would fill the memory. A DOCTYPE that names
tmx14.dtd is accepted, as most files have one, and never looked up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from xml.parsers import expat

from bitextmine.corpus.cleaning import Reason, RefusedLineError, clean_name
from bitextmine.errors import CorpusInputError, LanguageError
from bitextmine.languages import parse_language
from bitextmine.pair_files.pairs import NOTHING, PairBlock, Side, bad_record, clean_side

_FEED_BYTES = 1 << 16
_MAX_TOKEN_BYTES = 8 << 20  # a tag or a comment, which expat holds as a whole
_MAX_DEPTH = 64
_MAX_CODE_CHARS = 40
_MAX_CODES = 1_000  # language codes remembered: a file has some dozens
_CODES = frozenset({"bpt", "ept", "it", "ph", "ut"})  # inline elements that hold native code, not text
_LINE_BREAK = re.compile("[ \t]*[\t\r\n][ \t\r\n]*")
_ENDS_EARLY = {
    expat.errors.codes[each]
    for each in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
}


def read_tmx(
    chunks: Iterable[tuple[bytes, int]], langs: tuple[str, str], name: str, max_chars: int
) -> Iterator[PairBlock]:
    """The units that have both languages, in whatever variants (de, de-DE, DE); of two variants the first.

    Raises:
        CorpusInputError: `xml-entities`, `xml-malformed`, `truncated-input`, `unsupported-input`, `empty-corpus`.
    """
    units, consumed = _Units(langs, name, max_chars), 0
    for chunk, consumed in chunks:
        for start in range(0, len(chunk), _FEED_BYTES):
            units.feed(chunk[start : start + _FEED_BYTES])
        yield units.taken(consumed)
    units.finish()
    yield units.taken(consumed)
    if not units.pairs:
        raise CorpusInputError(units.why_none(), code="empty-corpus")


class _Unit:
    """A unit that is being read: the text so far of each side that was met."""

    def __init__(self, number: int, identifier: str) -> None:
        self.number, self.identifier = number, identifier
        self.texts: dict[str, list[str]] = {}  # by language
        self.langs: list[str] = []  # as the file has them
        self.undefined = ""  # an entity
        self.margin = ""  # a property that our exports have


class _Units:
    """Turns what expat reports into pairs."""

    def __init__(self, langs: tuple[str, str], name: str, max_chars: int) -> None:
        self.pairs = self.units = 0
        self._langs, self._name, self._max_chars = langs, name, max_chars
        self._seen: Counter[str] = Counter()
        self._known: dict[str, str] = {}
        self._block = PairBlock()
        self._depth = self._fed = 0
        self._unit: _Unit | None = None
        self._lang = ""  # of the variant that is being read, if it is wanted
        self._code = 0  # depth of inline code
        self._text: list[str] | None = None  # of the segment that is being read
        self._chars = 0
        self._is_margin = False  # what is being read
        self._parser = self._new_parser()

    def feed(self, content: bytes) -> None:
        self._parse(content, final=False)
        self._fed += len(content)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _MAX_TOKEN_BYTES:
            message = f"{self._name} has a tag or comment of more than {_MAX_TOKEN_BYTES:,} bytes{self._where}"
            raise CorpusInputError(message, code="xml-malformed")

    def finish(self) -> None:
        self._parse(b"", final=True)

    def taken(self, consumed: int) -> PairBlock:
        """What has come since the last time."""
        block, self._block = self._block, PairBlock()
        block.consumed = consumed
        return block

    def why_none(self) -> str:
        if not self.units:
            return f"{self._name} is TMX without a unit"
        found = ", ".join(lang for lang, _ in self._seen.most_common(12)) or "no language"
        wanted = " and ".join(dict.fromkeys(self._langs))
        return f"{self._name} has no unit that can be used in {wanted}: {self.units:,} units, with {found}"

    @property
    def _where(self) -> str:
        return f", line {self._parser.CurrentLineNumber}"

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._refuse_entity
        parser.SkippedEntityHandler = self._skipped
        return parser

    def _parse(self, content: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(content, final)
        except expat.ExpatError as error:
            early = final and error.code in _ENDS_EARLY
            what = "ends early" if early else f"is not well-formed XML ({expat.ErrorString(error.code)})"
            code = "truncated-input" if early else "xml-malformed"
            raise CorpusInputError(f"{self._name} {what}, line {error.lineno}", code=code) from error
        except (ValueError, LookupError) as error:  # of an encoding that Python does not know, or not as a table
            message = f"{self._name} is in an encoding that cannot be read ({error}); convert it to UTF-8"
            raise CorpusInputError(message, code="xml-malformed") from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag.lower() != "tmx":
            message = f"{self._name} is XML, but not TMX: its outermost element is {tag[:40]!r}"
            raise CorpusInputError(message, code="unsupported-input")
        if self._depth > _MAX_DEPTH:
            message = f"{self._name} nests elements more than {_MAX_DEPTH} deep{self._where}"
            raise CorpusInputError(message, code="xml-malformed")
        if tag == "tu":
            self.units += 1
            self._unit = _Unit(self.units, attributes.get("tuid", ""))
        elif tag == "tuv" and self._unit is not None:
            self._begin_variant(self._unit, attributes.get("xml:lang") or attributes.get("lang") or "")
        elif tag == "prop" and self._unit is not None and not self._unit.langs:
            self._is_margin = attributes.get("type") == "x-margin"
        elif tag == "seg" and self._unit is not None and self._lang and self._lang not in self._unit.texts:
            self._unit.texts[self._lang] = self._text = []
            self._chars = 0
        elif tag in _CODES and self._text is not None:
            self._code += 1

    def _begin_variant(self, unit: _Unit, code: str) -> None:
        unit.langs.append(code)
        if len(self._seen) < _MAX_CODES:
            self._seen[code[:20]] += 1
        lang = self._language(code)
        self._lang = lang if lang in self._langs else ""

    def _language(self, code: str) -> str:
        if code not in self._known:
            try:
                lang = parse_language(code) if len(code) <= _MAX_CODE_CHARS else ""
            except LanguageError:
                lang = ""
            if len(self._known) >= _MAX_CODES:
                return lang
            self._known[code] = lang
        return self._known[code]

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "seg":
            self._text, self._code = None, 0
        elif tag == "prop":
            self._is_margin = False
        elif tag == "tuv":
            self._lang = ""
        elif tag in _CODES and self._code:
            self._code -= 1
        elif tag == "tu" and self._unit is not None:
            self._finish_unit(self._unit)
            self._unit = None

    def _characters(self, text: str) -> None:
        if self._is_margin and self._unit is not None and len(self._unit.margin) < _MAX_CODE_CHARS:
            self._unit.margin += text
        if self._text is None or self._code:
            return
        self._chars += len(text)
        if self._chars <= 8 * self._max_chars + _FEED_BYTES:  # white space may go, and characters be composed
            self._text.append(text)

    def _skipped(self, entity: str, is_parameter: bool) -> None:
        if self._unit is not None and not is_parameter:
            self._unit.undefined = entity

    def _refuse_entity(self, entity: str, *_: object) -> None:
        message = (
            f"{self._name} declares the entity {entity[:40]!r}{self._where}: entities can expand without limit or read "
            "other files, so none are accepted; write their text in their place"
        )
        raise CorpusInputError(message, code="xml-entities")

    def _finish_unit(self, unit: _Unit) -> None:
        try:
            src, tgt = self._sides(unit)
        except RefusedLineError as refusal:
            self._block.refuse(unit.number, refusal)
        else:
            self._block.add(unit.number, src, tgt, {"margin": unit.margin} if unit.margin else NOTHING)
            self.pairs += 1

    def _sides(self, unit: _Unit) -> tuple[Side, Side]:
        if missing := [lang for lang in self._langs if lang not in unit.texts]:
            there = ", ".join(code[:20] for code in unit.langs[:8]) or "none"
            raise bad_record(f"no segment in {' or '.join(missing)} (languages: {there})")
        if unit.undefined:
            raise bad_record(f"it holds &{unit.undefined[:40]};, which nothing defines")
        identifier = clean_name("tuid", unit.identifier, self._max_chars) if unit.identifier.strip() else None
        src, tgt = (self._clean(unit, lang, what) for lang, what in zip(self._langs, ("source", "target"), strict=True))
        return Side(src, identifier), Side(tgt, identifier)

    def _clean(self, unit: _Unit, lang: str, what: str) -> str:
        text = "".join(unit.texts[lang])
        if len(text) > 8 * self._max_chars:
            raise RefusedLineError(Reason.TOO_LONG, f"{what}: far longer than {self._max_chars:,} characters")
        return clean_side(what, _LINE_BREAK.sub(" ", text), self._max_chars)
