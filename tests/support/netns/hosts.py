"""A host between the outside and a pod; its bridge puts each packet on several interfaces."""

from __future__ import annotations

from collections.abc import Callable

from support.netns.namespace import Namespace, connect

Host = tuple[Namespace, Namespace, Namespace]
"""outside (eth0: 192.0.2.1), host (br0: 192.0.2.2), pod (eth0: 192.0.2.3)"""


def host_with_pod(make: Callable[[], Namespace]) -> Host:
    """Make outside, host and pod, joined by the host's `wire`, bridge br0 and veth `pod`."""
    outside, host, pod = make(), make(), make()
    connect(outside, host, "eth0", "wire")
    connect(host, pod, "pod", "eth0")
    host.ip("link", "add", "br0", "up", "type", "bridge")
    for port in ("wire", "pod"):
        host.ip("link", "set", port, "master", "br0")
    places = ((outside, "eth0", 1), (host, "br0", 2), (pod, "eth0", 3))
    for namespace, interface, number in places:
        namespace.ip("address", "add", f"192.0.2.{number}/24", "dev", interface)
    return outside, host, pod
