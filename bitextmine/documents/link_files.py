"""Links between documents as files: TSV, pairs in JSON, and the interlanguage links of Wikipedia and Wikidata.

    TSV         src_doc, a tab, tgt_doc; a link a line
    pairs       ["src_doc", "tgt_doc"] or {"src": ..., "tgt": ...}
    pages       {"title": ..., "langlinks": [{"lang": "de", "title": ...}]}, as MediaWiki's API gives them, with "*" for
                "title" in its older format; links are by title
    entities    {"sitelinks": {"dewiki": {"title": ...}, "enwiki": {"title": ...}}}, as Wikidata's dumps have them

JSON is a record a line (.jsonl), or one value (.json): a list of records, or what the APIs wrap around them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bitextmine.corpus import Limits
from bitextmine.corpus.readers import read_chunks
from bitextmine.documents.links import DocumentLinks, clean_doc_id
from bitextmine.errors import InputError
from bitextmine.languages import bcp47

_LIMITS = Limits(max_bytes=4 << 30)
_COMPRESSED = (".gz", ".xz", ".zst")
_JSON, _JSON_LINES = (".json",), (".jsonl", ".ndjson")
_WIKIS = {"nb": "no"}  # where a Wikipedia's name is not its language's tag
_Link = tuple[str, str]


class _NotALinkError(Exception):
    """Why a record links nothing."""


def read_links(path: Path, src_lang: str, tgt_lang: str) -> DocumentLinks:
    """The links in a file, plain, .gz, .xz or .zst; how they are written is told by its name.

    Args:
        src_lang, tgt_lang: as `deu_Latn`; which of a page's interlanguage links are meant.

    Raises:
        InputError: `invalid-links`, with the line; `file-not-found`, and what else a corpus's file may be.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSED]
    ending = suffixes[-1] if suffixes else ""
    wikis = _wiki(src_lang), _wiki(tgt_lang)
    text = _text(path)
    if ending in _JSON:
        links = list(_of_value(_parsed(text, str(path)), wikis, str(path)))
    else:
        is_json = ending in _JSON_LINES
        links = []
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                where = f"{path}, line {number:,}"
                links += _of_value(_parsed(line, where), wikis, where) if is_json else [_of_columns(line, where)]
    if not links:
        raise _invalid(f"{path}", f"no link from {wikis[0]} to {wikis[1]} in it")
    return DocumentLinks.of(links)


def _wiki(lang: str) -> str:
    code = bcp47(lang).split("-")[0]
    return _WIKIS.get(code, code)


def _text(path: Path) -> str:
    content = b"".join(chunk for chunk, _ in read_chunks(path, _LIMITS, name=str(path)))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{path}, line {line:,}", "not UTF-8") from None


def _of_columns(line: str, where: str) -> _Link:
    columns = line.rstrip("\r").split("\t")
    if len(columns) != 2:
        raise _invalid(where, f"{len(columns)} columns; a link is a source document, a tab, a target document")
    try:
        return _link(*columns)
    except _NotALinkError as error:
        raise _invalid(where, str(error)) from None


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(where, f"not JSON: {error}") from None


def _of_value(value: Any, wikis: tuple[str, str], where: str) -> Iterator[_Link]:
    """
    Raises:
        InputError: `invalid-links`.
    """
    for record in _records(value):
        try:
            yield from _of_record(record, wikis)
        except _NotALinkError as error:
            raise _invalid(where, str(error)) from None


def _records(value: Any) -> Iterator[Any]:
    """The records in a JSON value: itself, those of a list, or what an answer of MediaWiki or Wikidata wraps."""
    if isinstance(value, dict) and isinstance(query := value.get("query"), dict):
        value = query
    for name in ("pages", "entities"):
        if isinstance(value, dict) and isinstance(value.get(name), dict | list):
            value = value[name]
            value = list(value.values()) if isinstance(value, dict) else value
    if isinstance(value, list) and (not value or any(isinstance(item, list | dict) for item in value)):
        yield from value
    else:
        yield value


def _of_record(record: Any, wikis: tuple[str, str]) -> Iterator[_Link]:
    if isinstance(record, list) and len(record) == 2:
        yield _link(*record)
    elif not isinstance(record, dict):
        raise _NotALinkError(f"neither a pair of documents nor an object with links: {json.dumps(record)[:60]}")
    elif "src" in record and "tgt" in record:
        yield _link(record["src"], record["tgt"])
    elif "sitelinks" in record:
        titles = {str(site).removesuffix("wiki"): _title(link) for site, link in _items(record["sitelinks"])}
        if wikis[0] in titles and wikis[1] in titles:
            yield titles[wikis[0]], titles[wikis[1]]
    elif "title" in record:
        yield from _of_page(record, wikis)
    else:
        raise _NotALinkError('an object without "src" and "tgt", "langlinks" or "sitelinks"')


def _of_page(page: Mapping[str, Any], wikis: tuple[str, str]) -> Iterator[_Link]:
    """A page's link: the page is of the wiki that it has no link to, or of a third one."""
    links = page.get("langlinks", [])
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise _NotALinkError('"langlinks" is not a list of objects')
    titles = {str(link.get("lang")): _title(link) for link in links}
    src, tgt = wikis
    if src in titles or tgt in titles:
        own = _name(page["title"])
        yield titles.get(src, own), titles.get(tgt, own)


def _items(value: Any) -> list[tuple[str, Any]]:
    if value == []:  # how Wikidata writes an object without a member
        return []
    if not isinstance(value, dict):
        raise _NotALinkError('"sitelinks" is not an object')
    return list(value.items())


def _title(link: Any) -> str:
    found = link.get("title", link.get("*")) if isinstance(link, dict) else None
    return _name(found)


def _link(src: Any, tgt: Any) -> _Link:
    return _name(src), _name(tgt)


def _name(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise _NotALinkError(f"a document's id is a string or an integer, not {json.dumps(given)[:60]}")
    try:
        return clean_doc_id(str(given))
    except InputError as error:
        raise _NotALinkError(str(error)) from None


def _invalid(where: str, reason: str) -> InputError:
    return InputError(f"{where}: {reason}", code="invalid-links")
