"""What the documents say is what the code has: openapi.yaml, docs/errors.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import bitextmine.errors
from bitextmine.errors import BitextmineError
from bitextmine_service.openapi import openapi_yaml
from bitextmine_service.problems import MEDIA_TYPE, STATUS

ROOT = Path(__file__).parents[2]
PACKAGES = ("bitextmine", "indexer/bitextmine_indexer", "service/bitextmine_service")
PROBES = ("/livez", "/readyz")
SCORES = ("/v1/score", "/v1/scoring-jobs")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in yaml.safe_load(openapi_yaml())["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_openapi_yaml_describes_the_application() -> None:
    assert (ROOT / "openapi.yaml").read_text(encoding="utf-8") == openapi_yaml(), "run: make openapi"


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_every_route_is_documented(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    responses = operation["responses"]
    if path in PROBES:
        return
    assert {"422", "500"} <= responses.keys()
    named = (
        "/v1/mining-jobs",
        "/v1/matrix-jobs",
        "/v1/plan",
        "/v1/embeddings",
        "/v1/search",
        "/v1/word-alignments",
        *SCORES,
    )
    looks_up = "{" in path or path in named or (method, path) == ("POST", "/v1/corpora")
    assert ("404" in responses) == looks_up
    for status, response in responses.items():
        if int(status) >= 400:
            assert response["content"].keys() == {MEDIA_TYPE}
            assert response["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter


def documented_codes() -> dict[str, list[str]]:
    """The rows of the tables in docs/errors.md by code."""
    rows = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").splitlines()
    cells = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| `"))
    return {row[0].strip("`"): row[1:] for row in cells}


def used_codes() -> set[str]:
    """Every code in the sources: defaults of errors, the table of statuses, and strings given as `code`."""
    found = {kind.default_code for kind in vars(bitextmine.errors).values() if _is_error(kind)} | set(STATUS)
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            found |= set(_codes_in(ast.parse(file.read_text(encoding="utf-8"))))
    return found


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BitextmineError)


def _codes_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if isinstance(node.func, ast.Name) and node.func.id == "response":  # problems.response(path, status, code, ...)
            given += node.args[2:3]
        if isinstance(node.func, ast.Name) and node.func.id == "_failure":  # child._failure(code, detail)
            given += node.args[:1]
        for value in given:
            yield from _constants(value)


def _constants(value: ast.AST) -> Iterator[str]:
    """String constants, also those of `a if ... else b`."""
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_error_code_is_documented() -> None:
    documented = documented_codes()
    used = used_codes()
    assert {"corpus-not-found", "invalid-request", "method-not-allowed", "out-of-memory", "job-crashed"} <= used
    assert used - documented.keys() == set(), "not in docs/errors.md"
    assert documented.keys() - used == set(), "in docs/errors.md, but nothing has it"
    for code, cells in documented.items():
        assert len(cells) == 4, code
        assert all(cells), code
        if code in STATUS:
            assert str(int(STATUS[code])) in cells[0], code
