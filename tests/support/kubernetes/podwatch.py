"""Pods, a socket and a kubeconfig for tests of the pod watch."""

from __future__ import annotations

import ipaddress
import json
import socket
from pathlib import Path

from pktexp.kubernetes.watch import PodWatch
from support.kubernetes.podshapes import pod

WEB = pod("web-1", "10.244.1.5", "fd00:10:244:1::5")
DB = pod("db-0", "10.244.1.6", namespace="store")
WEB_NAMED = {"10.244.1.5": "default/web-1", "fd00:10:244:1::5": "default/web-1"}
DB_NAMED = {"10.244.1.6": "store/db-0"}


def listening(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def write_kubeconfig(path: Path, port: int, token: Path) -> None:
    named = {"name": "test"}
    text = {
        "current-context": "test",
        "clusters": [named | {"cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [named | {"user": {"tokenFile": str(token)}}],
        "contexts": [named | {"context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(text))  # which is YAML


def names(watching: PodWatch) -> dict[str, str]:
    """Return namespace/name of each pod by address."""
    return {
        str(ipaddress.ip_address(address)): f"{owner.namespace}/{owner.name}"
        for address, owner in watching.pods.by_address.items()
    }
