"""Fixtures: libbpf, and datapaths for BPF_PROG_TEST_RUN, as if `lo` had received the frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pktexp.bpf import libbpf
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import OBJECT, Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.options import DatapathOptions
from pktexp.packet.enums import LinkType
from support.kernel.datapath import LOOPBACK, SLOT, Bench


@pytest.fixture(scope="session", params=list(libbpf.candidates()))
def lib(request: pytest.FixtureRequest) -> Libbpf:
    """Each available libbpf: the wheel's and the system's."""
    return Libbpf(request.param)


@pytest.fixture
def bench(lib: Libbpf) -> Iterator[Callable[..., Bench]]:
    """Load datapaths with the given options; close them at the end."""
    loaded: list[Datapath] = []

    def load(link_type: LinkType = LinkType.ETHERNET, path: Path = OBJECT, **options: int) -> Bench:
        datapath = Datapath(lib, DatapathOptions(**options), path)  # type: ignore[arg-type]
        loaded.append(datapath)
        table = InterfaceTable(datapath.interfaces)
        assert table.set(LOOPBACK, SLOT, link_type)
        datapath.counters.require(SLOT)
        return Bench(datapath, table, datapath.counters)

    yield load
    for datapath in loaded:
        datapath.close()


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Run the test, and so its packets, on one CPU."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)
