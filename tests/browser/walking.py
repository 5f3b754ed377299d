"""What the walks through the pages have in common."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

SLOW_STAGES = json.dumps([sys.executable, str(Path(__file__).parents[1] / "integration" / "slow_stages.py")])
PATIENCE = 120_000  # milliseconds, for what jobs do on a busy machine
_RECORDING = """
window.told = [];
new MutationObserver(() => {
  for (const words of document.querySelectorAll(".words")) {
    if (words.textContent && window.told.at(-1) !== words.textContent) window.told.push(words.textContent);
  }
}).observe(document, {subtree: true, childList: true, characterData: true});
"""


def record_progress(page: Page) -> None:
    """From the next page on, keep all that its bars have said."""
    page.add_init_script(_RECORDING)


def told(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.told")
    return found


def uploaded(page: Page, name: str, lang: str, file: dict[str, Any] | Path) -> None:
    """Upload a corpus on the page Corpora, which is open, and wait until it is ready."""
    page.set_input_files("#upload-file", file)
    page.fill("#upload-name", name)
    page.fill("#upload-lang", lang)
    page.click("#upload-go")
    expect(page.locator("#upload-progress").get_by_text(f"Look at {name}")).to_be_visible(timeout=PATIENCE)


def text_file(name: str, *lines: str) -> dict[str, Any]:
    content = "".join(f"{line}\n" for line in lines).encode()
    return {"name": name, "mimeType": "text/plain", "buffer": content}


def numbered_lines(word: str, count: int) -> list[str]:
    """So many different lines, line n of one word alike to line n of another."""
    return [f"{word} {n} station {n * 37 % 101} museum {n * n % 997}" for n in range(count)]
