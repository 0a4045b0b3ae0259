"""The API's document of the history."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from pktexp.bpf.clock import boot_time
from pktexp.interfaces.leases import Lease
from pktexp.live.history import F32, UNITS, Group, History
from pktexp.live.sample import Sample
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.packet import labels
from pktexp.packet.enums import Direction

GROUPS = [group.name.lower() for group in Group]


def past(
    history: History,
    last: Sample,
    known: Mapping[str, Link],
    interface: str,
    seconds: int,
    step: int,
) -> dict[str, Any]:
    """Build the document for interfaces whose names match a glob and that have a ring."""
    length = -(-seconds // step)
    leases = [lease for lease in last.leases if fnmatch.fnmatchcase(lease.name, interface)]
    end = history.last if history.last is not None else int(boot_time())
    rings = dict(_rings(history, leases, last.directions, known, seconds, step))
    start = time.time() - boot_time() + end - length * step
    return {
        "start": round(start, 3),
        "second": end,
        "step": step,
        "length": length,
        "interfaces": rings,
    }


def _rings(
    history: History,
    leases: Sequence[Lease],
    directions: Sequence[Direction],
    known: Mapping[str, Link],
    seconds: int,
    step: int,
) -> Iterator[tuple[str, orjson.Fragment]]:
    for lease in leases:
        if (rates := history.read(lease.id, seconds, step)) is not None:
            link = known.get(lease.name)
            kind = link.interface_class if link else InterfaceClass.VIRTUAL
            document = {"class": kind.value, "egress": None} | _document(rates, directions)
            # Written one by one, as the interpreter's lock is held for as long as one takes.
            written = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
            yield lease.name, orjson.Fragment(written)


def _document(rates: F32, directions: Sequence[Direction]) -> dict[str, Any]:
    rates = np.ascontiguousarray(rates)
    return {
        labels.DIRECTIONS[d]: {
            "protocols": {
                name: {unit: rates[d, group, u] for u, unit in enumerate(UNITS)}
                for group, name in enumerate(GROUPS)
            }
        }
        for d in directions
    }
