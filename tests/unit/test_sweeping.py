"""What is left behind is cleaned up, and nothing that is needed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.uploads import sweep
from bitextmine_indexer.worker import Complaints


def test_old_uploads_that_no_job_needs_are_deleted(tmp_path: Path) -> None:
    for name in ("old", "old-and-needed", "young"):
        (tmp_path / name).write_text("text")
    (tmp_path / "folder").mkdir()
    for name in ("old", "old-and-needed", "folder"):
        os.utime(tmp_path / name, (time.time() - 1000, time.time() - 1000))
    told: list[OSError] = []
    sweep(tmp_path, {"old-and-needed"}, told.append, max_age_seconds=500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old-and-needed", "young"]
    assert ["folder" in str(error) for error in told] == [True]


def test_no_uploads_directory_is_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "absent", set(), pytest.fail, max_age_seconds=0)


def test_a_complaint_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    complain = Complaints()
    for path in ("one", "two", "one"):
        complain(OSError(f"cannot remove {path}"))
    assert [record.getMessage() for record in caplog.records] == [
        "left alone: cannot remove one", "left alone: cannot remove two",
    ]  # fmt: skip


def test_a_damaged_artifact_is_left_out_of_a_listing_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = ArtifactStore(tmp_path)
    keys = [ArtifactKey("corpus", {"number": number}, {}) for number in range(2)]
    for key in keys:
        with store.publish(key) as staging:
            (staging.path / "file").write_text("text")
    (store.path("corpus", keys[0].digest) / "file").unlink()
    assert [artifact.digest for artifact in store.list("corpus")] == [keys[1].digest]
    assert keys[0].digest in caplog.text
