"""Named networks of the operator's file, and a search for the network of many addresses.

Prefixes become ranges, which numpy searches by bisection for many addresses at a time; libraries
for longest-prefix match (pytricia, py-radix) look up one address at a time.
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
HINT = "write a name and its networks: 'office: [192.0.2.0/24, \"2001:db8::/32\"]'"

Network = IPv4Network | IPv6Network
Indices = npt.NDArray[np.intp]


class Networks:
    """Networks by name. `names` starts with `other`, for addresses in no network."""

    def __init__(self, named: Mapping[Network, str]) -> None:
        self.names = (OTHER, *dict.fromkeys(named.values()))
        self._ipv4 = Ranges({n: self.names.index(name) for n, name in named.items()}, 4)
        self._ipv6 = Ranges({n: self.names.index(name) for n, name in named.items()}, 6)

    def find(self, addresses: Records, packet_classes: npt.NDArray[np.uint8]) -> Indices:
        """Return the index in `names` for each address, (n, 16) bytes as in flow records."""
        found = np.zeros(len(addresses), np.intp)
        ipv6 = packet_classes >= PacketClass.IPV6
        ipv4 = (packet_classes >= PacketClass.IPV4) & ~ipv6
        found[ipv4] = self._ipv4.find(addresses[ipv4])
        found[ipv6] = self._ipv6.find(addresses[ipv6])
        return found


class Ranges:
    """The addresses of one IP version, cut into ranges where networks begin and end."""

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
        """Return the index of the smallest network that holds each address, or 0."""
        keys = np.ascontiguousarray(addresses[:, : self._size]).view(f"S{self._size}")[:, 0]
        found: Indices = self._indices[np.searchsorted(self._starts, keys, "right") - 1]
        return found


def _longest(by_length: Mapping[int, Mapping[int, int]], address: int, bits: int) -> int:
    """Return the index of the smallest network that holds the address, or 0."""
    for length in sorted(by_length, reverse=True):
        rest = bits - length
        if (index := by_length[length].get(address >> rest << rest)) is not None:
            return index
    return 0


class NamedNetworks:
    """The named networks of a file; `current` is the version in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.current = Networks({})

    def read(self) -> None:
        """Read the file and put it in force. Raises PktexpError with the line of a mistake."""
        self.current = Networks(read(self._path))


def read(path: Path) -> dict[Network, str]:
    """Read the name of each network. Raises PktexpError with the line of a mistake."""
    file = yamlfile.read(path)
    entries = file.mapping()
    if not entries:
        raise file.error("the file names no networks", HINT)
    if len(entries) > MOST_NAMES:
        raise file.error(f"{len(entries)} names, at most {MOST_NAMES} are allowed", "merge some")
    named: dict[Network, str] = {}
    for name, value in entries.items():
        for item in _prefixes(name, value):
            network = _network(item)
            if network in named:
                raise item.error(f"{network} already has the name '{named[network]}'")
            named[network] = name
    if len(named) > MOST_PREFIXES:
        raise file.error(f"{len(named)} networks, at most {MOST_PREFIXES} are allowed")
    return named


def _prefixes(name: str, value: Value) -> list[Value]:
    if name in ("", OTHER):
        raise value.error(f"'{name}' is reserved for all other addresses", "choose another name")
    if not (items := value.sequence()):
        raise value.error(f"'{name}' has no networks", HINT)
    return items


def _network(item: Value) -> Network:
    try:
        network = ip_network(item.text())
    except ValueError as error:
        raise item.error(f"not a network: {error}", HINT) from error
    if "%" in item.text():
        raise item.error("a network cannot have a zone", "remove '%' and the zone")
    return network
