"""The reference can be read alone: every operation says what it does, what it is sent and answers, and how it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bitextmine_service.openapi import openapi_yaml
from bitextmine_service.problems import MEDIA_TYPE
from bitextmine_service.reference import status_of
from bitextmine_service.reference.codes import CODES, EVERYWHERE
from bitextmine_service.reference.details import DETAILS
from bitextmine_service.reference.page import page

DESCRIPTION: dict[str, Any] = yaml.safe_load(openapi_yaml())
OPERATIONS = {
    operation["operationId"]: operation for methods in DESCRIPTION["paths"].values() for operation in methods.values()
}
OPEN = {"livez", "readyz"}
each = pytest.mark.parametrize("name", OPERATIONS)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a $ref leads to."""
    while "$ref" in node:
        found: Any = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def examples(content: dict[str, Any]) -> list[Any]:
    """Those of a body or an answer: its own, or its schema's."""
    named = [resolved(example)["value"] for example in content.get("examples", {}).values()]
    own = [content["example"]] if "example" in content else []
    return named + own or list(resolved(content.get("schema", {})).get("examples", []))


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(body or status, media type, content) of all that is sent and answered."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "body", media_type, content
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            yield status, media_type, content


@each
def test_what_it_does_is_said(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert len(operation["description"]) > 30
    assert operation["description"].strip()[-1] in ".`'/T", operation["description"]
    for parameter in operation.get("parameters", ()):
        assert parameter.get("description") or parameter["schema"].get("description"), parameter["name"]


@each
def test_what_is_sent_and_answered_has_examples(name: str) -> None:
    download = name == "download"  # of its media types the plainest is shown
    for where, media_type, content in contents(OPERATIONS[name]):
        if where == "body" or (where.startswith("2") and (not download or media_type == "text/tab-separated-values")):
            assert examples(content), (where, media_type)


@each
def test_examples_are_valid(name: str) -> None:
    found = 0
    for where, media_type, content in contents(OPERATIONS[name]):
        schema = {**content["schema"], "components": DESCRIPTION["components"]} if "schema" in content else {}
        validator = jsonschema_rs.Draft202012Validator(schema)
        for example in examples(content):
            errors = [error.message for error in validator.iter_errors(example)]
            assert not errors, (where, media_type, errors)
            found += 1
    assert found or name in ("describe_uploads", "create_upload")


@each
def test_who_may_is_said(name: str) -> None:
    assert OPERATIONS[name]["security"] == ([] if name in OPEN else [{"key": []}])
    assert DESCRIPTION["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - OPEN))
def test_how_it_fails_is_said_with_every_code(name: str) -> None:
    responses = OPERATIONS[name]["responses"]
    codes = set(f"{EVERYWHERE} {CODES[name]}".split())
    shown: set[str] = set()
    for status, response in responses.items():
        if int(status) < 400:
            continue
        problems = response["content"][MEDIA_TYPE]
        assert problems["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert problems["examples"], status
        for code, reference in problems["examples"].items():
            example = resolved(reference)["value"]
            assert (example["code"], str(example["status"])) == (code, status)
            assert f"`{code}`" in response["description"]
            shown.add(code)
    assert shown == codes, "a code of this route has a status that is not documented"


def test_the_page_shows_all_of_it_and_fetches_nothing() -> None:
    shown = page(DESCRIPTION)
    for name, operation in OPERATIONS.items():
        assert f"<details id={name}>" in shown
        assert all(f"<code>{code}</code>" in shown for code in CODES.get(name, "").split())
        assert operation["description"].partition("`")[0].partition("'")[0][:20] in shown
    assert re.findall(r"""(?:src|href)=["']?([^"'>]+)""", shown) == ["openapi.json"]
    assert "<script" not in shown


def test_the_page_shows_text_as_text() -> None:
    operation = {"operationId": "x", "tags": ["<b>"], "description": "<i> `<u>`", "responses": {}, "parameters": []}
    info = {"title": "<t>", "version": "1", "description": "&"}
    shown = page({"info": info, "paths": {"/<p>": {"get": operation}}, "components": {"schemas": {}}})
    assert not {"<i>", "<u>", "<t>", "<p>/", "/<p>"} & set(re.findall(r"/?<[^>]*>/?", shown))
    assert "<code>&lt;u&gt;</code>" in shown


def test_the_table_has_all_operations_and_no_code_in_vain() -> None:
    assert CODES.keys() == OPERATIONS.keys() - OPEN
    used = set(f"{EVERYWHERE} {' '.join(CODES.values())}".split())
    assert used <= DETAILS.keys()
    assert DETAILS.keys() - used <= {"overloaded"}
    assert status_of("corpus-not-found") == 404
    assert status_of("k-too-large") == 422
    assert status_of("internal-error") == 500
