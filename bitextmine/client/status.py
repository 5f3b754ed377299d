"""What the service says of itself."""

from __future__ import annotations

from bitextmine.client.answers import answered, checked, model, parsed, sent_once
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Answer, Encoder, Liveness, Readiness
from bitextmine.client.steps import Call, Flow


class _Encoders(Answer):
    items: list[Encoder]


class Status(Group[Mode]):
    """`client.encoders`, `client.alive`, `client.ready`, `client.metrics`"""

    @operation
    def encoders(self) -> Flow[list[Encoder]]:
        """The encoders that a job can name, and those that could be installed."""
        found = yield from model(_Encoders, Call("GET", "/v1/encoders"))
        return found.items

    @operation
    def alive(self) -> Flow[Liveness]:
        """That the service answers, and its version; asked once, whatever `repeats` is.

        Raises:
            ServiceError: `service-unreachable`; or something else answers there.
        """
        response = yield from sent_once(Call("GET", "/livez"))
        return parsed(Liveness, checked(response))

    @operation
    def ready(self) -> Flow[Readiness]:
        """Whether a job sent now would be done, and what is missing otherwise; asked once, whatever `repeats` is.

        Raises:
            ServiceError: `service-unreachable`; or something else answers there.
        """
        response = yield from sent_once(Call("GET", "/readyz"))
        return parsed(Readiness, response)

    @operation
    def metrics(self) -> Flow[str]:
        """Counters and gauges in Prometheus's text format.

        Raises:
            ServiceError: `scope-missing`, it takes a key with the scope admin.
        """
        response = yield from answered(Call("GET", "/metrics"))
        return response.text
