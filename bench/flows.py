"""Flows in the order in which their packets come, for the programs of pick.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pktexp.bpf.object import BpfObject
from pktexp.packet.records import Records

SEQUENCE = 1 << 20  # as in pick.h
ZIPF = 1.1


def order(flows: int, zipf: bool = False) -> npt.NDArray[np.uint64]:
    """SEQUENCE numbers of flows, the same at every call: uniform, or by Zipf's law."""
    rng = np.random.default_rng(1)
    weights = np.arange(1, flows + 1, dtype=float) ** (-ZIPF if zipf else 0)
    return rng.choice(flows, SEQUENCE, p=weights / weights.sum()).astype(np.uint64)


def view(loaded: BpfObject) -> Records:
    """Where the order goes."""
    return loaded.view("sequence", np.dtype("u8"), SEQUENCE)
