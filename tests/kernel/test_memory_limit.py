"""Sizes that cannot fit are an error before anything is loaded, by the machine or a cgroup."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktexp.bpf import libbpf
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.probes import highest_online_cpu
from pktexp.packet.records import CHUNK_SLOTS
from support.environments.memorylimit import limited
from support.kernel.attached import attached
from support.kernel.datapath import chunk_fd
from support.netns.namespace import Namespace

LIMIT = 150 << 20
RINGS = ("--ring-size", "1073741824", "--workers", "256")
CACHE = ("--flow-cache", "256MiB")
AT_ONCE = 20.0  # seconds; loading such maps takes a minute or more


@pytest.fixture
def here(pair: tuple[Namespace, Namespace]) -> Namespace:
    return pair[1]


@pytest.fixture(params=["the cgroup itself", "a cgroup above"])
def small(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """What runs a command in a cgroup with LIMIT, or in one inside it without a limit."""
    with limited(LIMIT) as prefix:
        if request.param == "the cgroup itself":
            yield prefix
            return
        (procs,) = [part for part in prefix[2].replace(">", " ").split() if "cgroup.procs" in part]
        inner = Path(procs.rstrip(";")).parent / "inner"
        inner.mkdir()
        try:
            yield tuple(part.replace("/cgroup.procs", "/inner/cgroup.procs") for part in prefix)
        finally:
            for _ in range(100):
                try:
                    inner.rmdir()
                except OSError:  # the kernel has not buried its processes yet
                    time.sleep(0.05)
                else:
                    break


def run(
    namespace: Namespace, command: str, *arguments: str, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    # Not by `ip netns exec`, which hides the cgroups' file systems.
    inside = ("nsenter", f"--net=/run/netns/{namespace.name}")
    full = (*prefix, *inside, sys.executable, "-m", "pktexp", command, "--port", "0", *arguments)
    return subprocess.run(full, capture_output=True, text=True, check=False, timeout=AT_ONCE)


def check_refusal(
    namespace: Namespace, options: tuple[str, ...], prefix: tuple[str, ...] = ()
) -> dict[str, str]:
    """Compare `serve` with `check`; return the row of `check`."""
    served = run(namespace, "serve", "--log-level", "error", *options, prefix=prefix)
    checked = run(namespace, "check", "--json", *options, prefix=prefix)
    assert (served.returncode, checked.returncode) == (1, 1)
    rows: dict[str, dict[str, str]] = {
        row["name"]: row for row in json.loads(checked.stdout)["checks"]
    }
    row = rows["memory"]
    assert served.stderr == f"pktexp: error: {row['detail']} ({row['remedy']})\n"
    assert rows["BPF programs"]["state"] == "unknown"
    assert attached(namespace, "vb") == {}
    return row


def test_rings_that_exceed_the_machine_are_refused(here: Namespace) -> None:
    row = check_refusal(here, RINGS)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert "rings 256 GiB + " in row["detail"]
    assert row["detail"].endswith(f"this machine's memory is {memory / (1 << 30):.4g} GiB")
    assert row["remedy"] == "lower --ring-size or --workers"


def test_cache_that_exceeds_a_cgroup_is_refused(here: Namespace, small: tuple[str, ...]) -> None:
    row = check_refusal(here, CACHE, small)
    assert "flow cache 256 MiB + " in row["detail"]
    assert row["detail"].endswith(" is 150 MiB")
    assert row["remedy"] == "lower --flow-cache"


def test_defaults_fit_where_the_cache_does_not(here: Namespace, small: tuple[str, ...]) -> None:
    assert run(here, "check", prefix=small).returncode == 0


def charged(fd: int) -> int:
    """Return the bytes that the kernel charges for a map."""
    info = Path(f"/proc/self/fdinfo/{fd}").read_text()
    return int(info.split("memlock:")[1].split()[0])


def test_expected_memory_is_that_of_the_kernels_maps() -> None:
    options = DatapathOptions(slots=512, rings=2, ring_size=1 << 20, flow_cache=16384)
    interfaces = CHUNK_SLOTS + 1
    datapath = Datapath(libbpf.find(), options)
    try:
        for slot in range(interfaces):
            datapath.counters.require(slot)
        expected = options.memory(highest_online_cpu() + 1, interfaces)
        assert sum(expected) == datapath.kernel_bytes
        chunk = chunk_fd(datapath, 0)
        tables = [datapath.object.map_fd(name) for name in ("interfaces", "leases", "counters")]
        counters = 2 * charged(chunk) + sum(map(charged, tables))
        os.close(chunk)
        cache = charged(datapath.object.map_fd("flows"))
        for size, real in ((expected.counters, counters), (expected.flow_cache, cache)):
            assert size <= real <= size + (64 << 10)  # whole pages, and the maps themselves
    finally:
        datapath.close()
