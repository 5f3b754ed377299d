"""Keys at the door: who gets in, and as whom; and what is open to all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from bitextmine.keys import Scope
from tests.integration.keyed import Holder, Keyed
from tests.integration.raw_http import connected, request
from tests.integration.routes import APP, ROUTES, Route
from tests.integration.service import problem, service
from tests.integration.waiting import wait_until

OPEN = {"GET /docs", "GET /livez", "GET /readyz"}
COMPUTES_BUT_CHANGES_NOTHING = {
    *("POST /v1/embeddings", "POST /v1/score", "POST /v1/search", "POST /v1/word-alignments"),
}
ADMINS = {"GET /metrics"}
OF_UPLOADS = {"HEAD /v1/uploads/{upload_id}"}  # only those who upload have any
ID = "0" * 22


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with service(tmp_path_factory.mktemp("keys")) as started:
        yield Keyed(started)
        assert "Traceback" not in started.api.process.log


@pytest.fixture(scope="module")
def everyone(keyed: Keyed) -> dict[Scope, Holder]:
    """A holder of a key for each scope."""
    return {scope: keyed.holder(keyed.token(scope)) for scope in Scope}


def send(http: httpx.Client, route: Route) -> httpx.Response:
    return http.request(route.method, route.at(dict.fromkeys(route.parameters, ID)))


def test_every_route_declares_the_scope_that_it_should() -> None:
    described = {f"{method.upper()} {path}" for path, methods in APP.openapi()["paths"].items() for method in methods}
    assert described <= {str(route) for route in ROUTES}, "a route that the walk does not see"
    for route in ROUTES:
        name = str(route)
        changes = route.method in ("POST", "PUT", "PATCH", "DELETE") and name not in COMPUTES_BUT_CHANGES_NOTHING
        expected = Scope.ADMIN if name in ADMINS else Scope.MINE if changes or name in OF_UPLOADS else Scope.READ
        assert route.scope == (None if name in OPEN else expected), f"{name} asks for {route.scope}"


def test_the_description_says_which_routes_take_a_key_and_what_they_say_to_a_bad_one() -> None:
    description = APP.openapi()
    assert description["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            closed = f"{method.upper()} {path}" not in OPEN
            assert bool(operation.get("security")) == closed, path
            assert ({"401", "403", "429"} <= operation["responses"].keys()) == closed, path
            if closed:
                assert operation["responses"]["401"]["headers"].keys() == {"WWW-Authenticate"}
                assert "Retry-After" in operation["responses"]["429"]["headers"]


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_without_a_key_there_is_no_way_in(keyed: Keyed, route: Route) -> None:
    answer = send(keyed.api.http, route)
    if str(route) in OPEN:
        assert answer.status_code in (200, 307)
    elif route.method == "HEAD":
        assert answer.status_code == 401
    else:
        refused = problem(answer, 401, "key-missing")
        assert "Authorization: Bearer" in refused["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer realm="bitextmine"'


@pytest.mark.parametrize("path", ["/", "/jobs", "/docs", "/openapi.json", "/livez", "/readyz", "/static/api.js"])
def test_some_paths_are_open(keyed: Keyed, path: str) -> None:
    assert keyed.api.http.get(path).status_code == 200
    assert keyed.api.http.get("/static/nothing.js").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/nothing",
        "/nothing",
        "//docs",
        "/docs/",
        "/livez/",
        "/LIVEZ",
        "/static",
        "/static/../v1/corpora",
        "/%2e/livez",
    ],
)
def test_what_only_looks_like_an_open_path_is_not(keyed: Keyed, path: str) -> None:
    with connected(keyed.api.url) as connection:
        connection.send(request(path))
        answer = connection.answer()
        assert answer is not None
        if path.startswith("/static/"):
            answer.problem(404, "not-found")
        else:
            answer.problem(401, "key-missing")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scope], ids=str)
def test_a_key_does_what_its_scope_allows_and_no_more(everyone: dict[Scope, Holder], route: Route) -> None:
    assert route.scope is not None
    for scope, holder in everyone.items():
        answer = send(holder.http, route)
        assert "ratelimit" not in answer.headers
        if scope.includes(route.scope):
            assert answer.status_code not in (401, 403), (scope, answer.text)
            assert answer.status_code < 500, answer.text
        elif route.method == "HEAD":
            assert answer.status_code == 403
        else:
            refused = problem(answer, 403, "scope-missing")
            assert f"scope {scope}; this takes {route.scope}" in refused["detail"]


def test_bad_keys_are_refused_and_nothing_of_them_is_said(keyed: Keyed) -> None:
    token = keyed.token(Scope.READ)
    key_id = token.split("_")[1]
    other = f"btm_{key_id}_{'0' * 64}"
    unknown = f"btm_{'0' * 12}_{'0' * 64}"
    for wrong in (other, unknown, token[:-1], token + "0", "x", "btm_", token.upper(), "ä", f'"{token}"'):
        answer = keyed.api.http.get("/v1/corpora", headers={"Authorization": f"Bearer {wrong}".encode()})
        refused = problem(answer, 401, "key-invalid")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert refused["detail"] == "the key is not one of this service, or was revoked"
    for header in (token, f"Basic {token}", f"Token {token}", "Bearer", ""):
        answer = keyed.api.http.get("/v1/corpora", headers={"Authorization": header})
        problem(answer, 401, "key-missing")
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    problem(keyed.api.http.get("/v1/corpora", headers=twice), 401, "key-invalid")
    problem(keyed.api.http.get("/v1/corpora", params={"access_token": token, "key": token}), 401, "key-missing")
    problem(keyed.api.http.get("/v1/corpora", headers={"Cookie": f"key={token}"}), 401, "key-missing")
    for scheme in ("bearer", "BEARER", "Bearer "):
        answer = keyed.api.http.get("/v1/corpora", headers={"Authorization": f"{scheme} {token}"})
        assert answer.status_code == 200


def test_the_refusal_comes_before_the_body(keyed: Keyed) -> None:
    headers = ("Content-Length: 5000000000", "Expect: 100-continue")
    for path in ("/v1/corpora?name=x&lang=de", "/v1/mining-jobs", "/v1/uploads"):
        with connected(keyed.api.url) as connection:
            connection.send(request(path, *headers, method="POST"))
            answer = connection.answer()
            assert answer is not None
            answer.problem(401, "key-missing")


def test_a_key_is_over_when_it_is_revoked_replaced_or_expired(keyed: Keyed) -> None:
    def status(token: str) -> int:
        return keyed.holder(token).http.get("/v1/corpora").status_code

    revoked, replaced = keyed.token(), keyed.token()
    expiring = keyed.token(expires=datetime.now(UTC) + timedelta(seconds=2))
    assert {status(token) for token in (revoked, replaced, expiring)} == {200}
    keyed.store.revoke(revoked.split("_")[1])
    fresh = keyed.store.rotate(replaced.split("_")[1])
    for token in (revoked, replaced, expiring):
        wait_until(lambda token=token: status(token) == 401, "it is refused")
    answer = keyed.holder(expiring).http.get("/v1/corpora")
    problem(answer, 401, "key-expired")
    assert 'error_description="expired"' in answer.headers["www-authenticate"]
    problem(keyed.holder(revoked).http.get("/v1/corpora"), 401, "key-invalid")
    assert status(str(fresh)) == 200


def test_a_damaged_key_file_is_that_keys_trouble_alone(keyed: Keyed) -> None:
    token, other = keyed.token(), keyed.token()
    path = keyed.service.data_dir / "keys" / f"{token.split('_')[1]}.json"
    path.write_bytes(b'{"name": ')
    problem(keyed.holder(token).http.get("/v1/corpora"), 401, "key-invalid")
    assert keyed.holder(other).http.get("/v1/corpora").status_code == 200
    assert f"{path.name} cannot be used" in keyed.api.process.log


def test_metrics_are_for_admins_unless_they_are_open(keyed: Keyed, everyone: dict[Scope, Holder]) -> None:
    assert everyone[Scope.ADMIN].http.get("/metrics").status_code == 200
    problem(everyone[Scope.MINE].http.get("/metrics"), 403, "scope-missing")
    problem(keyed.api.http.get("/metrics"), 401, "key-missing")
    opened = keyed.service.start_api(auth="on", metrics_open="true")
    assert opened.http.get("/metrics").status_code == 200
    problem(opened.http.get("/v1/corpora"), 401, "key-missing")


def test_a_service_for_others_asks_for_keys_and_says_how_to_make_one(tmp_path: Path) -> None:
    with service(tmp_path) as started:
        for settings, asks, said in (
            (
                {"host": "0.0.0.0"},
                True,
                f"bitextmine keys create --name me --scope admin --data-dir {started.data_dir}",
            ),
            ({"host": "0.0.0.0", "auth": "off"}, False, "whoever reaches it may read and delete everything"),
            ({"host": "127.0.0.1"}, False, None),
            ({"host": "127.0.0.1", "auth": "on"}, True, "keys create"),
        ):
            api = started.start_api(**settings)
            status = httpx.get(f"http://127.0.0.1:{api.url.rpartition(':')[2]}/v1/corpora").status_code
            assert status == (401 if asks else 200), settings
            assert said is None or said in api.process.log
            assert ("keys create" in api.process.log) == asks
            api.process.send(signal.SIGTERM)
        keyed = Keyed(started, host="0.0.0.0")
        keyed.token()
        assert "keys create" not in started.start_api(auth="on").process.log
