"""`bitextmine ray-check`: whether a Ray cluster can run matrix runs, and what is in the way."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitextmine.cli import console, execution
from bitextmine.doctor.finding import Finding, Level, ok, problem
from bitextmine.errors import BitextmineError
from bitextmine.resources import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bitextmine.executors.ray_cluster import Node
    from bitextmine.executors.ray_node import NodeReport
    from bitextmine.workspace import Workspace

_ANSWER_SECONDS = 90.0  # a process starts, on a node that may be busy


def ray_check(
    address: execution.Address = None,
    encoder: Annotated[
        str | None, typer.Option(show_default="none", help="See that every node has the same encoder of this name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Look at every node of a Ray cluster, and say what is wrong; exit code 1 where there is a problem.

    Connects, sees that the cluster asks for a token, and runs a task on each node: the versions of Python and
    bitextmine, the data directory (the same one, and writable) and the encoder have to be those of this machine.

    Example: bitextmine ray-check --address head:6379 --encoder muse --data-dir /shared/bitextmine
    """
    place = console.writable_workspace(data_dir, encoders_dir)
    findings = list(_findings(address or "local", encoder or "", place))
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if as_json:
        typer.echo(json.dumps({"problems": problems, "findings": [asdict(each) for each in findings]}, indent=1))
    else:
        for finding in findings:
            typer.echo(f"{finding.level:7}  {finding.check}: {finding.what}")
            if finding.todo:
                typer.echo(f"{'':7}  -> {finding.todo}")
        typer.echo(f"{problems} problems, {len(findings) - problems} ok")
    raise typer.Exit(1 if problems else 0)


def _findings(address: str, encoder: str, place: Workspace) -> Iterator[Finding]:
    from bitextmine.executors.ray_cluster import alive_nodes, connected, probe
    from bitextmine.executors.ray_node import examine

    try:
        with connected(address) as ray, probe(place.root) as expected:
            nodes = alive_nodes(ray)
            here = examine(expected, encoder, str(place.encoders.resolve()))
            yield ok("cluster", f"Ray {ray.__version__} at {address} with {len(nodes)} nodes, {_tokens()}")
            yield from (problem("here", each, "put that right first") for each in here.problems)
            answers = {node.id: _ask(ray, node, expected, encoder, place) for node in nodes}
            for node in nodes:
                yield _judged(node, _answer(ray, answers[node.id]), here)
    except BitextmineError as error:
        yield problem("cluster", str(error), f"docs/errors.md explains {error.code}")


def _tokens() -> str:
    from bitextmine.executors.ray_node import AUTH_MODE

    return (
        "which asks for a token" if os.environ.get(AUTH_MODE) == "token" else f"{AUTH_MODE} allows it without a token"
    )


def _ask(ray: Any, node: Node, expected: Any, encoder: str, place: Workspace) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from bitextmine.executors.ray_node import examine

    there = NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)
    task = ray.remote(examine).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    return task.remote(expected, encoder, str(place.encoders.resolve()))


def _answer(ray: Any, reference: Any) -> NodeReport | str:
    try:
        report: NodeReport = ray.get(reference, timeout=_ANSWER_SECONDS)
    except Exception as error:  # noqa: BLE001 - of a node that cannot even import the function, anything
        return " ".join(str(error).split())[-300:] or type(error).__name__
    return report


def _judged(node: Node, report: NodeReport | str, here: NodeReport) -> Finding:
    room = f"{node.room.cores} cores, {format_bytes(node.room.memory_bytes)}, {node.room.gpus} GPUs"
    check = f"node {node.address} ({node.id[:8]})"
    if isinstance(report, str):
        return problem(
            check,
            f"{room}; no task runs there: {report}",
            "if it has not just gone, install the same bitextmine[ray] there",
        )
    problems = list(report.problems)
    if here.encoder and report.encoder and report.encoder != here.encoder:
        problems.append(f"its encoder is another one, {report.encoder[:12]}, here {here.encoder[:12]}")
    if report.auth != here.auth:
        problems.append(f"its RAY_AUTH_MODE is {report.auth or 'not set'}, here {here.auth}")
    if problems:
        return problem(check, f"{room}; {'; '.join(problems)}", "make it like this machine, and check again")
    encoder = f", encoder {report.encoder[:12]}" if report.encoder else ""
    what = f"{room}; a task ran ({report.where}); Python {report.python}, bitextmine {report.bitextmine}{encoder}"
    return ok(check, f"{what}; the data directory is the same, and writable")
