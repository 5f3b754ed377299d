"""The reference as a page of plain HTML: no script, and nothing fetched from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
html { color-scheme: light dark }
code, pre, summary { font-family: ui-monospace, monospace; font-size: 13px }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8884; border-radius: 4px }
details { border: 1px solid #8884; border-radius: 4px; margin: .4rem 0; padding: .4rem .8rem }
summary b { display: inline-block; min-width: 5rem } table { border-collapse: collapse }
td { padding: .15rem .8rem .15rem 0; vertical-align: top }
"""


def page(description: dict[str, Any]) -> str:
    """An OpenAPI description as HTML."""
    title = escape(f"{description['info']['title']} {description['info']['version']}")
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        _text(description["info"]["description"]),
        '<p>As a file for tools: <a href="openapi.json">openapi.json</a>.</p>',
    ]
    tags: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            found = "".join(_operation(method, path, operation, description))
            tags.setdefault(operation["tags"][0], []).append(found)
    for tag, operations in tags.items():
        parts += [f"<h2>{escape(tag)}</h2>", *operations]
    return "\n".join(parts) + "</html>"


def _operation(method: str, path: str, operation: dict[str, Any], description: dict[str, Any]) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f"<details id={name}><summary><b>{method.upper()}</b> {escape(path)}</summary>"
    yield _text(operation["description"])
    if parameters := operation.get("parameters"):
        rows = (
            f"<tr><td><code>{escape(each['name'])}</code>{' *' if each.get('required') else ''}<td>{escape(each['in'])}"
            f"<td>{_inline(each.get('description') or each['schema'].get('description', ''))}"
            for each in parameters
        )
        yield f"<h4>Parameters (* needed)</h4><table>{''.join(rows)}</table>"
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h4>Body: {escape(media_type)}</h4>" + _examples(content, description)
    for status, response in operation["responses"].items():
        yield f"<h4>{escape(status)} {_inline(response['description'])}</h4>"
        if status.startswith("2"):
            yield from (_examples(content, description) for content in response.get("content", {}).values())
    yield "</details>"


def _examples(content: dict[str, Any], description: dict[str, Any]) -> str:
    reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    known = description["components"]["schemas"].get(reference, {})
    found = [content["example"]] if "example" in content else known.get("examples", [])
    texts = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False, indent=2) for each in found)
    return "".join(f"<pre>{escape(text)}</pre>" for text in texts)


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n"))


def _inline(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
