"""The official `openai` client, unchanged, against the service: vectors, models, and what its exceptions say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from bitextmine.encoders.encoder import Encoder
from bitextmine.keys import Grant, KeyStore, Rate, Scope
from bitextmine.workspace import Workspace
from tests.integration.service import ENCODER, Service, service
from tests.scripted_server import Reply, refusal, scripted_server

SENTENCES = ["Das Haus am See", "The house by the lake", "La maison du lac"]
MODES = ("sync", "async")
Ask = Callable[[Any], Any]


def asked(mode: str, url: str, ask: Ask, *, key: str = "none", retries: int = 0) -> Any:
    """What OpenAI's client answers to `ask(client)`."""
    if mode == "sync":
        with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries) as client:
            return ask(client)

    async def main() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries) as client:
            return await ask(client)

    return asyncio.run(main())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("openai")) as started:
        yield started
        assert "Traceback" not in started.api.process.log


@pytest.fixture(scope="module")
def url(running: Service) -> str:
    return running.api.url


@pytest.fixture(scope="module")
def vectors(encoders: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the library gives for the same sentences."""
    return Encoder.open(encoders / ENCODER).encode(SENTENCES)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_vectors_are_those_of_the_library(mode: str, url: str, options: dict[str, Any], vectors: Any) -> None:
    found = asked(mode, url, lambda client: client.embeddings.create(model=ENCODER, input=SENTENCES, **options))
    assert [each.index for each in found.data] == [0, 1, 2]
    rows = [each.embedding for each in found.data]
    if options.get("encoding_format") == "base64":  # asked for by name, it is handed on as it is
        import base64

        rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in rows]
    np.testing.assert_allclose(np.array(rows, np.float32), vectors, atol=1e-6)
    assert found.model == ENCODER
    assert found.usage.prompt_tokens == found.usage.total_tokens > len(SENTENCES)


@pytest.mark.parametrize("mode", MODES)
def test_one_sentence_a_user_and_the_encoders_own_dimensions(mode: str, url: str, vectors: Any) -> None:
    found = asked(
        mode,
        url,
        lambda client: client.embeddings.create(model=ENCODER, input=SENTENCES[0], user="someone", dimensions=32),
    )
    np.testing.assert_allclose(found.data[0].embedding, vectors[0], atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_other_dimensions_are_refused(mode: str, url: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="have 32 dimensions, not 16") as caught:
        asked(mode, url, lambda client: client.embeddings.create(model=ENCODER, input="a", dimensions=16))
    assert caught.value.code == "dimensions-unsupported"


@pytest.mark.parametrize("mode", MODES)
def test_errors_are_those_of_the_client(mode: str, url: str) -> None:
    with pytest.raises(openai.NotFoundError, match="no encoder") as caught:
        asked(mode, url, lambda client: client.embeddings.create(model="text-embedding-3-small", input="a"))
    assert caught.value.code == "encoder-unknown"
    for wrong in ([], "", [[1, 2, 3]], ["a"] * 2049):
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            asked(mode, url, lambda client, wrong=wrong: client.embeddings.create(model=ENCODER, input=wrong))
        assert refused.value.code == "invalid-request"
        assert "body.input" in str(refused.value)


@pytest.mark.parametrize("mode", MODES)
def test_models_are_the_installed_encoders(mode: str, url: str) -> None:
    listed = asked(mode, url, lambda client: client.models.list())
    assert [model.id for model in listed.data] == [ENCODER]
    assert listed.data[0].created > 1_600_000_000
    assert asked(mode, url, lambda client: client.models.retrieve(ENCODER)) == listed.data[0]
    with pytest.raises(openai.NotFoundError):
        asked(mode, url, lambda client: client.models.retrieve("nothing-of-the-kind"))


@pytest.mark.parametrize("mode", MODES)
def test_keys_are_bearer_tokens(mode: str, running: Service) -> None:
    store = KeyStore(Workspace(running.data_dir, running.data_dir / "encoders").keys)
    key = store.create(Grant(name=mode, tenant="default", scope=Scope.READ, rate=Rate.parse("2/h")))
    url = running.start_api(auth="on").url
    with pytest.raises(openai.AuthenticationError) as caught:
        asked(mode, url, lambda client: client.embeddings.create(model=ENCODER, input="a"), key="btm_wrong")
    assert caught.value.code == "key-invalid"
    token = str(getattr(key, "token", key))
    for _ in range(2):
        asked(mode, url, lambda client: client.embeddings.create(model=ENCODER, input="a"), key=token)
    with pytest.raises(openai.RateLimitError) as limited:
        asked(mode, url, lambda client: client.embeddings.create(model=ENCODER, input="a"), key=token)
    assert limited.value.code == "rate-limited"
    assert int(limited.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("mode", MODES)
def test_the_client_waits_as_long_as_a_busy_service_asks(mode: str, url: str) -> None:
    """A busy answer as the service writes it, then the service's own."""
    wanted = {"model": ENCODER, "input": "a", "encoding_format": "base64"}
    good = httpx.post(f"{url}/v1/embeddings", json=wanted).json()
    with scripted_server() as server:
        server.says(refusal(429, "queue-full", Retry_After="1"), Reply(200, good, {"Content-Type": "application/json"}))
        found = asked(mode, server.url, lambda client: client.embeddings.create(model=ENCODER, input="a"), retries=1)
        assert len(found.data[0].embedding) == 32
        assert len(server.seen) == 2
