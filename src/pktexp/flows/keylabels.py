"""Labels of flows: a flow's key as text, with the pods at both ends.

Labels of a flow change only when pods change, so they are built once and remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from pktexp.kubernetes.pods import NO_POD, Pod
from pktexp.packet import labels
from pktexp.packet.records import FLOW_KEY, Records

KEY = FLOW_KEY.itemsize

Names = Mapping[int, str]
"""interface names by lease id"""
Owners = Mapping[bytes, Pod] | None
"""pods by address; None without names of pods"""

T = TypeVar("T")


class FlowLabels(NamedTuple):
    """The labels of a flow; "" where it has none."""

    interface: str
    direction: str
    protocol: str
    source: str
    dest: str
    source_namespace: str = ""
    source_pod: str = ""
    dest_namespace: str = ""
    dest_pod: str = ""

    @property
    def pods(self) -> dict[str, str]:
        """The labels that name the pods at both ends, by label name."""
        return {
            "source_namespace": self.source_namespace,
            "source_pod": self.source_pod,
            "dest_namespace": self.dest_namespace,
            "dest_pod": self.dest_pod,
        }


def raw_keys(keys: Records) -> list[bytes]:
    """Return each FLOW_KEY as bytes, as a key of dictionaries."""
    raw = keys.tobytes()
    return [raw[at : at + KEY] for at in range(0, len(raw), KEY)]


def flow_labels(raw: bytes, names: Names, owners: Owners) -> FlowLabels | None:
    """Return the labels of a key as bytes; None if `names` lacks its interface."""
    key = np.frombuffer(raw, FLOW_KEY)[0]
    name = names.get(int(key["interface"]))
    if name is None:
        return None
    protocol, _ = labels.PACKET_CLASSES[int(key["packet_class"])]
    direction = labels.DIRECTIONS[int(key["direction"])]
    source, dest = [(owners or {}).get(x, NO_POD) for x in labels.addresses(key)]
    pods = (source.namespace, source.name, dest.namespace, dest.name)
    return FlowLabels(name, direction, protocol, *labels.endpoints(key), *pods)


class Remembered(Generic[T]):
    """Values built from flow keys, each kept while its flow is shown and the pods stay the same."""

    def __init__(self, make: Callable[[bytes, Names, Owners], T]) -> None:
        self._make = make
        self._last: tuple[Owners, dict[bytes, T]] = (None, {})

    def __call__(self, raw: Sequence[bytes], names: Names, owners: Owners) -> dict[bytes, T]:
        """Return the value of each key of `raw`, in order; falsy values are not remembered."""
        before, known = self._last
        if owners is not before:
            known = {}
        made = {key: known.get(key) or self._make(key, names, owners) for key in raw}
        self._last = owners, made  # in one step: several threads write pages
        return made
