"""A service whose corpora can be searched, and requests to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.service import ENCODER, Api, Service, numbered, service


@contextmanager
def searchable_service(folder: Path) -> Iterator[Service]:
    """With `de` and `en`, mined with each other, `fr` and `docs`, embedded, and `raw`, which is not."""
    with service(folder) as started:
        api = started.api
        for name, lang, content in (
            ("de", "deu", numbered("Haus", 40)),
            ("en", "eng", numbered("house", 50)),
            ("fr", "fra", numbered("gare", 30)),
            ("raw", "rus", numbered("книга", 20)),
        ):
            api.succeeded(api.upload(name, content, lang))
        records = [
            {"text": f"lake {n} museum", "doc_id": f"doc-{n % 3}", "meta": {"domain": "news" if n % 2 else "law"}}
            for n in range(30)
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        api.succeeded(api.upload("docs", lines.encode(), "eng", format="jsonl"))
        api.succeeded(api.mine("de", "en", threshold=0.0))
        for name in ("fr", "docs"):
            api.succeeded(index(api, name))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


def index(api: Api, name: str, **wanted: Any) -> httpx.Response:
    return api.http.post(f"/v1/corpora/{name}/indexes", json={"encoder": ENCODER, **wanted})


def search(api: Api, *texts: str, **wanted: Any) -> httpx.Response:
    given = {"texts": list(texts)} if texts else {}
    return api.http.post("/v1/search", json={"encoder": ENCODER, **given, **wanted})


def found(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def hits(response: httpx.Response) -> list[dict[str, Any]]:
    (result,) = found(response)["results"]
    listed: list[dict[str, Any]] = result["hits"]
    assert [hit["rank"] for hit in listed] == list(range(1, len(listed) + 1))
    return listed
