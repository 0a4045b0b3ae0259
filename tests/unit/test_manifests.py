"""The Kubernetes manifests: by the API's schemas, by each other, and by what pktexp takes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import pytest

from pktexp.bpf.cgroupmaps import kernel_bytes
from pktexp.commands.main import serve
from pktexp.commands.options import settings_of
from pktexp.pipeline import datapath_options
from support.kubernetes.manifestchecks import problems
from support.kubernetes.manifests import (
    FOLDER,
    PROBES,
    build,
    environment,
    of_kind,
    pktexp,
    put,
    quantity,
)

FOLDERS = sorted(path.parent.name for path in FOLDER.glob("*/kustomization.yaml"))
PAGE = FOLDER.parents[1] / "docs" / "kubernetes.md"
SHOWN = re.findall(r"(?s)```yaml\n(apiVersion: kustomize.*?)```", PAGE.read_text())
CPUS = 256
INTERFACES = 100
PROCESS = 132_000_000  # bytes; docs/performance.md, Pod, has the figures

NEEDED = ["BPF", "NET_ADMIN", "PERFMON"]
POD = "spec.template.spec"
ONE = f"{POD}.containers.0"
CONTEXT = f"{ONE}.securityContext"
CAPABILITIES = f"{CONTEXT}.capabilities"
ENDPOINT = "spec.podMetricsEndpoints.0"
# What slips: in which object, where, and what is there then. Nothing is taken out.
SLIPS: dict[str, tuple[str, str, Any]] = {
    "a misspelt key": ("DaemonSet", f"{ONE}.comand", ["pktexp"]),
    "a misspelt key of a probe": ("DaemonSet", f"{ONE}.livenessProbe.periodSecond", 1),
    "a text for a number": ("DaemonSet", f"{ONE}.livenessProbe.periodSeconds", "30"),
    "a number for a text": ("DaemonSet", f"{ONE}.env.2.value", 1),
    "a misspelt key of a variable": ("DaemonSet", f"{ONE}.env.1.valueFrom.fieldref", {}),
    "an unknown kind": ("PriorityClass", "kind", "PriorityKlass"),
    "no kind's field": ("Service", "spec.clusterIp", "None"),
    "a monitor's misspelt key": ("PodMonitor", f"{ENDPOINT}.intervall", "1s"),
    "a monitor's interval": ("PodMonitor", f"{ENDPOINT}.interval", "15 seconds"),
    "a monitor's type": ("PodMonitor", f"{ENDPOINT}.honorLabels", "yes"),
    "a monitor's port": ("PodMonitor", f"{ENDPOINT}.port", "web"),
    "a monitor's selector": ("PodMonitor", "spec.selector.matchLabels", {"app": "x"}),
    "a service's selector": ("Service", "spec.selector", {"app": "x"}),
    "a service's port": ("Service", "spec.ports.0.targetPort", "web"),
    "a workload's selector": ("DaemonSet", "spec.selector.matchLabels", {"app": "x"}),
    "a probe's port": ("DaemonSet", f"{ONE}.readinessProbe.httpGet.port", "web"),
    "a port of the host": ("DaemonSet", f"{ONE}.ports.0.hostPort", 8080),
    "the port it listens on": ("DaemonSet", f"{ONE}.env.0.value", "8080"),
    "an account": ("ServiceAccount", "metadata.name", "default"),
    "a pod's account": ("DaemonSet", f"{POD}.serviceAccountName", "default"),
    "a subject": ("ClusterRoleBinding", "subjects.0.name", "default"),
    "a subject's namespace": ("ClusterRoleBinding", "subjects.0.namespace", "default"),
    "a role": ("ClusterRoleBinding", "roleRef.name", "view"),
    "a priority": ("DaemonSet", f"{POD}.priorityClassName", "high"),
    "a volume": ("DaemonSet", f"{ONE}.volumeMounts.0.name", "run"),
    "an unknown variable": ("DaemonSet", f"{ONE}.env.1.name", "PKTEXP_ADDRESS"),
    "services' variables": ("DaemonSet", f"{POD}.enableServiceLinks", None),
    "a capability less": ("DaemonSet", f"{CAPABILITIES}.add", ["BPF", "NET_ADMIN"]),
    "a capability more": ("DaemonSet", f"{CAPABILITIES}.add", [*NEEDED, "SYS_ADMIN"]),
    "the default capabilities": ("DaemonSet", f"{CAPABILITIES}.drop", None),
    "no_new_privs without root": ("DaemonSet", f"{CONTEXT}.allowPrivilegeEscalation", False),
    "root that could gain more": ("DaemonSet", f"{CONTEXT}.runAsUser", 0),
    "a privileged container": ("DaemonSet", f"{CONTEXT}.privileged", True),
    "another version's image": ("DaemonSet", f"{ONE}.image", "example.com/pktexp:0.0.1"),
    "an image of no registry": ("DaemonSet", f"{ONE}.image", "pktexp:0.1.0"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_manifests_fit_the_schemas_and_each_other(name: str) -> None:
    assert list(problems(build(FOLDER / name))) == []


@pytest.mark.parametrize(("kind", "path", "value"), SLIPS.values(), ids=SLIPS)
def test_mistake_in_a_manifest_is_found(kind: str, path: str, value: Any) -> None:
    documents = build(FOLDER / "monitoring")
    (document,) = of_kind(documents, kind)
    put(document, path, value)
    assert any(problems(documents))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.ingress.0.ports.0.port", "web"),
        ("spec.podSelector.matchLabels", {"app": "x"}),
        ("spec.ingress.1.form", []),
    ],
)
def test_mistake_in_a_policy_is_found(path: str, value: Any) -> None:
    documents = build(FOLDER / "sidecar")
    (policy,) = of_kind(documents, "NetworkPolicy")
    put(policy, path, value)
    assert any(problems(documents))


@pytest.mark.parametrize("name", FOLDERS)
def test_the_memory_limit_holds_with_256_cpus(name: str) -> None:
    _, container = pktexp(build(FOLDER / name))
    values = environment(container, hostIP="", nodeName="")
    context = click.Context(serve)

    given = {
        str(option.name): option.type_cast_value(context, values[variable])
        for option in serve.params
        for variable in option.envvar or ()
        if variable in values and option.name in ("max_interfaces", "flow_cache", "ring_size")
    }
    options = datapath_options(settings_of(given), CPUS)
    needed = PROCESS + sum(options.memory(CPUS, min(options.slots, INTERFACES)))
    needed += kernel_bytes(settings_of({}).max_cgroups, CPUS)
    assert quantity(container["resources"]["limits"]["memory"]) > needed


@pytest.mark.parametrize("name", FOLDERS)
def test_probes_restart_a_hung_process_but_not_an_unready_one(name: str) -> None:
    _, container = pktexp(build(FOLDER / name))
    paths = {probe: container[probe]["httpGet"]["path"] for probe in PROBES if probe in container}
    assert paths.pop("readinessProbe", "/readyz") == "/readyz"
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz"}


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_documented_kustomization_builds(number: int, tmp_path: Path) -> None:
    here = os.path.relpath(FOLDER.parents[1], tmp_path)  # kustomize takes no absolute paths
    text = SHOWN[number].replace("pktexp/deploy", f"{here}/deploy")
    (tmp_path / "kustomization.yaml").write_text(text)
    assert list(problems(build(tmp_path))) == []
