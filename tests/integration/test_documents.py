"""The commands of the README and the Makefile do what is said of them."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bitextmine.workspace import default_encoders_dir

ROOT = Path(__file__).parents[2]


def block(heading: str) -> str:
    """The first block of commands under a heading."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"## {re.escape(heading)}\n.*?```\n(.*?)```", text, re.DOTALL)
    assert found, heading
    return found[1]


@pytest.fixture
def news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """news.de.gz and news.en.gz in a folder, `bitextmine` on the path."""
    encoders = default_encoders_dir()
    if not (encoders / "muse").is_dir():
        pytest.skip(f"muse is not installed in {encoders}: run `bitextmine encoders pull muse`")
    for name, short in (("deu", "de"), ("eng", "en")):
        lines = (ROOT / "demo" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        text = "".join(json.loads(line)["text"] + "\n" for line in lines)
        (tmp_path / f"news.{short}.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.encoder
@pytest.mark.parametrize("shell", [shell for shell in ("bash", "dash") if shutil.which(shell)])
def test_the_session_over_http_works_as_pasted(news: Path, shell: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    session = block("Or over HTTP").replace("8000", str(port)).replace("serve &", f"serve --port {port} 2>/dev/null &")
    with subprocess.Popen([shell], cwd=news, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate(f"{session}\nkill -{signal.SIGTERM.value} $!; wait $!\n", timeout=180)
    assert printed.split() == ['"state":"succeeded"'] * 3
    assert (news / "pairs.tsv").read_text().count("\t") > 400


@pytest.mark.encoder
def test_mining_two_files_works_as_pasted(news: Path) -> None:
    commands = block("Mine two files")
    wanted = "".join(line + "\n" for line in commands.splitlines() if line.startswith("bitextmine "))
    subprocess.run(["bash", "-e"], input=wanted, cwd=news, check=True, text=True, capture_output=True)
    assert len((news / "pairs.tsv").read_text().splitlines()) > 200


@pytest.mark.encoder
def test_every_pair_of_many_languages_works_as_pasted(news: Path) -> None:
    commands = block("Or every pair of many languages")
    said = subprocess.run(["bash", "-e"], input=commands, cwd=news, check=True, text=True, capture_output=True).stderr
    pairs = (news / "pairs" / "de-en.tsv").read_text().splitlines()
    assert len(pairs) > 50
    assert f"de-en: {len(pairs)} pairs above" in said


def test_a_virtual_environment_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p "$3/bin"; touch "$3/bin/python"; exit 1\n')
    broken.chmod(0o755)
    command = [
        "make",
        "-C",
        str(ROOT),
        f"PYTHON={broken}",
        f"VENV={tmp_path / 'venv'}",
        str(tmp_path / "venv/bin/python"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "apt-get install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()
