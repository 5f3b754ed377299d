"""Keys on the disk and in the ring: what opens them, what does not, and what becomes of damaged ones."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.errors import ArtifactError, BitextmineError, NotFoundError, ParameterError
from bitextmine.keys import Caller, Grant, KeyRing, KeyStore, Rate, Scope, Token
from bitextmine.keys.moments import parse_moment, parse_span
from bitextmine.workspace import Workspace

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def ring(store: KeyStore) -> KeyRing:
    return KeyRing(store, fresh_seconds=0)


def refusal(store: KeyStore, token: object) -> str:
    with pytest.raises(BitextmineError) as caught:
        ring(store).caller(str(token))
    assert not (len(str(token)) > 4 and str(token) in str(caught.value))
    return caught.value.code


def test_a_key_stands_for_what_it_grants(store: KeyStore) -> None:
    grant = Grant(
        name="Ann", tenant="mt", scope=Scope.MINE, rate=Rate(5, 60), max_sentences=9, max_jobs=2, expires=NOW + HOUR
    )
    token = store.create(grant)
    record = store.read(token.key_id)
    assert record is not None
    assert {name: value for name, value in record if name in Grant.model_fields} == dict(grant)
    assert record.open(token, NOW) == Caller("mt", Scope.MINE, token.key_id, Rate(5, 60), 9, 2)
    plain = store.create(Grant(name="Bob"))
    assert ring(store).caller(str(plain)) == Caller("default", Scope.READ, plain.key_id)


def test_only_the_hash_is_kept_and_only_its_owner_reads_it(store: KeyStore, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    token = store.create(Grant(name="Ann"))
    (path,) = (tmp_path / "keys").iterdir()
    assert token.secret not in path.read_text()
    assert token.secret not in repr(token)
    assert path.name == f"{token.key_id}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_keys_have_nothing_in_common(store: KeyStore) -> None:
    tokens = [store.create(Grant(name="same")) for _ in range(20)]
    assert len({token.key_id for token in tokens}) == len({token.secret for token in tokens}) == 20
    mixed = Token(tokens[0].key_id, tokens[1].secret)
    assert refusal(store, mixed) == "key-invalid"


def test_what_is_no_token_opens_nothing(store: KeyStore) -> None:
    token = str(store.create(Grant(name="Ann")))
    digest = Token.parse(token).digest  # type: ignore[union-attr]
    wrong = [
        "", " ", "btm_", "x", token[:-1], token + "0", f" {token}", f"{token}\n", token.upper(), token[4:],
        token.replace("_", "-"), f"{token[:17]}{digest}", f"btm_../{token[7:]}", "ä" * 81, token[:-1] + "٣", "\0" * 81,
    ]  # fmt: skip
    assert {refusal(store, each) for each in wrong} == {"key-invalid"}
    assert refusal(store, token[:-1] + ("0" if token[-1] != "0" else "1")) == "key-invalid"


@given(text=st.text())
def test_no_text_is_mistaken_for_a_token(text: str) -> None:
    assert Token.parse(text) is None
    assert Token.parse(f"btm_{text}_{'0' * 64}") is None or len(text) == 12


def test_a_key_that_has_expired_says_so_to_its_holder_alone(store: KeyStore) -> None:
    token = store.create(Grant(name="Ann", expires=NOW))
    record = store.read(token.key_id)
    assert record is not None
    assert record.open(token, NOW - timedelta(microseconds=1)).key_id == token.key_id
    with pytest.raises(BitextmineError, match="2026-11-22T12:00:00") as caught:
        record.open(token, NOW)
    assert caught.value.code == "key-expired"
    with pytest.raises(BitextmineError) as caught:
        record.open(Token(token.key_id, "0" * 64), NOW)
    assert caught.value.code == "key-invalid"


def test_a_revoked_key_is_not_there(store: KeyStore) -> None:
    token, other = store.create(Grant(name="Ann")), store.create(Grant(name="Bob"))
    store.revoke(token.key_id)
    assert refusal(store, token) == "key-invalid"
    assert ring(store).caller(str(other)).key_id == other.key_id
    assert store.ids() == [other.key_id]
    for change in (store.revoke, store.rotate):
        for key_id in (token.key_id, "", "..", f"../keys/{other.key_id}", other.key_id.upper()):
            with pytest.raises(NotFoundError) as caught:
                change(key_id)
            assert caught.value.code == "key-not-found"
    with pytest.raises(NotFoundError):
        KeyStore(Path("/nowhere")).revoke(token.key_id)


def test_a_new_secret_replaces_the_old_one_now_or_later(store: KeyStore) -> None:
    first = store.create(Grant(name="Ann", scope=Scope.ADMIN, max_jobs=3))
    second = store.rotate(first.key_id, HOUR)
    record = store.read(first.key_id)
    assert record is not None
    later = datetime.now(UTC) + 2 * HOUR
    assert record.open(first, datetime.now(UTC)) == record.open(second, later) == record.caller
    assert (record.scope, record.max_jobs, record.name) == (Scope.ADMIN, 3, "Ann")
    with pytest.raises(BitextmineError, match="new secret") as caught:
        record.open(first, later)
    assert caught.value.code == "key-expired"
    third = store.rotate(first.key_id, HOUR)  # the first is no more, whatever grace it had
    assert refusal(store, first) == "key-invalid"
    assert {ring(store).caller(str(token)).key_id for token in (second, third)} == {first.key_id}
    store.rotate(first.key_id)
    assert {refusal(store, token) for token in (second, third)} == {"key-invalid"}


def test_changes_at_the_same_time_do_not_bring_a_key_back(store: KeyStore) -> None:
    for _ in range(20):
        token = store.create(Grant(name="Ann"))

        def rotate(key_id: str = token.key_id) -> None:
            with contextlib.suppress(NotFoundError):
                store.rotate(key_id)

        threads = [threading.Thread(target=rotate) for _ in range(3)]
        for thread in threads:
            thread.start()
        store.revoke(token.key_id)
        for thread in threads:
            thread.join()
    assert store.ids() == []


DAMAGES = [
    ("{", "Invalid JSON"),
    ("", "Invalid JSON"),
    ("[" * 10_000, "Invalid JSON"),
    ("null", "should be an object"),
    ({"scope": "root"}, "'read', 'mine' or 'admin'"),
    ({"tenant": "../x"}, "cannot name a tenant"),
    ({"tenant": ""}, "cannot name a tenant"),
    ({"secrets": []}, "at least 1 item"),
    ({"secrets": [{"sha256": "x"}]}, "pattern"),
    ({"id": "0" * 12}, "the record of 000000000000"),
    ({"max_jobs": -1}, "greater than or equal to 0"),
    ({"rate": "fast"}, "no rate"),
    ({"expires": "2027-01-01T00:00:00"}, "timezone"),
    ({"only_from": "10.0.0.0/8"}, "not permitted"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_damaged_key_is_refused_and_the_others_are_not(
    store: KeyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str | dict[str, object], said: str
) -> None:
    token, other = store.create(Grant(name="Ann")), store.create(Grant(name="Bob"))
    path = tmp_path / "keys" / f"{token.key_id}.json"
    path.write_text(damage if isinstance(damage, str) else json.dumps(json.loads(path.read_text()) | damage))
    with caplog.at_level(logging.WARNING):
        assert refusal(store, token) == "key-invalid"
    assert said in caplog.text
    assert token.digest not in caplog.text
    assert token.secret not in caplog.text
    assert ring(store).caller(str(other)).key_id == other.key_id
    assert token.key_id in store.ids()
    with pytest.raises(ArtifactError, match="revoke the key") as caught:
        store.rotate(token.key_id)
    assert caught.value.code == "key-damaged"
    store.revoke(token.key_id)
    assert store.ids() == [other.key_id]


def test_a_key_file_that_is_a_directory_is_damaged(store: KeyStore, tmp_path: Path) -> None:
    token = store.create(Grant(name="Ann"))
    (tmp_path / "keys" / f"{token.key_id}.json").unlink()
    (tmp_path / "keys" / f"{token.key_id}.json").mkdir()
    (tmp_path / "keys" / "notes.json").write_text("no key's name")
    assert refusal(store, token) == "key-invalid"
    assert store.ids() == [token.key_id]


def test_the_ring_reads_a_file_again_once_it_is_old(store: KeyStore) -> None:
    token = store.create(Grant(name="Ann"))
    lasting, fleeting = KeyRing(store, fresh_seconds=1e6), KeyRing(store, fresh_seconds=0)
    assert not lasting.is_fresh(str(token))
    for each in (lasting, fleeting):
        each.caller(str(token))
    assert lasting.is_fresh(str(token))
    assert not fleeting.is_fresh(str(token))
    store.revoke(token.key_id)
    assert lasting.caller(str(token)).key_id == token.key_id
    with pytest.raises(BitextmineError):
        fleeting.caller(str(token))
    with pytest.raises(BitextmineError):  # what it remembers is the key, not that a secret was right
        lasting.caller(str(Token(token.key_id, "0" * 64)))


def test_the_ring_remembers_a_bounded_number(store: KeyStore) -> None:
    lasting = KeyRing(store, fresh_seconds=1e6)
    tokens = [str(Token(f"{number:012x}", "0" * 64)) for number in range(5000)]
    for token in tokens:
        with pytest.raises(BitextmineError):
            lasting.caller(token)
    assert [lasting.is_fresh(token) for token in (tokens[0], tokens[-1])] == [False, True]


@pytest.mark.parametrize("name", ["", " ", "a\nb", " a", "a ", "x" * 65, "\x1b[31mred", "a\u202eb", "\ud800"])
def test_a_name_that_would_garble_a_list_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot name a key|surrogates"):
        Grant(name=name)


@pytest.mark.parametrize(
    ("text", "rate"), [("10/s", (10, 1)), ("1/min", (1, 60)), ("99999/h", (99_999, 3600)), (" 7/day ", (7, 86_400))]
)
def test_rates(text: str, rate: tuple[int, int]) -> None:
    assert Rate.parse(text) == Rate(*rate)
    assert str(Rate.parse(text)) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "1.5/s", "100000/s", "1/m", "1/", "/s", "1/s/s", "٣/s", "1 /s"]
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ParameterError, match="no rate"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("30min", NOW + timedelta(minutes=30)),
        ("2027-01-01", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T12:00", datetime(2027, 1, 1, 12, tzinfo=UTC)),
        ("2027-01-01T12:00+02:00", datetime(2027, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    ["", "soon", "90", "d", "0d", "-1d", "1.5h", "100000d", "2026-11-22", "2027-02-30", "0001-01-01T00:00+12:00", "٣d"],
)
def test_what_is_no_moment_to_come(text: str) -> None:
    with pytest.raises(ParameterError):
        parse_moment(text, NOW)
    if not text.startswith("2"):
        with pytest.raises(ParameterError):
            parse_span(text)


def test_all_tenants_have_their_keys_in_one_place(tmp_path: Path) -> None:
    place = Workspace.at(tmp_path, tmp_path / "encoders")
    assert place.of_tenant("mt").keys == place.keys == tmp_path / "keys"
