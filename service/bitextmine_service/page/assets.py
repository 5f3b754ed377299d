"""The files of the web page, read once: as they are sent, plain and compressed, with what they are told apart by."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template

from bitextmine import __version__
from bitextmine_service.page import PAGES, STATIC, PageOf

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_IMPORT = re.compile(r"""^(?:import|\}) .*?from "\./([a-z0-9-]+\.js)";$""", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, ending: str) -> Asset:
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return cls(content, gzip.compress(content, mtime=0), MEDIA_TYPES[ending], etag)


def read_assets() -> dict[str, Asset]:
    """All files of the web page by the path that they are served at."""
    folder = files("bitextmine_service.page")
    static = {each.name: each.read_bytes() for each in (folder / "static").iterdir() if _is_known(each.name)}
    modules = {name: content.decode() for name, content in static.items() if name.endswith(".js")}
    shell = Template((folder / "shell.html").read_text(encoding="utf-8"))
    found = {STATIC + name: Asset.of(content, _ending(name)) for name, content in static.items()}
    for page in PAGES:
        found[page.path] = Asset.of(_page(page, shell, folder, modules).encode(), "html")
    return found


def needed(module: str, modules: Mapping[str, str]) -> Iterator[str]:
    """The modules that one imports, and those that these import, each once: a browser can fetch them all at once."""
    waiting, seen = [module], {module}
    while waiting:
        for name in _IMPORT.findall(modules[waiting.pop()]):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
                yield name


def _page(page: PageOf, shell: Template, folder: Traversable, modules: Mapping[str, str]) -> str:
    links = (
        f'<a href=".{each.path}"{" aria-current=page" if each is page else ""}>{escape(each.title)}</a>'
        for each in PAGES
    )
    preloads = (f'<link rel="modulepreload" href=".{STATIC}{name}">' for name in needed(f"{page.name}.js", modules))
    return shell.substitute(
        title=escape(page.title),
        version=escape(__version__),
        module=f".{STATIC}{page.name}.js",
        preloads="\n".join(preloads),
        links="\n".join(f"<li>{link}</li>" for link in links),
        main=(folder / "main" / f"{page.name}.html").read_text(encoding="utf-8"),
    )


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _is_known(name: str) -> bool:
    return _ending(name) in MEDIA_TYPES
