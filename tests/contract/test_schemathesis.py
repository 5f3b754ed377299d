"""The API against its own description: generated requests, good and bad, to a running service that asks for keys.

All phases of schemathesis: the description's examples, boundary values of every parameter (coverage), random requests
(fuzzing), and sequences in which one answer feeds the next request (stateful). Some thousands by default; with
BITEXTMINE_FUZZ_EXAMPLES=200 (`make fuzz`) tens of thousands, other ones each time. They are counted in the end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from schemathesis.generation import GenerationMode
from schemathesis.generation.stateful.state_machine import APIStateMachine
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from bitextmine.keys import Grant, KeyStore, Scope
from bitextmine.workspace import Workspace
from bitextmine_service.app import create_app
from bitextmine_service.problems import MEDIA_TYPE
from bitextmine_service.reference.codes import CODES, EVERYWHERE
from bitextmine_service.settings import ServiceSettings
from tests.integration.service import numbered, service

EXAMPLES_VARIABLE = "BITEXTMINE_FUZZ_EXAMPLES"
EXAMPLES = int(os.environ.get(EXAMPLES_VARIABLE, "10"))  # of each operation, and sequences
STEPS = 10  # of a sequence
ROUNDS = 10  # of sequences, at most, until one is not cut short
AT_THE_DOOR = 431
ANYWHERE = {"method-not-allowed", "not-found", "invalid-http", "headers-too-large", "request-timeout", "overloaded"}
UNFORESEEN = {"internal-error", "artifact-damaged"}

_description: dict[str, Any] = create_app(ServiceSettings(redis_url="redis://127.0.0.1:6379")).openapi()
for _methods in _description["paths"].values():
    for _operation in _methods.values():
        _operation.pop("security", None)  # a key is sent with every request: no request is wrong for want of one
schema = schemathesis.openapi.from_dict(_description)
schema.config.generation.update(modes=list(GenerationMode))
_SETTINGS: dict[str, Any] = {
    "derandomize": EXAMPLES_VARIABLE not in os.environ,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}


@schemathesis.serializer("application/offset+octet-stream")
def as_it_is(context: schemathesis.SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Target:
    """The service under test, and a count of what it was sent."""

    def __init__(self, url: str, key: str) -> None:
        self.options = {"base_url": url, "headers": {"Authorization": f"Bearer {key}"}}
        self.sent: Counter[str] = Counter()

    def check(self, response: schemathesis.Response, case: schemathesis.Case) -> None:
        """The answer is one that the description has for this operation; a problem's code is one of the operation's."""
        self.sent[case.meta.phase.name.value if case.meta else "other"] += 1
        if response.status_code == AT_THE_DOOR:  # no route has seen it
            assert response.json()["code"] == "headers-too-large"
            return
        excluded = []
        if _beyond_schemas(response):
            excluded.append(positive_data_acceptance)
        if response.status_code in (412, 413):  # refused before the data is looked at
            excluded += [negative_data_rejection, positive_data_acceptance]
        if any(name.lower().startswith("x-schemathesis-unknown") for name in case.headers or ()):
            excluded.append(negative_data_rejection)  # HTTP lets every request have headers that nobody knows
        case.validate_response(
            response, excluded_checks=excluded, headers=self.options["headers"], transport_kwargs=self.options
        )
        if MEDIA_TYPE in str(response.headers.get("content-type")) and response.content:
            code = response.json()["code"]
            name = case.operation.definition.raw["operationId"]
            assert code not in UNFORESEEN, response.text
            assert code in {*EVERYWHERE.split(), *CODES.get(name, "").split(), *ANYWHERE}, (name, code)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "encoders").mkdir()
    (folder / "encoders" / "muse").symlink_to("tiny")  # what examples name
    with service(folder) as running:
        for name, lang, word in (("news-de", "de", "Haus"), ("news-en", "en", "house")):
            running.api.succeeded(running.api.upload(name, numbered(word, 20), lang))
        running.api.succeeded(running.api.mine("news-de", "news-en"))
        keys = KeyStore(Workspace(running.data_dir, running.data_dir / "encoders").keys)
        key = keys.create(Grant(name="fuzz", tenant="default", scope=Scope.ADMIN))
        api = running.start_api(auth="on")
        found = Target(api.url, str(key))
        yield found
        assert "Traceback" not in api.process.log
        assert api.process.running
        counts = ", ".join(f"{phase} {count:,}" for phase, count in sorted(found.sent.items()))
        with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{found.sent.total():,} generated requests: {counts}")


@schema.parametrize()
@settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate], **_SETTINGS)
def test_every_operation_keeps_its_promises(target: Target, case: schemathesis.Case) -> None:
    target.check(case.call(**target.options), case)


def test_sequences_of_requests_keep_them_too(target: Target) -> None:
    machine: Any = schema.as_state_machine()
    failures: list[BaseException] = []

    class Sequences(machine):  # type: ignore[misc]
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return target.options

        def validate_response(self, response: Any, case: schemathesis.Case, **_: Any) -> None:
            try:
                target.check(response, case)
            except BaseException as error:
                failures.append(error)
                raise

    assert issubclass(Sequences, APIStateMachine)
    how = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, phases=[Phase.generate], **_SETTINGS)
    for _ in range(ROUNDS):
        with suppress(Flaky):  # what there is to choose from differs with what became of the requests before
            Sequences.run(settings=how)
            break
    assert not failures
    assert target.sent["stateful"] > EXAMPLES


def _beyond_schemas(response: schemathesis.Response) -> bool:
    """Whether the request was refused for what no schema can say, such as a code that names no language."""
    if response.status_code not in (400, 422) or not response.content:  # the answer to a HEAD has no body
        return False
    return bool(response.json()["code"] != "invalid-request")
