"""Pods and answers as an API server writes them, by the Kubernetes API reference (1.34)."""

from __future__ import annotations

from typing import Any

NODE = "node-7"
NODE_ADDRESS = "192.168.7.7"

Object = dict[str, Any]


def pod(
    name: str,
    *addresses: str,
    namespace: str = "default",
    uid: str = "",
    started: str = "2026-03-01T10:00:00Z",
    phase: str = "Running",
    host_network: bool = False,
) -> Object:
    """Return a pod on NODE with these addresses; with `host_network` they are the node's."""
    shown = (NODE_ADDRESS,) if host_network else addresses
    return {
        "metadata": {
            "name": name,
            "generateName": f"{name.rpartition('-')[0]}-",
            "namespace": namespace,
            "uid": uid or f"uid-of-{namespace}-{name}",
            "creationTimestamp": started,
            "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"cni.projectcalico.org/podIPs": ",".join(shown), "note": "NEL \u0085"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:podIPs": {}}}}],
        },
        "spec": {
            "containers": [{"name": "web", "image": "registry.k8s.io/pause:3.10", "ports": []}],
            "nodeName": NODE,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            **({"hostNetwork": True} if host_network else {}),
        },
        "status": _status(shown, started, phase),
    }


def _status(addresses: tuple[str, ...], started: str, phase: str) -> Object:
    """Return a pod's status; a pod that waits for its addresses has no fields for them."""
    told = {"podIP": addresses[0], "podIPs": [{"ip": ip} for ip in addresses]} if addresses else {}
    return {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}],
        "hostIP": NODE_ADDRESS,
        "hostIPs": [{"ip": NODE_ADDRESS}],
        "startTime": started,
        "qosClass": "BestEffort",
        **told,
    }


def pod_list(items: list[Object], version: int, more: str = "", remaining: int = 0) -> Object:
    """Return a page of a list; `more`: the token for the next page."""
    metadata: Object = {"resourceVersion": str(version)}
    if more:
        metadata |= {"continue": more, "remainingItemCount": remaining}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}


def event(kind: str, item: Object) -> Object:
    """Return a watch event; only in events does a pod state its kind."""
    return {"type": kind, "object": {"kind": "Pod", "apiVersion": "v1", **item}}


def bookmark(version: int) -> Object:
    """Return a bookmark: a pod that has only a version, and the server's empty fields."""
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return event("BOOKMARK", {"metadata": metadata, "spec": {"containers": None}, "status": {}})


def status(code: int, reason: str, message: str) -> Object:
    """Return a refusal."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
