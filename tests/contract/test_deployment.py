"""What runs bitextmine elsewhere (docker/, deploy/) speaks of settings, paths, versions and metrics that there are.

Whether it is well formed is for `make deploy-check`, with the tools that know the formats.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitextmine import __version__
from bitextmine.jobs.names import UNFINISHED
from tests.contract.test_settings_table import table

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
MANIFESTS = sorted(
    file for file in K8S.rglob("*.yaml") if file.name not in ("kustomization.yaml", "ray-job-fields.yaml")
)
KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))
ROOTS = [K8S / "base", *sorted((K8S / "overlays").iterdir())]
COMPOSE = ROOT / "docker" / "compose.yaml"
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
OTHERS = {"REDIS_PASSWORD", "RAY_USAGE_STATS_ENABLED"}  # the server's, and Ray's


def read(file: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(file.read_text(encoding="utf-8")) if found]


def objects() -> list[dict[str, Any]]:
    return [found for file in MANIFESTS for found in read(file)]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, however deep."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def pods() -> list[dict[str, Any]]:
    return [node for node in nodes(objects()) if "containers" in node]


def containers() -> list[dict[str, Any]]:
    return [container for pod in pods() for container in pod["containers"]]


def compose() -> dict[str, Any]:
    (found,) = read(COMPOSE)
    return found


def test_all_of_it_is_looked_at() -> None:
    kinds = {found["kind"] for found in objects()}
    assert kinds >= {"Deployment", "StatefulSet", "RayJob", "ScaledObject", "Ingress", "NetworkPolicy"}
    assert {root.name for root in ROOTS} == {"base", "cpu", "gpu", "keda", "ray"}
    assert len(containers()) == 6
    assert set(compose()["services"]) == {"valkey", "api", "worker", "worker-gpu"}


def test_every_variable_is_a_setting() -> None:
    named = {entry["name"] for container in containers() for entry in container.get("env", [])}
    for file in KUSTOMIZATIONS:
        for generator in read(file)[0].get("configMapGenerator", []):
            named |= {literal.partition("=")[0] for literal in generator.get("literals", [])}
    for service in compose()["services"].values():
        named |= set(service.get("environment", {}))
    named |= set(re.findall(r"\b(BITEXTMINE_\w+)=", DOCKERFILE))
    assert {"REDIS_URL", "BITEXTMINE_DRAIN_SECONDS", "BITEXTMINE_HOST"} <= named
    assert named - OTHERS <= table().keys()


def test_images_have_the_version_that_is_built() -> None:
    tags = {image.get("newTag") for file in KUSTOMIZATIONS for image in read(file)[0].get("images", [])}
    tags |= {service["image"].partition(":")[2] for service in compose()["services"].values()}
    tags |= set(re.findall(r"^ARG VERSION=(.+)$", DOCKERFILE, re.MULTILINE))
    assert tags == {__version__}


def test_images_are_those_of_the_dockerfile() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    used = {container["image"] for container in containers()}
    for file in KUSTOMIZATIONS:
        used |= {image.get("newName", image["name"]) for image in read(file)[0].get("images", [])}
    assert {name.removeprefix("bitextmine-") for name in used} <= stages
    for name, service in compose()["services"].items():
        assert service["build"]["target"] == name
        assert service["image"].startswith(f"bitextmine-{name}:")


def test_ray_is_the_one_that_is_installed() -> None:
    pinned = re.search(r"^ray==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    assert {node["rayVersion"] for node in nodes(objects()) if "rayVersion" in node} == {pinned[1]}
    assert [node["authOptions"] for node in nodes(objects()) if "authOptions" in node] == [{"mode": "token"}]


def test_probes_ask_for_paths_that_there_are() -> None:
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["paths"]
    asked = {node["path"] for node in nodes(objects()) if node.keys() == {"path", "port"} and node["port"] == "http"}
    assert asked == {"/livez", "/readyz"}
    assert asked <= paths.keys()
    for container in containers():
        if container["name"] != "submitter":
            assert {"livenessProbe", "readinessProbe"} <= container.keys(), container["name"]


def test_every_container_is_locked_down() -> None:
    for pod in pods():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False, "it would set BITEXTMINE_ variables"
        mounted = {volume["name"] for volume in pod["volumes"]} | {"valkey"}  # a claim's template
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"].keys() == {"requests", "limits"}
            assert {mount["name"] for mount in container["volumeMounts"]} <= mounted
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    for service in compose()["services"].values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"


def test_the_queue_whose_length_scales_workers_is_there() -> None:
    triggers = [node for node in nodes(objects()) if node.get("type") == "redis"]
    assert [trigger["metadata"]["listName"] for trigger in triggers] == [UNFINISHED]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_kubectl_renders_every_overlay(root: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", str(root)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    rendered = [found for found in yaml.safe_load_all(done.stdout) if found]
    images = [container["image"] for node in nodes(rendered) for container in node.get("containers", [])]
    assert images
    assert all(image.endswith(f":{__version__}") for image in images), images
    secrets = {node["secretKeyRef"]["name"] for node in nodes(rendered) if "secretKeyRef" in node}
    assert secrets == {"bitextmine-redis"}
    maps = {found["metadata"]["name"] for found in rendered if found["kind"] == "ConfigMap"}
    named = {node["configMapRef"]["name"] for node in nodes(rendered) if "configMapRef" in node}
    named |= {node["configMap"]["name"] for node in nodes(rendered) if "configMap" in node}
    assert named == maps


def metrics() -> dict[str, tuple[set[str], bool]]:
    """The documented metrics, which are those that there are (tests/integration/test_metrics.py): labels, histogram."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2]
    rows = [line.split("|") for line in text.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    return {row[1].strip(" `"): (set(re.findall(r"`(\w+)`", row[2])), "histogram" in row[3]) for row in rows}


def expressions() -> dict[str, str]:
    """Of the dashboard and the alerts, by where they are."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "bitextmine.json").read_text(encoding="utf-8"))
    found = {
        f"{panel['title']} {target['refId']}": target for panel in dashboard["panels"] for target in panel["targets"]
    }
    for group in read(ROOT / "deploy" / "prometheus" / "alerts.yaml")[0]["groups"]:
        found |= {rule["alert"]: rule for rule in group["rules"]}
    return {where: rule["expr"] for where, rule in found.items()}


@pytest.mark.parametrize("where", expressions())
def test_dashboard_and_alerts_use_metrics_that_there_are(where: str) -> None:
    expression, known = expressions()[where], metrics()
    used = re.findall(r"\b((?:bitextmine|process)_\w+)(?:{([^}]*)})?", expression)
    assert used, expression
    allowed = {"le", "instance"}
    for name, matchers in used:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        labels, histogram = known.get(name) or known.get(base, (set(), False))
        assert name in known or (histogram and base != name) or name == "process_resident_memory_bytes", name
        assert not histogram or base != name, f"{name} is a histogram"
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= labels
        allowed |= labels
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= allowed


def test_every_metric_of_ours_is_on_the_dashboard_or_alerts() -> None:
    everything = " ".join(expressions().values())
    assert {name for name in metrics() if name not in everything} == set()


def test_every_alert_says_what_is_wrong_and_the_guide_what_to_do() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for group in read(ROOT / "deploy" / "prometheus" / "alerts.yaml")[0]["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}
            assert f"`{rule['alert']}`" in guide
