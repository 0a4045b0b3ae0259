"""What the API server says, as far as it is wanted: pods, events, refusals; read by api.py.

Shapes are those of the Kubernetes API reference (1.34). Whatever is not named here is passed over
while a text is decoded, so a pod costs some hundred bytes, of the ten thousand that it may have.
"""

from __future__ import annotations

import ipaddress

from lightkube.core import decoders
from lightkube.core.resource import ApiInfo, NamespacedResourceG, ResourceDef
from msgspec import Struct, field

from pktexp.kubernetes import pods

GONE = 410
EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
ENDED = ("Succeeded", "Failed")


class GoneError(Exception):
    """What was asked for is too old: all pods have to be listed again."""


class RefusedError(Exception):
    """The server understands, and says no."""


class Metadata(Struct, rename="camel"):
    """Of a pod; a bookmark has only the version."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class Spec(Struct, rename="camel"):
    """What was asked for."""

    host_network: bool = False


class Address(Struct):
    """One of a pod's."""

    ip: str


class Status(Struct, rename="camel"):
    """How the pod is."""

    phase: str = ""
    start_time: str | None = None
    addresses: list[Address] = field(name="podIPs", default_factory=list)


class Pod(NamespacedResourceG, Struct):
    """As the server tells it."""

    _api_info = ApiInfo(ResourceDef("", "v1", "Pod"), "pods", ["global_list", "global_watch"])

    metadata: Metadata = field(default_factory=Metadata)
    spec: Spec = field(default_factory=Spec)
    status: Status = field(default_factory=Status)

    def named(self) -> pods.Pod | None:
        """None if it has no address of its own; ValueError if one is no address.

        With hostNetwork the addresses are the node's, and of all such pods. When a pod has ended,
        others may get its addresses.
        """
        if self.spec.host_network or self.status.phase in ENDED or not self.status.addresses:
            return None
        addresses = [ipaddress.ip_address(address.ip).packed for address in self.status.addresses]
        started = self.status.start_time or ""
        return pods.Pod(self.metadata.namespace, self.metadata.name, tuple(addresses), started)


def parse(line: bytes) -> tuple[str, Pod]:
    """An event, as one of EVENTS, and the pod; of a BOOKMARK only its version.

    GoneError or RefusedError if the server ends the watch so, and ValueError if it is no event.
    """
    try:
        event = decoders.decode_watch_event(line)
        if event.type == "ERROR":
            status = decoders.decode_status(event.object)
            raise refusal(status.code or 0, status.message or "")
        pod: Pod = decoders.decode_object(event.object, Pod)
    except RecursionError as error:  # msgspec's, where values are nested a thousand deep
        raise ValueError("an event that is nested too deeply") from error
    if event.type not in EVENTS or not pod.metadata.resource_version:
        raise ValueError(f"a {event.type} event without a version")
    if event.type != "BOOKMARK" and not pod.metadata.uid:
        raise ValueError(f"a {event.type} event without a pod")
    return event.type, pod


def refusal(code: int, message: str) -> Exception:
    """What to raise for a status, whether of a whole answer or told by an event."""
    return GoneError(message) if code == GONE else RefusedError(f"{code}: {message}")
