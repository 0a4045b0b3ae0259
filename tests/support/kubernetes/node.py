"""A node with pods: on a bridge, as with flannel, and routed one by one, as with Calico."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from support.kubernetes.apiserver import TOKEN, ApiServer, answering
from support.kubernetes.podwatch import listening
from support.netns.namespace import Namespace, connect, run

WEB, DB, API = "10.244.1.5", "10.244.1.6", "10.244.2.7"
GATEWAY, ROUTER = "10.244.1.1", "169.254.1.1"
# Where a pod finds its account cannot be chosen, so it is put there, for this process alone: `ip
# netns exec` has given it a mount namespace.
PUT_ACCOUNT = (
    "at=/var/run/secrets/kubernetes.io/serviceaccount && "
    "mount -t tmpfs tmpfs $(readlink -f /var/run) && mkdir -p $at && "
    'mount --bind "$1" $at && shift && exec "$@"'
)


def make_node(make: Callable[[], Namespace]) -> tuple[Namespace, dict[str, Namespace]]:
    """Make the node, and its pods by address: behind veth-web and veth-db of cni0, and cali-api."""
    node, pods = make(), {address: make() for address in (WEB, DB, API)}
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    node.ip("link", "add", "cni0", "type", "bridge")
    node.ip("address", "add", f"{GATEWAY}/24", "dev", "cni0")
    node.ip("link", "set", "cni0", "up")
    for address, name in ((WEB, "veth-web"), (DB, "veth-db")):
        connect(node, pods[address], name, "eth0")
        node.ip("link", "set", name, "master", "cni0")
        pods[address].ip("address", "add", f"{address}/24", "dev", "eth0")
        pods[address].ip("route", "add", "default", "via", GATEWAY)
    _route(node, pods[API], "cali-api", API)
    return node, pods


def _route(node: Namespace, pod: Namespace, name: str, address: str) -> None:
    connect(node, pod, name, "eth0")
    node.ip("address", "add", f"{ROUTER}/32", "dev", name)
    node.ip("route", "add", f"{address}/32", "dev", name)
    pod.ip("address", "add", f"{address}/32", "dev", "eth0")
    pod.ip("route", "add", ROUTER, "dev", "eth0")
    pod.ip("route", "add", "default", "via", ROUTER)


@contextlib.contextmanager
def api_server(node: Namespace, account: Path) -> Iterator[ApiServer]:
    """Run an API server on the node's loopback; `account` becomes a service account's folder."""
    account.mkdir()
    (account / "token").write_text(TOKEN)
    (account / "namespace").write_text("monitoring")
    key, certificate = account.parent / "key", account / "ca.crt"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "1", "-subj", "/CN=kubernetes", "-keyout", str(key)),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate)),
        *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with node.entered():
        made = listening()
    with answering(made, tls) as server:
        yield server


def in_pod(port: int, account: Path) -> tuple[str, ...]:
    """Return the words before a command that give it the environment of a pod."""
    address = ("KUBERNETES_SERVICE_HOST=127.0.0.1", f"KUBERNETES_SERVICE_PORT={port}")
    return ("env", *address, "sh", "-c", PUT_ACCOUNT, "sh", str(account))
