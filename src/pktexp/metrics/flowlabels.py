"""Labels of flows as text for Prometheus, written by numpy for many flows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pktexp.flows.columns import Indices
from pktexp.flows.keylabels import Names, Owners
from pktexp.kubernetes.pods import NO_POD, Pod
from pktexp.metrics.exposition import label
from pktexp.packet import labels
from pktexp.packet.endpoints import Texts, endpoints, lines_of, padded, versions
from pktexp.packet.records import Records

BATCH = 8192  # flows; bounds the memory, as a name of a pod may be long
POD_LABELS = ("source_namespace", "source_pod", "dest_namespace", "dest_pod")
SITE_BITS, CLASS_BITS = 8, 8


def flow_texts(keys: Records, names: Names, owners: Owners) -> Iterator[str]:
    """Yield the labels of each FLOW_KEY, all of whose interfaces are in `names`."""
    if not len(keys):
        return
    pods = None if owners is None else _Pods(owners)
    for start in range(0, len(keys), BATCH):
        yield from _batch(keys[start : start + BATCH], names, pods)


def other_text(interface: str, direction: str, owners: Owners) -> str:
    """Return the labels of the flows of an interface that are not shown."""
    nobody = "" if owners is None else "".join(f",{label(name, '')}" for name in POD_LABELS)
    middle = _middle(interface, direction, labels.OTHER)
    return f'dest="{labels.OTHER}{middle}{labels.OTHER}"{nobody}'


def _batch(keys: Records, names: Names, pods: _Pods | None) -> list[str]:
    sources, dests = endpoints(keys)
    columns = [_constant('dest="', keys), dests, _middles(keys, names), sources]
    columns += [_constant('"', keys), *(pods.columns(keys) if pods else ()), _constant("\n", keys)]
    return lines_of(*columns)


def _constant(text: str, keys: Records) -> Texts:
    return np.repeat(padded([text.encode()]), len(keys), axis=0)


def _middles(keys: Records, names: Names) -> Texts:
    """Return the labels between the two addresses, which many flows have in common."""
    codes = keys["interface"].astype(np.uint64) << np.uint64(SITE_BITS + CLASS_BITS)
    codes |= keys["direction"].astype(np.uint64) << np.uint64(CLASS_BITS) | keys["packet_class"]
    _, first, places = np.unique(codes, return_index=True, return_inverse=True)
    texts = [
        _middle(
            names[int(key["interface"])],
            labels.DIRECTIONS[int(key["direction"])],
            labels.PACKET_CLASSES[int(key["packet_class"])][0],
        )
        for key in keys[first]
    ]
    return padded([text.encode() for text in texts])[places]


def _middle(interface: str, direction: str, protocol: str) -> str:
    name = label("interface", interface)  # the others have nothing to escape
    return f'",direction="{direction}",{name},protocol="{protocol}",source="'


class _Pods:
    """Labels of the pods at both ends of flows, found by address."""

    def __init__(self, owners: Mapping[bytes, Pod]) -> None:
        pods = [NO_POD, *owners.values()]
        pairs = POD_LABELS[:2], POD_LABELS[2:]
        self._texts = [
            padded([f",{label(a, p.namespace)},{label(b, p.name)}".encode() for p in pods])
            for a, b in pairs
        ]
        numbers = {address: at for at, address in enumerate(owners, 1)}
        self._ipv4, self._ipv6 = (_Addresses(numbers, size) for size in (4, 16))

    def columns(self, keys: Records) -> list[Texts]:
        """Return the labels of source and destination; "" where an address is no pod's."""
        ipv4, ipv6 = versions(keys)
        columns = []
        for field, texts in zip(("saddr", "daddr"), self._texts, strict=True):
            pods = np.zeros(len(keys), np.intp)
            pods[ipv4] = self._ipv4.find(keys[field][ipv4])
            pods[ipv6] = self._ipv6.find(keys[field][ipv6])
            columns.append(texts.take(pods, axis=0))
        return columns


class _Addresses:
    """Numbers, from 1, by address; for addresses of one size in bytes."""

    def __init__(self, numbers: Mapping[bytes, int], size: int) -> None:
        chosen = sorted(address for address in numbers if len(address) == size)
        self._size = size
        self._addresses = np.array([*chosen, b"\xff" * size], f"S{size}")  # no search ends beyond
        self._numbers = np.array([*(numbers[address] for address in chosen), 0])

    def find(self, addresses: Records) -> Indices:
        """Return the number of each address, (n, 16) bytes as in flow records, or 0."""
        wanted = np.ascontiguousarray(addresses[:, : self._size]).view(f"S{self._size}")[:, 0]
        at = np.searchsorted(self._addresses, wanted)
        return np.where(self._addresses[at] == wanted, self._numbers[at], 0)
