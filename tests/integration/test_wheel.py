"""The wheel, installed somewhere else, has all that the service needs: code, the page's files, the types' marker."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bitextmine import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("bitextmine", "indexer/bitextmine_indexer", "service/bitextmine_service")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / f"bitextmine-{__version__}-py3-none-any.whl"


def test_it_has_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if not name.startswith("bitextmine-")}
    expected = {
        str(file.relative_to((ROOT / package).parent))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"bitextmine/py.typed", "bitextmine_service/page/shell.html"} <= expected
    assert there == expected


def test_it_works_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    """In an environment that has the dependencies, which are found where the tests find them, behind the wheel's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=120)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv"), "install", "-q", "--no-deps"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True, timeout=120)
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("-packages")))
    where = [str(tmp_path / "venv" / "bin" / "python"), "-c", "import bitextmine_service as s; print(s.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60).stdout
    assert found.startswith(str(packages))
    check = [sys.executable, str(ROOT / "deploy" / "check_installed.py"), str(tmp_path / "venv" / "bin")]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.startswith(f"bitextmine {__version__}; /livez: ")
    assert int(done.stdout.rpartition("page and ")[2].split()[0]) >= 10
