"""`bitextmine doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from bitextmine import __version__
from bitextmine.cli import console
from bitextmine.doctor import Finding, Level, examine

_WIDTH = max(len(level) for level in Level)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not verify the installed encoders.")] = False,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Look for what is wrong with this installation, and say what to do; exit code 1 where there is a problem.

    Looks at packages, settings, GPUs, memory, the data directory, encoders, Redis, workers, jobs and the port, in the
    environment that it is run in: run it as the service's user, with the service's variables. Changes nothing.
    """
    findings = []
    for finding in examine(console.workspace(data_dir, encoders_dir), quick=quick):
        findings.append(finding)
        if not as_json:
            typer.echo(_shown(finding))
    counts = Counter(finding.level for finding in findings)
    if as_json:
        report = {
            "version": __version__,
            "problems": counts[Level.PROBLEM],
            "warnings": counts[Level.WARNING],
            "findings": [asdict(finding) for finding in findings],
        }
        typer.echo(json.dumps(report, indent=1))
    else:
        typer.echo(f"{counts[Level.PROBLEM]} problems, {counts[Level.WARNING]} warnings, {counts[Level.OK]} ok")
    raise typer.Exit(1 if counts[Level.PROBLEM] else 0)


def _shown(finding: Finding) -> str:
    line = f"{finding.level:{_WIDTH}}  {finding.check}: {finding.what}"
    return f"{line}\n{'':{_WIDTH}}  -> {finding.todo}" if finding.todo else line
