"""Artifacts are named by what made them, published whole or not at all, and never believed when damaged."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest

from bitextmine.artifacts import MANIFEST, Artifact, ArtifactKey, ArtifactStore, write_atomically
from bitextmine.errors import ArtifactError

KEY = ArtifactKey("thing", {"k": 4, "margin": "ratio"}, {"src": "aa", "tgt": "bb"})
LONG_AGO = 1_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def publish(store: ArtifactStore, key: ArtifactKey = KEY, **files: bytes) -> Artifact:
    with store.publish(key) as staging:
        for name, content in (files or {"data": b"content"}).items():
            (staging.path / name).write_bytes(content)
        staging.summary["rows"] = 3
    artifact = store.find(key)
    assert artifact is not None
    return artifact


def files_under(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


# --- names


@pytest.mark.parametrize(
    "other",
    [
        ArtifactKey("other", KEY.parameters, KEY.inputs),
        ArtifactKey("thing", {"k": 5, "margin": "ratio"}, KEY.inputs),
        ArtifactKey("thing", {"k": "4", "margin": "ratio"}, KEY.inputs),
        ArtifactKey("thing", {"k": 4}, KEY.inputs),
        ArtifactKey("thing", KEY.parameters, {"src": "bb", "tgt": "aa"}),
        ArtifactKey("thing", KEY.parameters, {"src": "aa"}),
        ArtifactKey("thing", KEY.inputs, KEY.parameters),
    ],
)
def test_digest_depends_on_kind_parameters_and_inputs(other: ArtifactKey) -> None:
    assert other.digest != KEY.digest


def test_digest_ignores_the_order_in_which_things_are_given() -> None:
    assert ArtifactKey("thing", {"margin": "ratio", "k": 4}, {"tgt": "bb", "src": "aa"}).digest == KEY.digest


def test_digest_is_the_truncated_sha256_of_canonical_json() -> None:
    text = '{"inputs":{"a":"0"},"kind":"thing","parameters":{"n":[1,null,"\\u00e9"]},"schema":1}'
    assert ArtifactKey("thing", {"n": [1, None, "é"]}, {"a": "0"}).digest == sha256(text.encode()).hexdigest()[:32]


def test_digest_does_not_depend_on_content_or_findings(tmp_path: Path) -> None:
    one = publish(ArtifactStore(tmp_path / "one"), data=b"1")
    two = publish(ArtifactStore(tmp_path / "two"), data=b"2", more=b"3")
    assert one.digest == two.digest == KEY.digest


# --- publishing


def test_a_published_artifact_is_found_with_its_parameters_and_summary(store: ArtifactStore) -> None:
    artifact = publish(store, data=b"content")
    assert (artifact.path / "data").read_bytes() == b"content"
    assert artifact.parameters == {"k": 4, "margin": "ratio"}
    assert artifact.summary == {"rows": 3}
    assert artifact.manifest["files"]["data"]["size"] == 7
    assert not list((store.root / ".staging").iterdir())


def test_an_exception_while_publishing_leaves_nothing(store: ArtifactStore) -> None:
    with suppress(KeyboardInterrupt), store.publish(KEY) as staging:
        (staging.path / "data").write_bytes(b"half")
        raise KeyboardInterrupt
    assert store.find(KEY) is None
    assert not files_under(store.root)


def test_the_first_of_two_publishers_of_the_same_key_wins(store: ArtifactStore) -> None:
    with store.publish(KEY) as slow:
        (slow.path / "data").write_bytes(b"slow")
        publish(store, data=b"fast")
    artifact = store.find(KEY)
    assert artifact is not None
    artifact.verify()
    assert (artifact.path / "data").read_bytes() == b"fast"
    assert not list((store.root / ".staging").iterdir())


def test_what_has_lost_its_manifest_is_published_anew(store: ArtifactStore) -> None:
    (publish(store, data=b"old").path / MANIFEST).unlink()
    assert store.find(KEY) is None
    assert (publish(store, data=b"new").path / "data").read_bytes() == b"new"


@contextmanager
def writer_in_another_process(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of publishing KEY; it ends the block when a line is sent to it."""
    script = (
        "import sys; from pathlib import Path; from bitextmine.artifacts import *\n"
        f"key = ArtifactKey({KEY.kind!r}, {dict(KEY.parameters)!r}, {dict(KEY.inputs)!r})\n"
        f"with ArtifactStore(Path({str(root)!r})).publish(key) as staging:\n"
        "    (staging.path / 'data').write_bytes(b'x' * 1000)\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def age_staging(store: ArtifactStore) -> None:
    for directory in (store.root / ".staging").iterdir():
        os.utime(directory, (LONG_AGO, LONG_AGO))


def test_a_writer_killed_with_9_leaves_no_artifact_and_sweep_removes_the_rest(store: ArtifactStore) -> None:
    with writer_in_another_process(store.root) as writer:
        writer.kill()
    assert store.find(KEY) is None
    assert store.list("thing") == []
    assert store.sweep() == 0, "what is young may belong to a writer that does not hold its lock yet"
    age_staging(store)
    assert store.sweep() == 1
    assert not files_under(store.root)
    assert publish(store).digest == KEY.digest


def test_sweep_never_touches_a_live_writer(store: ArtifactStore) -> None:
    with writer_in_another_process(store.root) as writer:
        age_staging(store)
        assert store.sweep() == 0
        writer.communicate("go on\n", timeout=60)
    artifact = store.find(KEY)
    assert artifact is not None
    artifact.verify()


def test_sweep_bears_strange_files_and_a_store_without_staging(store: ArtifactStore) -> None:
    assert store.sweep() == 0
    staging = store.root / ".staging"
    (staging / "zeta").mkdir(parents=True)
    (staging / "stray").write_text("not a directory")
    age_staging(store)
    (staging / "loop").symlink_to("loop")
    told: list[OSError] = []
    assert store.sweep(told.append) == 1, "what comes after it goes all the same"
    assert ["loop" in str(error) for error in told] == [True]


# --- damage


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'{"files": {}}', b'{"digest": "%s", "files": []}'],
)
def test_a_damaged_manifest_is_an_artifact_error(store: ArtifactStore, manifest: bytes) -> None:
    artifact = publish(store)
    (artifact.path / MANIFEST).write_bytes(manifest.replace(b"%s", KEY.digest.encode()))
    with pytest.raises(ArtifactError, match=f"{MANIFEST}.*delete") as raised:
        store.find(KEY)
    assert raised.value.code == "artifact-damaged"


def test_an_artifact_under_another_name_is_an_artifact_error(store: ArtifactStore) -> None:
    artifact = publish(store)
    shutil.copytree(artifact.path, artifact.path.with_name("0" * 32))
    with pytest.raises(ArtifactError, match="not the manifest of 0000"):
        store.open("thing", "0" * 32)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: os.truncate(file, 3), lambda file: os.truncate(file, 0)])
def test_a_missing_or_truncated_file_is_an_artifact_error(store: ArtifactStore, damage) -> None:
    artifact = publish(store)
    damage(artifact.path / "data")
    for look in (lambda: store.find(KEY), artifact.verify):
        with pytest.raises(ArtifactError, match=r"data .*delete"):
            look()


def test_verify_notices_a_flipped_bit(store: ArtifactStore) -> None:
    artifact = publish(store, data=b"content", other=b"fine")
    artifact.verify()
    (artifact.path / "data").write_bytes(b"cont\xe5nt")
    assert store.find(KEY) is not None, "sizes agree"
    with pytest.raises(ArtifactError, match="data is not the file that was published"):
        artifact.verify()


def test_what_cannot_be_read_is_an_artifact_error_that_advises_what_its_kind_needs(store: ArtifactStore) -> None:
    artifact = publish(store)
    (artifact.path / MANIFEST).unlink()
    (artifact.path / MANIFEST).mkdir()
    with pytest.raises(ArtifactError, match=f"{MANIFEST} cannot be read: .*; upload it again$"):
        store.open("thing", artifact.digest, repair="upload it again")
    with pytest.raises(ArtifactError, match=f"; delete {artifact.path} to make it again$"):
        store.open("thing", artifact.digest)
    assert store.list("thing") == []


def test_a_file_in_the_place_of_an_artifact_is_none(store: ArtifactStore) -> None:
    (store.root / "thing").mkdir(parents=True)
    (store.root / "thing" / ".DS_Store").write_bytes(b"")
    assert store.list("thing") == []


# --- list and delete


def test_list_gives_one_kind_oldest_first(store: ArtifactStore) -> None:
    keys = [ArtifactKey("thing", {"k": k}, {}) for k in range(5)]
    for key in keys:
        publish(store, key)
    publish(store, ArtifactKey("other", {}, {}))
    assert [artifact.digest for artifact in store.list("thing")] == [key.digest for key in keys]
    assert store.list("nothing") == []


def test_what_was_published_is_told_without_opening_it(store: ArtifactStore) -> None:
    digests = []
    for k in range(3):
        artifact = publish(store, ArtifactKey("thing", {"k": k}, {}))
        (artifact.path / MANIFEST).write_bytes(b"damaged")
        os.utime(artifact.path / MANIFEST, ns=(k, k))
        digests.append((k, artifact.digest))
    (store.root / "thing" / "stray").mkdir()
    assert store.published("thing") == digests
    assert store.published("nothing") == []


def test_the_publisher_is_told_of_each_artifact_once_it_is_there(tmp_path: Path) -> None:
    found: list[ArtifactKey] = []
    store = ArtifactStore(tmp_path, lambda key: found.append(key) if store.find(key) else None)
    publish(store)
    with suppress(ValueError), store.publish(KEY):
        raise ValueError
    assert found == [KEY]


def test_a_deleted_artifact_is_gone_but_open_files_can_still_be_read(store: ArtifactStore) -> None:
    artifact = publish(store)
    with (artifact.path / "data").open("rb") as stream:
        store.delete("thing", artifact.digest)
        assert stream.read() == b"content"
    assert store.find(KEY) is None
    assert not files_under(store.root)
    store.delete("thing", artifact.digest)


def test_write_atomically_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    for content in (b"first, and longer", b"second"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_manifest_is_readable_json(store: ArtifactStore) -> None:
    manifest = json.loads((publish(store).path / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["kind"] == "thing"
    assert manifest["versions"]["bitextmine"]
