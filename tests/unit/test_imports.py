"""Files of the server become corpora only from below the listed directories, whatever path is tried."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bitextmine.errors import BitextmineError
from bitextmine.imports import check_import, find_import, import_dirs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "allowed"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "news.txt").write_text("news")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "file").write_text("secret")
    return root


def code(path: str, *roots: Path) -> str:
    with pytest.raises(BitextmineError) as raised:
        find_import(path, roots)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value).replace(path, "")
    return raised.value.code


def test_a_file_below_a_directory_is_found_by_both_kinds_of_path(root: Path) -> None:
    for path in ("sub/news.txt", str(root / "sub" / "news.txt"), "./sub//news.txt"):
        found = find_import(path, [root])
        assert (found.path, found.root) == ((root / "sub" / "news.txt").resolve(), root.resolve())
        assert check_import(found.path, found.root, found.state) == found.path


def test_the_first_directory_that_has_it_wins(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "only").write_text("x")
    assert find_import("only", [root, other]).root == other.resolve()
    assert code("none", root, other) == "file-not-found"


def test_links_are_followed_within_and_refused_without(root: Path, tmp_path: Path) -> None:
    (root / "within").symlink_to(root / "sub" / "news.txt")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "nowhere").symlink_to(tmp_path / "no such file")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    assert find_import("within", [root]).path == (root / "sub" / "news.txt").resolve()
    for path in ("out", "nowhere", "folder/secret", "folder/no such file", str(root / "out")):
        assert code(path, root) == "import-refused", path
    assert code("loop", root) == "file-not-found"


@pytest.mark.parametrize(
    "path",
    [
        *("../secret", "sub/../../secret", "sub/..", "..", "/etc/passwd", "/no/such/file", "/", ".", ""),
        *("a\x00b", "/proc/self/environ", "/dev/zero", "../allowed-not/file", "../allowed/sub/news.txt"),
    ],
)
def test_other_paths_are_refused_whether_or_not_there_is_something(root: Path, path: str) -> None:
    assert code(path, root) == "import-refused"


def test_a_sibling_with_the_same_beginning_is_outside(root: Path) -> None:
    assert code(f"{root}-not/file", root) == "import-refused"


def test_what_is_no_regular_file_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        for path in ("fifo", "sub", "socket", "none", "sub/news.txt/x", "x" * 4000):
            assert code(path, root) == "file-not-found", path


def test_a_device_is_refused(root: Path) -> None:
    try:
        os.mknod(root / "null", 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device needs rights")
    assert code("null", root) == "file-not-found"


def test_without_directories_there_are_no_imports(root: Path) -> None:
    assert code(str(root / "sub" / "news.txt")) == "imports-off"
    assert import_dirs("") == import_dirs(" : ") == ()
    assert import_dirs(f"/a{os.pathsep}/b") == (Path("/a"), Path("/b"))


def test_what_changes_meanwhile_is_noticed(root: Path, tmp_path: Path) -> None:
    found = find_import("sub/news.txt", [root])
    changes = {
        "input-changed": lambda: found.path.write_text("other news"),
        "import-refused": lambda: (found.path.unlink(), found.path.symlink_to(tmp_path / "secret")),
        "file-not-found": found.path.unlink,
    }
    for expected, change in changes.items():
        change()
        with pytest.raises(BitextmineError) as raised:
            check_import(found.path, found.root, found.state)
        assert raised.value.code == expected


def test_an_allowed_directory_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    found = find_import("sub/news.txt", [tmp_path / "link"])
    assert check_import(found.path, found.root, found.state) == found.path
    assert find_import(str(tmp_path / "link" / "sub" / "news.txt"), [root]).path == found.path
