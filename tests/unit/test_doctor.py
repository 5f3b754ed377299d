"""What the doctor makes of facts: each thing that can be wrong is found, and what is right is not complained of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bitextmine.doctor import data_directory, devices, jobs, machine, packages, port, redis_server, settings
from bitextmine.doctor.encoders import encoders as look_at_encoders
from bitextmine.doctor.examination import examine
from bitextmine.doctor.finding import Finding, Level
from bitextmine.doctor.probe import Probe, probe
from bitextmine.doctor.settings import Settings
from bitextmine.encoders.card import CARD, MODEL
from bitextmine.gpus import Gpu, parse
from bitextmine.resources import MemoryLimit, Provider, cpu_quota, memory_limit
from bitextmine.workspace import Workspace
from tests.tiny_encoder import build_tiny_encoder

GIB = 1 << 30


def levels(findings: Iterable[Finding]) -> list[Level]:
    """The levels; every finding is one line, and says what to do unless all is well."""
    found = list(findings)
    for finding in found:
        assert "\n" not in finding.what + finding.todo
        assert finding.what
        assert bool(finding.todo) == (finding.level is not Level.OK)
    return [finding.level for finding in found]


OK, WARNING, PROBLEM = [Level.OK], [Level.WARNING], [Level.PROBLEM]


@pytest.mark.parametrize(
    ("version", "expected"),
    [((3, 10, 9), PROBLEM), ((3, 11, 0), OK), ((3, 13, 5), OK), ((3, 14, 0), PROBLEM)],
)
def test_python(version: tuple[int, ...], expected: list[Level]) -> None:
    assert levels(packages.python(version)) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [({}, PROBLEM), ({"faiss-cpu": "1.15.1"}, OK), ({"faiss-cpu": "1.15.1", "faiss-gpu": "1.15.1"}, PROBLEM)],
)
def test_packages_that_share_a_folder(found: dict[str, str], expected: list[Level]) -> None:
    findings = list(packages.exclusive("faiss", "FAISS", found))
    assert levels(findings) == expected
    assert all(name in findings[0].what for name in found)


@pytest.mark.parametrize(
    ("requirements", "version"),
    [
        (["numpy>=1.25", "nvidia-cuda-runtime-cu12<13,>=12.6"], 12),
        (["nvidia-cuda-runtime<14,>=13.2", "libcuvs-cu13==26.06.*"], 13),
        (['nvidia-cuda-nvrtc~=13.0; extra == "cuda"', 'nvidia-cuda-runtime~=13.0; extra == "cuda"'], 13),
        (["nvidia-cuda-runtime-other>=9", "numpy"], None),
        (["nvidia-cuda-runtime"], None),
        ([], None),
    ],
)
def test_the_cuda_that_a_package_is_for(requirements: list[str], version: int | None) -> None:
    assert packages.cuda_of(requirements) == version


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"faiss-gpu": 12, "onnxruntime-gpu": 13}, PROBLEM),
        ({"faiss-gpu": 12, "onnxruntime-gpu": 12}, OK),
        ({"faiss-gpu-cu12": 12, "onnxruntime-gpu": 12}, WARNING),
        ({"faiss-gpu": None, "onnxruntime-gpu": 13}, OK),
        ({}, []),
    ],
)
def test_two_versions_of_cuda(found: dict[str, int | None], expected: list[Level]) -> None:
    assert levels(packages.cuda_versions(found)) == expected


GPU = Gpu(0, "H200", 0, 139 * GIB)
WORKS, CPU_BUILD, BROKEN = Probe(gpus=1), Probe(no_gpu="no CUDA"), Probe(broken="killed by signal 4")


@pytest.mark.parametrize(
    ("gpus", "faiss", "runtime", "provider", "expected"),
    [
        ([], Probe(), CPU_BUILD, Provider.AUTO, [*OK, *OK, *OK]),
        ([], Probe(), CPU_BUILD, Provider.CUDA, [*OK, *OK, *PROBLEM]),
        ([GPU], WORKS, WORKS, Provider.CUDA, [*OK, *OK, *OK]),
        ([GPU], Probe(), CPU_BUILD, Provider.AUTO, [*OK, *WARNING, *WARNING]),
        ([GPU], WORKS, CPU_BUILD, Provider.CUDA, [*OK, *OK, *PROBLEM]),
        ([], BROKEN, BROKEN, Provider.AUTO, [*OK, *PROBLEM, *PROBLEM]),
    ],
)
def test_gpus(gpus: list[Gpu], faiss: Probe, runtime: Probe, provider: Provider, expected: list[Level]) -> None:
    assert levels(devices.judge(gpus, {"faiss": faiss, "onnxruntime": runtime}, provider)) == expected


def test_a_library_that_cannot_be_loaded_does_not_take_the_doctor_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "faiss.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    assert probe("faiss").broken == "loading it ends the process: killed by signal 4"
    (tmp_path / "faiss.py").write_text("raise ImportError('no libgomp.so.1')\n")
    assert probe("faiss").broken == "ImportError: no libgomp.so.1"


def test_what_the_driver_lists() -> None:
    assert parse("0, NVIDIA H200, 512, 143771\n1, NVIDIA H200, [N/A], [N/A]\nno devices\n\n") == [
        Gpu(0, "NVIDIA H200", 512 << 20, 143771 << 20)
    ]


@pytest.mark.parametrize(
    ("available", "limit", "expected"),
    [
        (GIB - 1, None, PROBLEM),
        (2 * GIB - 1, None, WARNING),
        (2 * GIB, MemoryLimit(4 * GIB, 2 * GIB), OK),
    ],
)
def test_memory(available: int, limit: MemoryLimit | None, expected: list[Level]) -> None:
    assert levels(machine.memory(available, limit)) == expected


def test_the_limits_of_a_container(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    assert cpu_quota(tmp_path) is None
    files = {
        "memory.max": "4294967296\n",
        "memory.current": "3221225472\n",
        "memory.stat": "anon 1\ninactive_file 1073741824\n",
        "cpu.max": "150000 100000\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert memory_limit(tmp_path) == MemoryLimit(4 * GIB, 2 * GIB)
    assert cpu_quota(tmp_path) == 1.5
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert memory_limit(tmp_path) is None
    assert cpu_quota(tmp_path) is None


def test_the_limits_of_an_older_container(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": str(4 * GIB),
        "memory/memory.usage_in_bytes": str(GIB),
        "memory/memory.stat": "total_inactive_file 0\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert memory_limit(tmp_path) == MemoryLimit(4 * GIB, GIB)
    assert cpu_quota(tmp_path) is None
    (tmp_path / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory_limit(tmp_path) is None


@pytest.mark.parametrize(("limit", "expected"), [(100, PROBLEM), (512, WARNING), (1024, OK), (-1, OK)])
def test_open_files(limit: int, expected: list[Level]) -> None:
    assert levels(machine.open_files(limit)) == expected


DAY = 86_400.0


@pytest.mark.parametrize(
    ("now", "server", "expected"),
    [(8 * DAY, None, PROBLEM), (10 * DAY, 10 * DAY + 60, WARNING), (10 * DAY, 10 * DAY + 1, OK), (10 * DAY, None, OK)],
)
def test_the_clock(now: float, server: float | None, expected: list[Level]) -> None:
    assert levels(machine.clock(now, 10 * DAY, server)) == expected


def test_a_data_directory_that_is_well_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert set(levels(data_directory.data_directory(tmp_path, 0))) <= {Level.OK, Level.WARNING}  # by the disk's room
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert levels(data_directory.data_directory(tmp_path / "a" / "b", 0)) == OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert levels(data_directory.data_directory(tmp_path / "file", 0)) == PROBLEM
    assert levels(data_directory.data_directory(tmp_path / "file" / "below", 0)) == PROBLEM


def test_a_directory_that_cannot_be_written() -> None:
    findings = list(data_directory.data_directory(Path("/proc/self"), 0))
    assert findings[0].level is Level.PROBLEM
    assert "cannot be written" in findings[0].what


def test_other_file_systems_and_loose_permissions(tmp_path: Path) -> None:
    (tmp_path / "artifacts").symlink_to("/proc")
    tmp_path.chmod(0o777)
    found = {finding.what: finding.level for finding in data_directory.data_directory(tmp_path, 0)}
    assert [what for what, level in found.items() if level is Level.PROBLEM and "another file system" in what]
    assert [what for what, level in found.items() if level is Level.WARNING and "anybody" in what]


@pytest.mark.parametrize(("free", "expected"), [(GIB - 1, PROBLEM), (5 * GIB, WARNING), (50 * GIB, OK)])
def test_room_on_the_disk(free: int, expected: list[Level]) -> None:
    assert levels(data_directory.room(Path("/data"), free, GIB)) == expected


def test_encoders(tmp_path: Path) -> None:
    assert levels(look_at_encoders(tmp_path)) == PROBLEM
    build_tiny_encoder(tmp_path / "tiny")
    assert levels(look_at_encoders(tmp_path)) == OK
    assert levels(look_at_encoders(tmp_path, quick=True)) == OK
    (tmp_path / "tiny").rename(tmp_path / "other")
    assert levels(look_at_encoders(tmp_path)) == WARNING
    (tmp_path / "other").rename(tmp_path / "tiny")
    with (tmp_path / "tiny" / MODEL).open("ab") as stream:
        stream.write(b"x")
    assert levels(look_at_encoders(tmp_path)) == PROBLEM
    (tmp_path / "tiny" / CARD).write_text("{")
    assert levels(look_at_encoders(tmp_path, quick=True)) == PROBLEM


GOOD = {"redis_version": "7.2.4", "role": "master", "aof_enabled": 1, "maxmemory_policy": "noeviction"}


@pytest.mark.parametrize(
    ("changed", "schedule", "took", "worst"),
    [
        ({}, "", 0.001, Level.OK),
        ({"redis_version": "6.0.16"}, "", 0.001, Level.PROBLEM),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "", 0.001, Level.OK),
        ({"role": "slave"}, "", 0.001, Level.PROBLEM),
        ({"loading": 1}, "", 0.001, Level.PROBLEM),
        ({}, "", 0.2, Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru"}, "", 0.001, Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": GIB}, "", 0.001, Level.PROBLEM),
        ({"maxmemory": GIB, "used_memory": GIB - 1}, "", 0.001, Level.PROBLEM),
        ({"maxmemory": GIB, "used_memory": GIB // 2}, "", 0.001, Level.OK),
        ({"aof_enabled": 0}, "", 0.001, Level.WARNING),
        ({"aof_enabled": 0}, "3600 1", 0.001, Level.WARNING),
        ({"aof_enabled": 0}, None, 0.001, Level.OK),
        ({"aof_last_write_status": "err"}, "", 0.001, Level.PROBLEM),
    ],
)
def test_redis(changed: dict[str, Any], schedule: str | None, took: float, worst: Level) -> None:
    order = list(Level)
    assert max(levels(redis_server.judge(GOOD | changed, schedule, took)), key=order.index) is worst


@pytest.mark.parametrize(
    ("workers", "running", "queued", "orphans", "expected"),
    [
        (["a"], 1, 2, [], [*OK, *OK]),
        (["a"], 1, 0, ["j"], [*OK, *WARNING]),
        ([], 0, 0, [], [*WARNING, *OK]),
        ([], 0, 3, [], [*PROBLEM, *OK]),
        ([], 1, 0, ["j"], [*PROBLEM, *PROBLEM]),
    ],
)
def test_workers_and_jobs(
    workers: list[str], running: int, queued: int, orphans: list[str], expected: list[Level]
) -> None:
    assert levels(jobs.judge(workers, running=running, queued=queued, orphans=orphans)) == expected


def test_variables_that_nothing_reads() -> None:
    known = Settings({"BITEXTMINE_PORT", "BITEXTMINE_HOST"}, [], {})
    given = {"BITEXTMINE_PROT": "1", "BITEXTMINE_QUITE_ANOTHER": "1", "BITEXTMINE_HOST": "x", "PATH": "/"}
    findings = list(settings.settings(known, given))
    assert levels(findings) == [*WARNING, *WARNING]
    assert findings[0].todo == "did you mean BITEXTMINE_PORT?"
    assert levels(settings.settings(known, {"BITEXTMINE_PORT": "1"})) == OK
    assert levels(settings.settings(Settings(problems=["BITEXTMINE_PORT: no"]), {})) == PROBLEM


def test_what_kubernetes_adds_is_told_from_what_was_mistyped() -> None:
    found = Settings({"BITEXTMINE_PORT"}, ["BITEXTMINE_PORT: Input should be a valid integer"])
    (added,) = settings.settings(found, {"BITEXTMINE_PORT": "tcp://10.0.0.1:8000"})
    (typed,) = settings.settings(found, {"BITEXTMINE_PORT": "800O"})
    assert "enableServiceLinks: false" in added.todo
    assert "Kubernetes" not in typed.todo


def test_an_address_that_is_not_of_this_machine() -> None:
    assert levels(port.port("192.0.2.1", 8000)) == PROBLEM
    assert levels(port.port("no such host", 8000)) == PROBLEM
    assert levels(port.port("a" * 70 + ".example", 8000)) == PROBLEM


def test_a_check_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/at/all")
    monkeypatch.setattr(os, "statvfs", lambda path: (_ for _ in ()).throw(ValueError("odd\nfile system")))
    findings = list(examine(Workspace(tmp_path, tmp_path), quick=True))
    assert "it could not be looked at: ValueError: odd file system" in {finding.what for finding in findings}
    assert findings[-1].check == "port", "the others are looked at all the same"
