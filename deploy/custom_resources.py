"""Checks what kubernetes-validate has no schema for, in manifests on standard input: KEDA's and KubeRay's objects.

KEDA's are read by models that are generated from its CRDs (the package cloudcoil-models-keda). Of a RayJob the fields
are compared with those of KubeRay's API reference (v1.6), and the pods in it are written out as Pods, for
kubernetes-validate: `custom_resources.py --pods`. On a cluster with both, `kubectl apply --dry-run=server -k` asks
more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from cloudcoil.models.keda import v1alpha1 as keda

Object = dict[str, Any]

RAY_JOB = {
    "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint",
    "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata",
    "preRunningDeadlineSeconds", "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode",
    "submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished",
}  # fmt: skip
RAY_CLUSTER = {
    "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec",
    "headServiceAnnotations", "managedBy", "networkPolicy", "rayVersion", "suspend", "upgradeStrategy",
    "workerGroupSpecs",
}  # fmt: skip
HEAD_GROUP = {"enableIngress", "headService", "labels", "rayStartParams", "resources", "serviceType", "template"}
WORKER_GROUP = {
    "groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts", "rayStartParams",
    "replicas", "resources", "scaleStrategy", "suspend", "template",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", action="store_true", help="write the pods of RayJobs")
    asked = parser.parse_args()
    objects = [found for found in yaml.safe_load_all(sys.stdin) if found]
    if asked.pods:
        yaml.safe_dump_all((pod for found in objects for pod in ray_pods(found)), sys.stdout)
        return 0
    problems = [f"{name_of(found)}: {problem}" for found in objects for problem in check(found)]
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return int(bool(problems))


def name_of(found: Object) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def check(found: Object) -> Iterator[str]:
    key = (found["apiVersion"], found["kind"])
    if key[0] == "keda.sh/v1alpha1":
        read = getattr(keda, key[1]).model_validate(found)
        written = read.model_dump(by_alias=True, exclude_none=True, exclude_unset=True, mode="json")
        yield from lost(found, written, "")
    elif key == ("ray.io/v1", "RayJob"):
        yield from unknown_fields(found["spec"])


def lost(given: Any, kept: Any, where: str) -> Iterator[str]:
    """What a model has not kept, because it has no such field."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(kept, dict) or key not in kept:
                yield f"{where}.{key} is no field"
            else:
                yield from lost(value, kept[key], f"{where}.{key}")
    elif isinstance(given, list):
        for place, (value, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(value, other, f"{where}[{place}]")


def unknown_fields(spec: Object) -> Iterator[str]:
    cluster = spec["rayClusterSpec"]
    yield from (f".spec.{name} is no field" for name in spec.keys() - RAY_JOB)
    yield from (f".rayClusterSpec.{name} is no field" for name in cluster.keys() - RAY_CLUSTER)
    yield from (f".headGroupSpec.{name} is no field" for name in cluster["headGroupSpec"].keys() - HEAD_GROUP)
    for group in cluster["workerGroupSpecs"]:
        yield from (f".workerGroupSpecs.{name} is no field" for name in group.keys() - WORKER_GROUP)


def ray_pods(found: Object) -> Iterator[Object]:
    if found["kind"] != "RayJob":
        return
    spec = found["spec"]
    cluster = spec["rayClusterSpec"]
    templates = {"submitter": spec["submitterPodTemplate"], "head": cluster["headGroupSpec"]["template"]}
    templates |= {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    for name, template in templates.items():
        metadata = {**template.get("metadata", {}), "name": f"{found['metadata']['name']}-{name}"}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


if __name__ == "__main__":
    sys.exit(main())
