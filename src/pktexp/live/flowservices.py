"""The services at the local ends of flows: which unit, container or pod has the socket now.

sock_diag(7) is asked for single sockets, of this network namespace. Needs ports in the flows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pktexp.failures import FailureCounter
from pktexp.netlink.socketcgroups import Endpoint, Question, cgroups_of, local_addresses
from pktexp.packet import labels
from pktexp.packet.enums import IpClass, PacketClass
from pktexp.packet.records import FLOW_KEY
from pktexp.units.ledger import Ledger
from pktexp.units.names import names_of, readable

log = logging.getLogger(__name__)

PROTOCOLS = {
    base + ip_class: number
    for base in (PacketClass.IPV4, PacketClass.IPV6)
    for ip_class, number in ((IpClass.TCP, 6), (IpClass.UDP, 17))
}
"""IP protocol by packet class"""
CACHE_TIME = 5.0  # seconds
MOST = 1000  # flows asked for in one document


class Ends(NamedTuple):
    """The services at source and destination of a flow; "" where none is known."""

    source: str = ""
    dest: str = ""


UNKNOWN = Ends()


class FlowServices:
    """Finds the services of flows. `known`: those found, by flow key, for CACHE_TIME."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._until = 0.0
        self.known: dict[bytes, Ends] = {}
        self.failures = FailureCounter(log, logging.WARNING, once=True)

    def find(self, raw: Sequence[bytes]) -> None:
        """Find the services of flows by key, of MOST flows at most."""
        if self._ledger is None:
            return
        if time.monotonic() >= self._until:
            self.known, self._until = {}, time.monotonic() + CACHE_TIME
        missing = [key for key in raw if key not in self.known][:MOST]
        if missing:
            with self.failures.suppressed("failed to find the sockets of flows", only=OSError):
                self.known |= _asked(missing, self._ledger.paths())


def _asked(raw: Sequence[bytes], paths: dict[int, str]) -> dict[bytes, Ends]:
    local = local_addresses()
    questions = [(key, end, asked) for key in raw for end, asked in _questions(key, local)]
    found: dict[bytes, Ends] = dict.fromkeys(raw, UNKNOWN)
    cgroups = cgroups_of(asked for _, _, asked in questions)
    for (key, end, _), cgroup in zip(questions, cgroups, strict=True):
        if path := paths.get(cgroup):
            found[key] = found[key]._replace(**{end: service_of(path)})
    return found


def _questions(raw: bytes, local: set[bytes]) -> Iterator[tuple[str, Question]]:
    """Yield the local ends of a flow that have a port, each with the question for its socket."""
    key = np.frombuffer(raw, FLOW_KEY)[0]
    protocol = PROTOCOLS.get(int(key["packet_class"]))
    (source, dest), (source_port, dest_port) = labels.addresses(key), key["ports"].tolist()
    ends: tuple[Endpoint, Endpoint] = (source, int(source_port)), (dest, int(dest_port))
    for name, here, there in (("source", *ends), ("dest", *ends[::-1])):
        if protocol and here[1] and here[0] in local:
            yield name, (protocol, here, there)


def service_of(path: str) -> str:
    """Return the shortest name of a cgroup: its container or unit, else its path."""
    names = names_of(path)
    return names.container or names.unit or readable(path)
