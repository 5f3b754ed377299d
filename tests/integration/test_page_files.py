"""The files of the web page as they are served: whole, unchanged ones not again, running nothing from elsewhere."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import httpx
import pytest

from bitextmine_service.app import create_app
from bitextmine_service.page import PAGES, STATIC
from bitextmine_service.page.assets import needed, read_assets
from bitextmine_service.settings import ServiceSettings

APP = create_app(ServiceSettings(redis_url="redis://127.0.0.1:6379"))
ASSETS = read_assets()


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://127.0.0.1") as opened:
        yield opened


@pytest.mark.anyio
@pytest.mark.parametrize("path", ASSETS)
async def test_each_file_is_served_safely_and_once(path: str) -> None:
    async with client() as http:
        plain = await http.get(path, headers={"Accept-Encoding": "identity"})
        assert plain.status_code == 200
        assert plain.content == ASSETS[path].content
        policy = dict(part.strip().partition(" ")[::2] for part in plain.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
        assert plain.headers["x-content-type-options"] == "nosniff"
        assert plain.headers["cache-control"] == "no-cache"
        packed = await http.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        again = await http.get(path, headers={"If-None-Match": f'"other", W/{plain.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert (await http.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
        head = await http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert (await http.post(path)).status_code == 405


@pytest.mark.anyio
async def test_other_names_are_not_there() -> None:
    async with client() as http:
        for path in (STATIC, f"{STATIC}nothing.js", f"{STATIC}../shell.html", f"{STATIC}%2e%2e/shell.html", "/try"):
            answer = await http.get(path)
            assert answer.status_code == 404, path
            assert answer.json()["code"] == "not-found"


def test_pages_hold_no_script_and_no_style_of_their_own_and_reach_nothing_else() -> None:
    for page in PAGES:
        shown = ASSETS[page.path].content.decode()
        assert "<style" not in shown
        assert not re.search(r"<[^>]+ (on[a-z]+|style)=", shown)
        assert re.findall(r"<script[^>]*>(.*?)</script>", shown, re.DOTALL) == [""]
        for address in re.findall(r'(?:href|src)="([^"]*)"', shown):
            assert address.startswith(("./", "#")), address
        assert f"<title>{page.title} - bitextmine</title>" in shown
        assert "$" not in shown.replace("$token", "")
        ids = re.findall(r' id="([^"]+)"', shown)
        assert len(ids) == len(set(ids))
        for label in re.findall(r'(?: for| aria-labelledby| aria-describedby)="([^"]+)"', shown):
            assert label in ids, label


def test_modules_import_what_is_there_and_are_fetched_at_once() -> None:
    modules = {
        path.removeprefix(STATIC): asset.content.decode() for path, asset in ASSETS.items() if path.endswith(".js")
    }
    for name, text in modules.items():
        imported = re.findall(r'from "([^"]+)"|import "([^"]+)"|import\("([^"]+)"\)', text)
        for found in (next(filter(None, each)) for each in imported):
            assert found.removeprefix("./") in modules, (name, found)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), name
        assert len(text.splitlines()) < 300, name
    for page in PAGES:
        wanted = set(needed(f"{page.name}.js", modules))
        assert {"dom.js", "api.js"} <= wanted
        for name in wanted:
            assert f'modulepreload" href=".{STATIC}{name}"' in ASSETS[page.path].content.decode()


def test_all_files_of_the_folder_are_known() -> None:
    folder = files("bitextmine_service.page")
    assert {f"{STATIC}{each.name}" for each in (folder / "static").iterdir()} == {
        path for path in ASSETS if path.startswith(STATIC)
    }
    assert {each.name for each in (folder / "main").iterdir()} == {f"{page.name}.html" for page in PAGES}
    assert all(gzip.decompress(asset.compressed) == asset.content for asset in ASSETS.values())
