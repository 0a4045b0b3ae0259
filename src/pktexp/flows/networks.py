"""Networks by name, and which of them an address is in; for networksums.py.

The file's prefixes become ranges, of which numpy finds many addresses' at a time by bisection: the
libraries for longest-prefix search (pytricia, py-radix) take addresses one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pktexp import yamlfile
from pktexp.packet.enums import PacketClass
from pktexp.packet.labels import OTHER
from pktexp.packet.records import Records
from pktexp.yamlfile import Value

MOST_NAMES = 64
MOST_PREFIXES = 10_000
HINT = "a name and its networks, as: 'office: [192.0.2.0/24, \"2001:db8::/32\"]'"

Network = IPv4Network | IPv6Network
Indices = npt.NDArray[np.intp]


class Networks:
    """`names`, of which the first is what belongs to no network."""

    def __init__(self, named: Mapping[Network, str]) -> None:
        self.names = (OTHER, *dict.fromkeys(named.values()))
        self._ipv4 = Ranges({n: self.names.index(name) for n, name in named.items()}, 4)
        self._ipv6 = Ranges({n: self.names.index(name) for n, name in named.items()}, 6)

    def find(self, addresses: Records, packet_classes: npt.NDArray[np.uint8]) -> Indices:
        """Index of each address's name; `addresses`: (n, 16) bytes, as a flow record has them."""
        found = np.zeros(len(addresses), np.intp)
        ipv6 = packet_classes >= PacketClass.IPV6
        ipv4 = (packet_classes >= PacketClass.IPV4) & ~ipv6
        found[ipv4] = self._ipv4.find(addresses[ipv4])
        found[ipv6] = self._ipv6.find(addresses[ipv6])
        return found


class Ranges:
    """All addresses of one version, cut wherever a network begins or ends."""

    def __init__(self, indices: Mapping[Network, int], version: int) -> None:
        self._size = 4 if version == 4 else 16
        bits = self._size * 8
        by_length: dict[int, dict[int, int]] = {}
        cuts = {0}
        for network, index in indices.items():
            if network.version == version:
                first, last = int(network[0]), int(network[-1])
                by_length.setdefault(network.prefixlen, {})[first] = index
                cuts |= {first, last + 1}
        starts = sorted(cuts - {1 << bits})
        self._starts = np.array([s.to_bytes(self._size, "big") for s in starts], f"S{self._size}")
        self._indices = np.array([_longest(by_length, start, bits) for start in starts], np.intp)

    def find(self, addresses: Records) -> Indices:
        """The index of each; those that are in no network are 0."""
        keys = np.ascontiguousarray(addresses[:, : self._size]).view(f"S{self._size}")[:, 0]
        found: Indices = self._indices[np.searchsorted(self._starts, keys, "right") - 1]
        return found


def _longest(by_length: Mapping[int, Mapping[int, int]], address: int, bits: int) -> int:
    """Of the networks that an address is in, the smallest one's index."""
    for length in sorted(by_length, reverse=True):
        rest = bits - length
        if (index := by_length[length].get(address >> rest << rest)) is not None:
            return index
    return 0


class NamedNetworks:
    """The file's networks in force; `read` is for a Reloader."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.current = Networks({})

    def read(self) -> None:
        """Put the file in force; PktexpError, with the line, if it is wrong."""
        self.current = Networks(read(self._path))


def read(path: Path) -> dict[Network, str]:
    """The names of networks; PktexpError, with the line, for what is wrong."""
    file = yamlfile.read(path)
    entries = file.mapping()
    if not entries:
        raise file.error("no network is named", HINT)
    if len(entries) > MOST_NAMES:
        raise file.error(f"{len(entries)} names, and at most {MOST_NAMES} are taken", "merge some")
    named: dict[Network, str] = {}
    for name, value in entries.items():
        for item in _prefixes(name, value):
            network = _network(item)
            if network in named:
                raise item.error(f"{network} is named already: '{named[network]}'")
            named[network] = name
    if len(named) > MOST_PREFIXES:
        raise file.error(f"{len(named)} networks, and at most {MOST_PREFIXES} are taken")
    return named


def _prefixes(name: str, value: Value) -> list[Value]:
    if name in ("", OTHER):
        raise value.error(f"'{name}' is for what is in no network", "choose another name")
    if not (items := value.sequence()):
        raise value.error(f"'{name}' has no networks", HINT)
    return items


def _network(item: Value) -> Network:
    try:
        network = ip_network(item.text())
    except ValueError as error:
        raise item.error(f"no network: {error}", HINT) from error
    if "%" in item.text():
        raise item.error("a network has no zone", "leave out '%' and what follows it")
    return network
