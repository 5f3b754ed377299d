"""What docs/deploy.md says to back up, made as it says while the service runs, brings everything back elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path

from bitextmine.keys import Scope
from tests.integration.keyed import Keyed
from tests.integration.service import numbered, service

ROOT = Path(__file__).parents[2]


def back_up(data_dir: Path) -> Path:
    """With the commands of the guide."""
    section = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").partition("\n## Back up and restore\n")[2]
    (commands,) = re.findall(r"^cd /data\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    subprocess.run(["sh", "-e", "-c", commands], cwd=data_dir, check=True, timeout=60)
    return data_dir / "backup.tar"


def test_a_backup_brings_back_all_that_cannot_be_made_again(tmp_path: Path) -> None:
    restored = tmp_path / "second" / "data"
    with service(tmp_path / "first") as running:
        keyed = Keyed(running)
        token, other_token = keyed.token(Scope.MINE), keyed.token(Scope.MINE, tenant="news")
        api, other = keyed.holder(token), keyed.holder(other_token)
        for name, word in (("de", "Haus"), ("en", "house")):
            api.succeeded(api.upload(name, numbered(word, 30), name))
        other.succeeded(other.upload("fr", numbered("maison", 30), "fr"))
        bitext = api.succeeded(api.mine("de", "en"))["bitext"]
        pairs = api.http.get(f"/v1/bitexts/{bitext}/download").content
        judged = {"judgements": [{"src_row": 0, "tgt_row": 0, "verdict": "good"}]}
        assert api.http.put(f"/v1/bitexts/{bitext}/judgements", json=judged).status_code == 200
        (running.data_dir / "tenants" / "news" / "uploads" / "unfinished").write_text("half")
        archive = back_up(running.data_dir)
        restored.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            tar.extractall(restored, filter="data")
        assert not (restored / "artifacts" / "embeddings").exists(), "they are made again"
        assert not (restored / "tenants" / "news" / "uploads").exists()
    with service(tmp_path / "second", restored) as running:
        keyed = Keyed(running)
        api, other = keyed.holder(token), keyed.holder(other_token)
        assert {corpus["name"] for corpus in api.http.get("/v1/corpora").json()["items"]} == {"de", "en"}
        assert {corpus["name"] for corpus in other.http.get("/v1/corpora").json()["items"]} == {"fr"}
        assert api.http.get(f"/v1/bitexts/{bitext}/download").content == pairs
        assert api.http.get(f"/v1/bitexts/{bitext}/judgements").json()["good"] == 1
        again = api.succeeded(api.mine("de", "en", k=3))
        assert again["pairs"] == json.loads(api.http.get(f"/v1/bitexts/{bitext}").text)["pairs"]
        assert api.succeeded(api.mine("de", "en"))["bitext"] == bitext, "made already"
