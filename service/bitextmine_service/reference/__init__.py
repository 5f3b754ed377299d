"""The reference: examples of what routes are sent and answer, and the codes of their errors, put into the API's
description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from bitextmine_service import problems
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.reference.answers import ANSWERS
from bitextmine_service.reference.bodies import BODIES
from bitextmine_service.reference.codes import CODES, EVERYWHERE
from bitextmine_service.reference.details import DETAILS

_CHECKSUM_MISMATCH = 460  # tus's own
_STATUS = {"internal-error": 500, "artifact-damaged": 500, "upload-checksum-mismatch": _CHECKSUM_MISMATCH}
_PROBES = ("/livez", "/readyz")  # they answer without a key, and their 503 is no problem document


def complete(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI description an example of each body and answer, and the codes of each error."""
    shown = JobOut.model_json_schema()["examples"]
    schema["components"]["schemas"]["JobOut"]["examples"] = shown  # FastAPI has left out what is null in them
    listed = {"items": shown[:1], "next_cursor": None}
    answers = {**ANSWERS, "list_jobs": listed}
    examples: dict[str, Any] = {}
    for path, operation in _operations(schema):
        name = operation["operationId"]
        if name in BODIES:
            for content in operation["requestBody"]["content"].values():
                content["example"] = BODIES[name]
        if name in answers:
            _exemplify(operation, answers[name])
        _drop_schemas_of_streams(operation)
        if path in _PROBES:
            operation["security"] = []
            continue
        codes = f"{EVERYWHERE} {CODES.get(name, '')}".split()
        _enumerate(operation, codes)
        for code in codes:
            if code not in examples or examples[code]["value"]["instance"].startswith(problems.OPENAI_PATHS):
                examples[code] = {"value": _example(code, path)}
    schema["components"]["examples"] = dict(sorted(examples.items()))


def status_of(code: str) -> int:
    """The status that routes answer a code with."""
    return _STATUS.get(code) or int(problems.STATUS.get(code, HTTPStatus.UNPROCESSABLE_ENTITY))


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            yield path, operation


def _exemplify(operation: dict[str, Any], answer: Any) -> None:
    contents = operation["responses"]["200"]["content"]
    for media_type, content in contents.items():
        if isinstance(answer, str) == (not media_type.endswith("json")) and (
            len(contents) == 1 or media_type == "text/tab-separated-values"
        ):
            content["example"] = answer


def _drop_schemas_of_streams(operation: dict[str, Any]) -> None:
    """A schema is of the whole stream to some and of each event to others, and FastAPI's string is wrong to these."""
    for response in operation["responses"].values():
        response.get("content", {}).get("text/event-stream", {}).pop("schema", None)


def _enumerate(operation: dict[str, Any], codes: list[str]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get(problems.MEDIA_TYPE)
        if content is not None:
            ours = [code for code in codes if str(status_of(code)) == status]
            content["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in ours}
            response["description"] += f": {', '.join(f'`{code}`' for code in ours)}."


def _example(code: str, path: str) -> dict[str, Any]:
    """A problem document as the service writes it."""
    status = status_of(code)
    known = status != _CHECKSUM_MISMATCH
    written = problems.response(path, HTTPStatus(status if known else 400), code, DETAILS[code])
    example: dict[str, Any] = json.loads(bytes(written.body))
    return example if known else example | {"status": status, "title": "Checksum Mismatch"}
