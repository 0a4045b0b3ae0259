"""Finds mistakes in manifests by their schemas and by references between them, a line each."""

from __future__ import annotations

from collections.abc import Iterator

import kubernetes_validate
from jsonschema import Draft202012Validator

from pktexp import __version__
from pktexp.commands.main import serve
from pktexp.privileges import NEEDED
from support.kubernetes.manifests import PROBES, WORKLOADS, Document, containers, of_kind, templates
from support.kubernetes.podmonitor import PODMONITOR

# The first that has the admission by Pod Security Standards, and the last one known.
VERSIONS = ("1.25", kubernetes_validate.latest_version())
# What `--kubernetes` adds to the options.
OF_KUBERNETES = {"PKTEXP_KUBERNETES", "PKTEXP_NODE_NAME"}


def problems(documents: list[Document]) -> Iterator[str]:
    for check in (selectors, ports, names, environments, privileges, images, schemas):
        yield from check(documents)


def schemas(documents: list[Document]) -> Iterator[str]:
    for document in documents:
        if document["apiVersion"].startswith("monitoring.coreos.com/"):
            found = Draft202012Validator(PODMONITOR).iter_errors(document)
            yield from (f"{document['kind']}: {error.message}" for error in found)
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{document['kind']}, {version}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError:
                yield f"{document['kind']}, {version}: no such kind"


def selected(documents: list[Document]) -> Iterator[tuple[str, Document, list[Document]]]:
    """Yield each object that selects pods, with the pods that it selects."""
    found: list[tuple[Document, Document]] = []
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            found.append((document, spec["selector"]))
        elif document["kind"] in (*WORKLOADS, "PodMonitor"):
            found.append((document, spec["selector"]["matchLabels"]))
        elif document["kind"] == "NetworkPolicy":
            found.append((document, spec["podSelector"]["matchLabels"]))
    for document, labels in found:
        pods = [
            template
            for template in templates(documents)
            if labels.items() <= template["metadata"]["labels"].items()
        ]
        yield document["kind"], document["spec"], [pod["spec"] for pod in pods]


def selectors(documents: list[Document]) -> Iterator[str]:
    for kind, _, pods in selected(documents):
        if not pods:
            yield f"{kind}: selects no pod"


def ports(documents: list[Document]) -> Iterator[str]:
    for kind, spec, pods in selected(documents):
        wanted = {port["targetPort"] for port in spec.get("ports", ())}
        wanted |= {endpoint["port"] for endpoint in spec.get("podMetricsEndpoints", ())}
        wanted |= {port["port"] for rule in spec.get("ingress", ()) for port in rule["ports"]}
        there = {p["name"] for pod in pods for c in pod["containers"] for p in c["ports"]}
        for name in wanted - there:
            yield f"{kind}: no port is named {name}"
    for pod, container in containers(documents):
        own = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in PROBES:
            if probe in container and container[probe]["httpGet"]["port"] not in own:
                yield f"{container['name']}: its {probe} asks a port that it does not have"
        host = {port.get("hostPort") for port in container["ports"]} - {None}
        if pod.get("hostNetwork") and host != set(own.values()):
            yield f"{container['name']}: has other ports on the host"


def names(documents: list[Document]) -> Iterator[str]:
    """Yield a line for each reference by name to an object that is missing."""
    there = {(x["kind"], x["metadata"].get("namespace"), x["metadata"]["name"]) for x in documents}
    for workload in of_kind(documents, *WORKLOADS):
        pod, namespace = workload["spec"]["template"]["spec"], workload["metadata"].get("namespace")
        account = ("ServiceAccount", namespace, pod.get("serviceAccountName"))
        priority = ("PriorityClass", None, pod.get("priorityClassName"))
        yield from (f"{x} is missing" for x in {account, priority} - there if x[2])
        for container in pod["containers"]:
            mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
            if unknown := mounts - {volume["name"] for volume in pod.get("volumes", ())}:
                yield f"{container['name']}: no volume is named {unknown}"
    for binding in of_kind(documents, "ClusterRoleBinding"):
        role = (binding["roleRef"]["kind"], None, binding["roleRef"]["name"])
        subjects = {(x["kind"], x["namespace"], x["name"]) for x in binding["subjects"]}
        yield from (f"{x} is missing" for x in {role} | subjects if x not in there)


def environments(documents: list[Document]) -> Iterator[str]:
    known = {name for option in serve.params for name in option.envvar or ()} | OF_KUBERNETES
    for pod, container in containers(documents):
        values = {variable["name"]: variable.get("value") for variable in container.get("env", ())}
        for name in values:
            if name.startswith(("PKTEXP_", "PE_")) and name not in known:
                yield f"{container['name']}: pktexp has no option for {name}"
        own = {str(port["containerPort"]) for port in container["ports"]}
        if container["name"] == "pktexp" and own != {values.get("PKTEXP_PORT")}:
            yield f"pktexp: listens on another port than {own}"
        if pod.get("enableServiceLinks") is not False:
            yield "a Service named pktexp would set PKTEXP_PORT"


def privileges(documents: list[Document]) -> Iterator[str]:
    for _, container in containers(documents):
        if container["name"] != "pktexp":
            continue
        context = container["securityContext"]
        added = {f"CAP_{name}" for name in context["capabilities"].get("add", ())}
        if added != set(NEEDED) or context["capabilities"].get("drop") != ["ALL"]:
            yield f"pktexp: needs {', '.join(NEEDED)} alone"
        if context.get("privileged"):
            yield "pktexp: privileged has more than capabilities"
        # capabilities(7): no_new_privs cancels those of files, and nobody but root has others.
        if (context["runAsUser"] == 0) == context["allowPrivilegeEscalation"]:
            yield "pktexp: would have no capabilities, or could gain some"


def images(documents: list[Document]) -> Iterator[str]:
    for _, container in containers(documents):
        name, _, tag = container["image"].rpartition(":")
        if "/" not in name or (container["name"] == "pktexp" and tag != __version__):
            yield f"{container['name']}: {container['image']} is not of this version"
