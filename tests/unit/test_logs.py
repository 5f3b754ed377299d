"""Logs: what is on every line, in both formats, and what must never be."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bitextmine import logs
from bitextmine.logs import LogFormat

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
log = logging.getLogger("bitextmine.somewhere")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, threading.excepthook
    yield
    logs.configure("WARNING", LogFormat.TEXT)  # forgets the fields of the process
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    threading.excepthook = hook


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The objects that were logged; each must be one line of ASCII."""
    lines = capsys.readouterr().err.splitlines()
    assert all(line.isascii() for line in lines)
    return [json.loads(line) for line in lines]


def test_a_record_is_one_object_with_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", LogFormat.JSON, {"job_id": "j1"})
    with logs.bound(request_id="r1", tenant=None, **logs.trace_of(TRACE)):
        log.info("done %s\nin two lines", "schön", extra={"status": 200, "color_message": "x"})
        log.debug("not said")
    (record,) = written(capsys)
    time = record.pop("time")
    assert time.endswith("Z")
    assert time[10] == "T"
    assert record == {
        "level": "INFO",
        "logger": "bitextmine.somewhere",
        "message": "done schön\nin two lines",
        "status": 200,
        "job_id": "j1",
        "request_id": "r1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }


def test_an_exception_is_one_field(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", LogFormat.JSON)
    log.error("failed", exc_info=ValueError("no\ngood"))
    (record,) = written(capsys)
    assert record["message"] == "failed"
    assert record["exception"] == "ValueError: no\ngood"


def test_the_end_of_a_thread_is_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", LogFormat.JSON)

    def die() -> None:
        raise ValueError("unforeseen")

    thread = threading.Thread(target=die, name="digger")
    thread.start()
    thread.join()
    (record,) = written(capsys)
    assert record["message"] == "the thread digger has died"
    assert record["exception"].endswith("ValueError: unforeseen")


def test_text_has_what_is_known_and_nobody_forges_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", LogFormat.TEXT)
    with logs.bound(request_id="r1", job_id="j1"):
        log.info("job j1: %s", "x\r\n2026-01-01 00:00:00,000 INFO root: forged \x1b[31m")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(r"INFO bitextmine.somewhere: job j1: x\r")
    assert second.startswith("    2026")
    assert second.endswith(r"forged \x1b[31m [request_id=r1]")


def test_fields_end_with_their_block(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", LogFormat.JSON)
    with logs.bound(request_id="r1"):
        with logs.bound(job_id="j1"):
            logs.bind(tenant="t1")
            assert logs.current() == {"request_id": "r1", "job_id": "j1", "tenant": "t1"}
            assert logs.origin() == {"request_id": "r1"}
        log.info("outside")
    log.info("far outside")
    inner, outer = written(capsys)
    assert inner["request_id"] == "r1"
    assert not {"job_id", "tenant"} & inner.keys()
    assert "request_id" not in outer


SECRETS = [
    "redis://user:s3cret@host:6379/0",
    "rediss://:s3cret@host",
    "Authorization: Bearer s3cret",
    "{'authorization': 'Basic s3cret'}",
    "GET /v1/corpora?token=s3cret&limit=2",
    "password=s3cret",
    "a key btm_0a1b_deadbeef5ec3e7 in a sentence",
]


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_not_logged(form: LogFormat, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", form)
    log.error("sent %s with care", text, exc_info=ValueError(text))
    output = capsys.readouterr().err
    assert "s3cret" not in output
    assert "deadbeef" not in output
    assert output.count("***") >= 2
    assert "with care" in output
    assert "btm_" not in text or "btm_0a1b_***" in output, "whose it was may be known"


@pytest.mark.parametrize(
    "text", ["http://host:80/a@b", "unknown key: k, use token or name", "the Bearer", "job=3 monkey=banana"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.redacted(text) == text


@pytest.mark.parametrize("given", ["a", "A-Z_09.x:y/z+=@", "x" * 128])
def test_a_sane_request_id_is_kept(given: str) -> None:
    assert logs.request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\n", "ä", 'x"', "{}"])
def test_any_other_is_replaced(given: str | None) -> None:
    made = logs.request_id(given)
    assert made != given
    assert logs.request_id(made) == made
    assert logs.request_id(given) != made


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        TRACE.replace("4bf", "4BF"),
        "ff" + TRACE[2:],
        TRACE + "-more",
        TRACE[:-3],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_what_is_no_traceparent_is_ignored(header: str | None) -> None:
    assert logs.trace_of(header) == {}


def test_a_later_version_of_traceparent_is_read() -> None:
    assert logs.trace_of("01" + TRACE[2:] + "-more") == logs.trace_of(TRACE)
