"""What a flow's key reads as; for flowpage.py, and live/flows.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pktexp import labels
from pktexp.kernel.records import FLOW_KEY, Records

KEY = FLOW_KEY.itemsize


class FlowLabels(NamedTuple):
    """They never change for as long as the flow is shown."""

    interface: str
    direction: str
    protocol: str
    source: str
    dest: str


def raw_keys(keys: Records) -> list[bytes]:
    """Each FLOW_KEY as bytes, to be looked up by."""
    raw = keys.tobytes()
    return [raw[at : at + KEY] for at in range(0, len(raw), KEY)]


def flow_labels(raw: bytes, names: Mapping[int, str]) -> FlowLabels | None:
    """Of one of `raw_keys`; None where its interface is none of `names` (by lease id)."""
    key = np.frombuffer(raw, FLOW_KEY)[0]
    name = names.get(int(key["interface"]))
    if name is None:
        return None
    protocol, _ = labels.CLASSES[int(key["packet_class"])]
    direction = labels.DIRECTIONS[int(key["direction"])]
    return FlowLabels(name, direction, protocol, *labels.endpoints(key))
