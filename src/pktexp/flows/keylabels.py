"""What a flow's key reads as; for flowpage.py, and live/flows.py.

It changes only with the pods (kubernetes/pods.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from pktexp.kubernetes.pods import NOBODY, Pod
from pktexp.packet import labels
from pktexp.packet.records import FLOW_KEY, Records

KEY = FLOW_KEY.itemsize

Names = Mapping[int, str]
"""interfaces by lease id"""
Owners = Mapping[bytes, Pod] | None
"""pods by address; None if they are not to be told"""

T = TypeVar("T")


class FlowLabels(NamedTuple):
    """As text; empty where there is none."""

    interface: str
    direction: str
    protocol: str
    source: str
    dest: str
    source_namespace: str
    source_pod: str
    dest_namespace: str
    dest_pod: str


def raw_keys(keys: Records) -> list[bytes]:
    """Each FLOW_KEY as bytes, to be looked up by."""
    raw = keys.tobytes()
    return [raw[at : at + KEY] for at in range(0, len(raw), KEY)]


def flow_labels(raw: bytes, names: Names, owners: Owners) -> FlowLabels | None:
    """Of one of `raw_keys`; None where its interface is none of `names`."""
    key = np.frombuffer(raw, FLOW_KEY)[0]
    name = names.get(int(key["interface"]))
    if name is None:
        return None
    protocol, _ = labels.PACKET_CLASSES[int(key["packet_class"])]
    direction = labels.DIRECTIONS[int(key["direction"])]
    source, dest = [(owners or {}).get(x, NOBODY) for x in labels.addresses(key)]
    pods = (source.namespace, source.name, dest.namespace, dest.name)
    return FlowLabels(name, direction, protocol, *labels.endpoints(key), *pods)


class Remembered(Generic[T]):
    """What is made of each flow's labels, once for as long as it is shown and the pods stay."""

    def __init__(self, make: Callable[[bytes, Names, Owners], T]) -> None:
        self._make = make
        self._last: tuple[Owners, dict[bytes, T]] = (None, {})

    def __call__(self, raw: Sequence[bytes], names: Names, owners: Owners) -> dict[bytes, T]:
        """By each of `raw_keys`, in their order; what is falsy is made anew each time."""
        before, known = self._last
        if owners is not before:
            known = {}
        made = {key: known.get(key) or self._make(key, names, owners) for key in raw}
        self._last = owners, made  # at once, as pages are written in more threads than one
        return made
