"""The table of settings in docs/operations.md is what the code reads: all of it, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitextmine.cli import TRACEBACK_VARIABLE
from bitextmine.jobs.settings import OTHER_VARIABLES
from bitextmine_indexer.settings import WorkerSettings
from bitextmine_service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
PACKAGES = ("bitextmine", "indexer/bitextmine_indexer", "service/bitextmine_service")
READERS = {"API": ServiceSettings, "worker": WorkerSettings}


def table() -> dict[str, dict[str, str]]:
    """The rows by variable: default, read by, what."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = [line[1:-1].split("|") for line in section.splitlines() if line.startswith("|")]
    header, _, *body = [[cell.strip() for cell in row] for row in rows]
    assert header == ["variable", "default", "read by", "what"]
    found: dict[str, dict[str, str]] = {}
    for variable, *cells in body:
        assert len(cells) == 3, variable
        name = variable.strip("`")
        assert name not in found, f"{name} is there twice"
        found[name] = dict(zip(header[1:], cells, strict=True))
    return found


def variables(settings: type[ServiceSettings] | type[WorkerSettings]) -> set[str]:
    return {
        str(field.validation_alias or f"BITEXTMINE_{name.upper()}") for name, field in settings.model_fields.items()
    }


def test_the_table_has_every_setting_and_nothing_else() -> None:
    known = variables(ServiceSettings) | variables(WorkerSettings) | {*OTHER_VARIABLES}
    assert TRACEBACK_VARIABLE in OTHER_VARIABLES
    assert known - table().keys() == set(), "not in docs/operations.md"
    assert table().keys() - known == set(), "in docs/operations.md, and nothing reads it"


@pytest.mark.parametrize("reader", READERS)
def test_the_table_says_who_reads_what(reader: str) -> None:
    said = {name for name, row in table().items() if row["read by"] == "all" or reader in row["read by"].split(", ")}
    assert said == variables(READERS[reader])


def test_nothing_reads_a_variable_that_is_not_in_the_table() -> None:
    named: set[str] = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            named |= set(re.findall(r"\bBITEXTMINE_[A-Z_]*[A-Z]\b", file.read_text(encoding="utf-8")))
    assert "BITEXTMINE_DATA_DIR" in named
    assert named <= table().keys()


def test_every_setting_says_what_it_is_for() -> None:
    for name, row in table().items():
        assert row["what"], name
        assert row["read by"], name
