"""`bitextmine keys` and `serve` as programs: what they print where, and what they say to what is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bitextmine.keys import KeyRing, KeyStore, Rate, Scope
from tests.integration.test_serve_settings import _free_port
from tests.integration.waiting import PATIENCE, wait_until


def keys(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bitextmine", "keys", *arguments, "--data-dir", str(data_dir)],
        env={**os.environ, "BITEXTMINE_DATA_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def made(data_dir: Path, *arguments: str) -> str:
    done = keys(data_dir, "create", *arguments)
    assert done.returncode == 0, done.stderr
    assert "only showing" in done.stderr
    return done.stdout.removesuffix("\n")


def test_keys_are_made_shown_replaced_and_revoked(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    token = made(
        data, "--name", "Ann Müller", "--scope", "mine", "--tenant", "news", "--expires", "2126-01-01",
        "--rate", "10/min", "--max-sentences", "1000", "--max-jobs", "2",
    )  # fmt: skip
    assert re.fullmatch(r"btm_[0-9a-f]{12}_[0-9a-f]{64}", token)
    key_id, secret = token.split("_")[1:]
    ring = KeyRing(KeyStore(data / "keys"), fresh_seconds=0)
    caller = ring.caller(token)
    assert (caller.tenant, caller.scope, caller.rate) == ("news", Scope.MINE, Rate(10, 60))
    assert (caller.max_sentences, caller.max_jobs) == (1000, 2)
    other = made(data, "--name", "page", "--scope", "read")

    table = keys(data, "list").stdout.splitlines()
    assert table[0].split() == ["id", "tenant", "scope", "created", "expires", "rate", "sentences", "jobs", "name"]
    assert re.fullmatch(rf"{key_id}  news +mine +\S+ \S+  2126-01-01 00:00  10/min +1000 +2 +Ann Müller", table[1])
    assert re.fullmatch(rf"{other.split('_')[1]}  default  read .* never .* page", table[2])
    listed = json.loads(keys(data, "list", "--json").stdout)
    assert [key["id"] for key in listed] == [key_id, other.split("_")[1]]
    assert listed[0]["rate"] == "10/min"
    assert listed[0]["previous_secret_until"] is None

    rotated = keys(data, "rotate", key_id, "--grace", "1h")
    fresh = rotated.stdout.strip()
    assert fresh.split("_")[1] == key_id
    assert fresh != token
    assert ring.caller(fresh) == ring.caller(token) == caller
    assert json.loads(keys(data, "list", "--json").stdout)[0]["previous_secret_until"]
    done = keys(data, "revoke", key_id)
    assert (done.returncode, done.stdout) == (0, "")
    assert [key["name"] for key in json.loads(keys(data, "list", "--json").stdout)] == ["page"]
    everything = "".join(path.read_text() for path in (data / "keys").iterdir()) + "".join(table)
    for told in (secret, fresh.split("_")[2], other.split("_")[2]):
        assert told not in everything + done.stderr + json.dumps(listed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "x"], "--scope"),
        (["--scope", "read"], "--name"),
        (["--name", "x", "--scope", "root"], "'read', 'mine', 'admin'"),
        (["--name", " ", "--scope", "read"], "cannot name a key"),
        (["--name", "a\nb", "--scope", "read"], "cannot name a key"),
        (["--name", "x", "--scope", "read", "--tenant", "../x"], "cannot name a tenant"),
        (["--name", "x", "--scope", "read", "--tenant", ""], "cannot name a tenant"),
        (["--name", "x", "--scope", "read", "--expires", "2020-01-01"], "over already"),
        (["--name", "x", "--scope", "read", "--expires", "soon"], "no time that can be"),
        (["--name", "x", "--scope", "read", "--rate", "5"], "no rate"),
        (["--name", "x", "--scope", "read", "--max-jobs", "-1"], "--max-jobs"),
        (["--name", "x", "--scope", "read", "--max-sentences", "many"], "--max-sentences"),
    ],
)
def test_what_cannot_be_is_a_line_and_makes_no_key(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = keys(tmp_path, "create", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "keys").exists()


def test_ids_that_are_none_and_damaged_files(tmp_path: Path) -> None:
    for arguments in (["revoke", "0" * 12], ["rotate", "0" * 12], ["revoke", "../../etc/passwd"], ["rotate", ""]):
        done = keys(tmp_path, *arguments)
        assert done.returncode == 2
        assert "there is no key" in done.stderr
    assert "no keys yet" in keys(tmp_path, "list").stderr
    assert keys(tmp_path, "list", "--json").stdout == "[]\n"
    token, other = made(tmp_path, "--name", "x", "--scope", "read"), made(tmp_path, "--name", "y", "--scope", "read")
    path = tmp_path / "keys" / f"{token.split('_')[1]}.json"
    path.write_text("{}")
    listed = keys(tmp_path, "list", "--json")
    assert [key["id"] for key in json.loads(listed.stdout)] == [other.split("_")[1]]
    assert "cannot be used" in listed.stderr
    assert keys(tmp_path, "rotate", path.stem).returncode == 1
    assert keys(tmp_path, "revoke", path.stem).returncode == 0
    (tmp_path / "file").write_text("")
    done = keys(tmp_path / "file", "create", "--name", "x", "--scope", "read")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_serve_for_others_says_how_to_make_the_first_key(tmp_path: Path) -> None:
    port = _free_port()
    command = [sys.executable, "-m", "bitextmine", "serve", "--data-dir", str(tmp_path), "--host", "0.0.0.0"]
    log = tmp_path / "log"
    with (
        log.open("wb") as stream,
        subprocess.Popen([*command, "--port", str(port)], stdout=stream, stderr=stream) as process,
    ):
        wait_until(lambda: "Uvicorn running" in log.read_text(), "the API answers")
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert f"bitextmine keys create --name me --scope admin --data-dir {tmp_path}" in log.read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BITEXTMINE_AUTH", "maybe"),
        ("BITEXTMINE_CORS_ORIGINS", "a.example"),
        ("BITEXTMINE_CORS_ORIGINS", "https://a.example/path"),
        ("BITEXTMINE_CORS_ORIGINS", "https://a.example,null"),
        ("BITEXTMINE_MAX_CONNECTIONS", "0"),
        ("BITEXTMINE_HEADER_SECONDS", "-1"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, name: str, value: str) -> None:
    env = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1", "BITEXTMINE_DATA_DIR": str(tmp_path), name: value}
    done = subprocess.run(
        [sys.executable, "-m", "bitextmine_service"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"bitextmine: {name}: ")
