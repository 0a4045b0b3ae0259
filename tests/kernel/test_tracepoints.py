"""The tracing programs of a service end with it, and are left out on unable kernels."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from support.netns.namespace import Namespace
from support.netns.traffic import addressed, knock
from support.patience import wait_for
from support.service.process import select, serving, total

Pair = tuple[Namespace, Namespace]


def test_a_killed_process_leaves_no_tracing_program(pair: Pair) -> None:
    _, b = pair
    with serving(b, status=-signal.SIGKILL) as service:
        files = Path(f"/proc/{service.pid}/fdinfo").iterdir()
        lines = [line for file in files for line in file.read_text().splitlines()]
        names = [line.split()[1] for line in lines if line.startswith("tp_name:")]
        links = {line.split()[1] for line in lines if line.startswith("link_id:")}
        assert sorted(names) == ["kfree_skb", "tcp_retransmit_skb"]
        assert links <= link_ids(b)
        service.stop(signal.SIGKILL)
        wait_for(lambda: not links & link_ids(b))


def link_ids(namespace: Namespace) -> set[str]:
    listed = namespace.run("bpftool", "link", "list").splitlines()
    return {line.split(":")[0] for line in listed if line[:1].isdigit()}


def patched(folder: Path, code: str) -> list[str]:
    """Return a command prefix that makes Python run `code` first."""
    (folder / "sitecustomize.py").write_text(code)
    return ["env", f"PYTHONPATH={folder}:{os.environ.get('PYTHONPATH', '')}"]


WITHOUT_REASON = """
from pktexp.bpf import probes
probes.tracepoint_arguments = lambda lib, name: 2 if name == "kfree_skb" else 0
"""
WITHOUT_PERFMON = """
import ctypes
from pktexp.bpf import probes
find = probes.tracepoint_arguments
def lose_the_capability(lib, name):
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(1 << 12, 1 << 12, 0, 1 << 7, 1 << 7, 0)  # NET_ADMIN and BPF
    assert ctypes.CDLL(None).capset(header, data) == 0
    return find(lib, name)
probes.tracepoint_arguments = lose_the_capability
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (WITHOUT_REASON, "this kernel does not report"),
        (WITHOUT_PERFMON, "load the BPF programs into the kernel: Operation not permitted"),
    ],
)
def test_an_unable_kernel_costs_one_log_line(
    pair: Pair, tmp_path: Path, code: str, why: str
) -> None:
    prefix = patched(tmp_path, code)
    with addressed(*pair) as (a, b), serving(b.namespace, prefix=prefix) as service:
        service.wait_until_attached("vb")
        knock(a, 999, 5)
        page = service.page_when(lambda page: total(page, "total_packets", interface="vb") == 5)
        said = service.messages()
    for what in ("dropped packets", "retransmitted segments"):
        (line,) = [message for message in said if message.startswith(what)]
        assert line.startswith(f"{what} are not counted: {why}")
    for family in ("pktexp_dropped_packets", "pktexp_tcp_retransmitted_segments"):
        assert not select(page, f"{family}_total")
    assert all(why in message for message in service.messages("WARNING", "ERROR"))
