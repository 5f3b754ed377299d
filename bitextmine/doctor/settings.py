"""The environment: whether the API and the worker would take their settings, and what nobody reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from bitextmine.doctor.finding import Finding, ok, problem, warning
from bitextmine.jobs.settings import OTHER_VARIABLES, PREFIX

_CHECK = "settings"
_READERS = {"the API": "bitextmine_service.settings", "the worker": "bitextmine_indexer.settings"}
_PATIENCE = 60.0


_CORRECT = "correct the variable, or unset it; docs/operations.md has them all"
_ADDED = "Kubernetes adds it where a service is named bitextmine: set enableServiceLinks: false in the pod"


@dataclass(slots=True)
class Settings:
    """What the API and the worker make of the environment."""

    variables: set[str] = field(default_factory=lambda: set(OTHER_VARIABLES))
    problems: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)  # by field, where all parse; no secret among them


def read_settings() -> Settings:
    """Ask both programs, as they would start: this library does not know them.

    `problems` also says where one of them cannot even be loaded.
    """
    found = Settings()
    for reader, module in _READERS.items():
        command = [sys.executable, "-m", module]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
            answer = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()
            found.problems.append(f"{reader} cannot be loaded: {said[-1] if said else error}")
            continue
        found.variables |= set(answer["variables"])
        found.problems += [line for line in answer["problems"] if line not in found.problems]
        found.values |= answer["values"]
    return found


def _by_kubernetes(value: str) -> bool:
    return value.startswith(("tcp://", "udp://"))


def settings(found: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """
    Args:
        environment: all variables of the process, by name.
    """
    given = sorted(name for name in environment if name.startswith(PREFIX))
    unknown = [name for name in given if name not in found.variables]
    for line in found.problems:
        variable = line.partition(":")[0]
        yield problem(_CHECK, line, _ADDED if _by_kubernetes(environment.get(variable, "")) else _CORRECT)
    for name in unknown:
        near = get_close_matches(name, found.variables, n=1)
        todo = f"did you mean {near[0]}?" if near else "unset it; docs/operations.md has all that there are"
        yield warning(_CHECK, f"{name} is read by nothing", todo)
    if not (found.problems or unknown):
        yield ok(_CHECK, f"{len(given)} set, all of them understood")
