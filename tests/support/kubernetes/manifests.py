"""The shipped Kubernetes manifests, as kustomize builds them."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.patience import finished

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"
WORKLOADS = ("DaemonSet", "Deployment")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}

Document = dict[str, Any]


@cache
def rendered(folder: Path) -> str:
    """Return the text that `kubectl apply -k` would apply; asks no cluster."""
    command = [str(KUBECTL), "kustomize", str(folder)]
    done = finished(command, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(folder: Path) -> list[Document]:
    """Build a kustomization; return its documents."""
    return list(yaml.safe_load_all(rendered(folder)))


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document["kind"] in kinds]


def templates(documents: list[Document]) -> list[Document]:
    """Return the pods that workloads create."""
    return [workload["spec"]["template"] for workload in of_kind(documents, *WORKLOADS)]


def containers(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Yield every pod's specification with each of its containers."""
    for template in templates(documents):
        for container in template["spec"]["containers"]:
            yield template["spec"], container


def pktexp(documents: list[Document]) -> tuple[Document, Document]:
    """Return the pod and the container that run pktexp."""
    (found,) = ((pod, c) for pod, c in containers(documents) if c["name"] == "pktexp")
    return found


def environment(container: Document, **fields: str) -> dict[str, str]:
    """Return a container's environment; `fields`: values of the downward API (`status.hostIP`)."""
    return {
        variable["name"]: variable["value"]
        if "value" in variable
        else fields[variable["valueFrom"]["fieldRef"]["fieldPath"].rpartition(".")[2]]
        for variable in container.get("env", ())
    }


def put(document: Document, path: str, value: Any) -> None:
    """Set the value at a path of keys and numbers with dots between; None removes it."""
    *steps, last = path.split(".")
    place: Any = document
    for step in steps:
        place = place[int(step) if step.isdecimal() else step]
    if value is None:
        del place[last]
    else:
        place[last] = value


def quantity(text: str) -> int:
    """Return the bytes of a quantity such as "512Mi"."""
    return int(text[:-2]) * UNITS[text[-2:]]
