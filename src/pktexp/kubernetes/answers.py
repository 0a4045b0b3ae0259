"""Decode replies of the API server: pods, watch events, and the errors of a Status.

The structures follow the Kubernetes API reference (1.34). Decoding skips every field not named
here, so a pod costs some hundred bytes of the ten thousand that it may have.
"""

from __future__ import annotations

import ipaddress

from lightkube.core import decoders
from lightkube.core.resource import ApiInfo, NamespacedResourceG, ResourceDef
from msgspec import Struct, field

from pktexp.kubernetes.pods import Pod

GONE = 410
EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
ENDED = ("Succeeded", "Failed")


class GoneError(Exception):
    """The requested version has expired: all pods have to be listed again."""


class RefusedError(Exception):
    """The server understood the request and refused it."""


class Metadata(Struct, rename="camel"):
    """ObjectMeta of a pod; a bookmark has only the version."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class Spec(Struct, rename="camel"):
    """PodSpec: the desired state of a pod."""

    host_network: bool = False


class Address(Struct):
    """PodIP: one address of a pod, as text."""

    ip: str


class Status(Struct, rename="camel"):
    """PodStatus: the observed state of a pod."""

    phase: str = ""
    start_time: str | None = None
    addresses: list[Address] = field(name="podIPs", default_factory=list)


class PodObject(NamespacedResourceG, Struct):
    """A Pod object of the API."""

    _api_info = ApiInfo(ResourceDef("", "v1", "Pod"), "pods", ["global_list", "global_watch"])

    metadata: Metadata = field(default_factory=Metadata)
    spec: Spec = field(default_factory=Spec)
    status: Status = field(default_factory=Status)

    def pod(self) -> Pod | None:
        """Return the pod, None before it has addresses or once it has ended.

        With hostNetwork the addresses are the node's, shared by all such pods: it has none of its
        own. Addresses of a pod that has ended may be assigned to others. Raises ValueError if one
        is invalid.
        """
        if self.status.phase in ENDED or not self.status.addresses:
            return None
        told = [] if self.spec.host_network else self.status.addresses
        addresses = [ipaddress.ip_address(address.ip).packed for address in told]
        started = self.status.start_time or ""
        return Pod(self.metadata.namespace, self.metadata.name, tuple(addresses), started)


def parse_event(line: bytes) -> tuple[str, PodObject]:
    """Return the type (one of EVENTS) and the object of a watch event.

    The object of a BOOKMARK has only a version. Raises GoneError or RefusedError if the event ends
    the watch, and ValueError if it is malformed.
    """
    try:
        event = decoders.decode_watch_event(line)
        if event.type == "ERROR":
            status = decoders.decode_status(event.object)
            raise status_error(status.code or 0, status.message or "")
        pod: PodObject = decoders.decode_object(event.object, PodObject)
    except RecursionError as error:  # msgspec's, where values are nested a thousand deep
        raise ValueError("an event that is nested too deeply") from error
    if event.type not in EVENTS or not pod.metadata.resource_version:
        raise ValueError(f"a {event.type} event without a version")
    if event.type != "BOOKMARK" and not pod.metadata.uid:
        raise ValueError(f"a {event.type} event without a pod")
    return event.type, pod


def status_error(code: int, message: str) -> Exception:
    """Return the exception for a Status, of a response or of an ERROR event."""
    return GoneError(message) if code == GONE else RefusedError(f"{code}: {message}")
