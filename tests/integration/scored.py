"""What tests of scoring share: a service with a mined bitext, requests for scores, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.service import ENCODER, Api, Service, numbered, service

Pairs = list[dict[str, Any]]
SCORES = ("margin", "cosine", "src_mean", "tgt_mean")
BACKGROUNDS = {"src_background": "de", "tgt_background": "en"}
LANGUAGES = {"src_lang": "de", "tgt_lang": "en"}


@contextmanager
def scoring_service(folder: Path) -> Iterator[Service]:
    """A service with `de` and `en`, mined with each other, and `raw`, which is not embedded."""
    with service(folder) as started:
        api = started.api
        for name, word, count in (("de", "Haus", 40), ("en", "house", 50), ("raw", "book", 20)):
            api.succeeded(api.upload(name, numbered(word, count), "eng" if name == "raw" else name))
        api.succeeded(api.mine("de", "en"))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


def mined_pairs(api: Api) -> Pairs:
    (bitext,) = (each for each in api.http.get("/v1/bitexts").json()["items"] if each["made_by"] == "mining")
    return pages(api, bitext["id"])


def assert_nothing_is_left(running: Service) -> None:
    assert running.uploads == []
    artifacts = running.data_dir / "artifacts"
    for kind in ("pairs", "pairs-side", "neighborhoods"):
        assert list((artifacts / kind).glob("*")) == [], kind
    assert len(list((artifacts / "embeddings").glob("*"))) == 2


def pages(api: Api, bitext: str) -> Pairs:
    items: Pairs = (
        api.http.get(f"/v1/bitexts/{bitext}/pairs", params={"limit": 1000}).raise_for_status().json()["items"]
    )
    return items


def score(api: Api, pairs: Any, **wanted: Any) -> httpx.Response:
    return api.http.post("/v1/score", json={**LANGUAGES, "pairs": pairs, "encoder": ENCODER, **wanted})


def job(api: Api, content: bytes, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
    params = {**LANGUAGES, "encoder": ENCODER, **query}
    return api.http.post("/v1/scoring-jobs", params=params, content=content, headers=headers)


def tsv(pairs: Pairs) -> bytes:
    return "".join(f"{pair['src']}\t{pair['tgt']}\n" for pair in pairs).encode()


def texts(pairs: Pairs) -> list[dict[str, str]]:
    return [{"src": pair["src"], "tgt": pair["tgt"]} for pair in pairs]


def assert_same_scores(found: Pairs, truth: Pairs) -> None:
    assert len(found) == len(truth)
    for one, other in zip(found, truth, strict=True):
        for name in SCORES:
            assert one[name] == pytest.approx(other[name], abs=1e-5), name
