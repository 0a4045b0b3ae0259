"""What pktexp may do, and what it still may when it has started."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.environments.privileged import NOBODY, SETS, as_nobody, held, mask, threads
from support.netns.namespace import Namespace, connect
from support.netns.traffic import Side, addressed, connection, drops_when, knock
from support.packets.cases import ETHER, V4
from support.patience import finished
from support.service.oldkernel import without_tcx
from support.service.process import Service, select, serving, total

Pair = tuple[Namespace, Namespace]
NEEDED = ("bpf", "net_admin", "perfmon")
RETRANSMITTED = "pktexp_tcp_retransmitted_segments_total"
GIVE_UP = """
import json, logging, sys, threading, time
from pktexp import privileges
from pktexp.privileges import held
logging.basicConfig()
if "thread" in sys.argv:
    threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
privileges.give_up("tcx" in sys.argv)
print(json.dumps({name: held(name) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd")}))
"""


@pytest.fixture(scope="module")
def installed(package: Path) -> Iterator[str]:
    """The package's Python packages in a place that everybody may read, which tmp_path is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        finished(["dpkg-deb", "--extract", package, folder], check=True)
        yield f"{folder}/usr/lib/pktexp"


@pytest.fixture
def sides(pair: Pair) -> Iterator[tuple[Side, Side]]:
    with addressed(*pair) as both:
        yield both


def by_nobody(installed: str, *capabilities: str) -> dict[str, Any]:
    """How to run a service so."""
    prefix = (*as_nobody(*capabilities), "env", f"PYTHONPATH={installed}")
    return {"prefix": prefix, "python": "/usr/bin/python3"}


def receive(service: Service, namespace: Namespace, peer: Namespace) -> None:
    """What came in at `vlater` from `vl` is counted as the kernel counts it."""
    service.wait_until_attached("vlater")
    before, _ = namespace.statistics("vlater")
    peer.send("vl", [bytes(ETHER / V4)] * 5)
    page = service.page_when(lambda page: total(page, "total_packets", interface="vlater") >= 5)
    after, _ = namespace.statistics("vlater")
    assert total(page, "total_packets", interface="vlater") == after - before == 5


def test_a_user_with_three_capabilities_sees_everything(
    sides: tuple[Side, Side], installed: str, namespaces: Callable[[], Namespace]
) -> None:
    a, b = sides
    with serving(b.namespace, **by_nobody(installed, *NEEDED)) as service:
        assert {thread["Uid"].split()[1] for thread in threads(service.pid)} == {str(NOBODY)}
        service.wait_until_attached("vb")
        knock(a, 999, 7)
        assert drops_when(service, "vb", 7) == {("vb", "no_socket"): 7}
        _, client = connection(a, b)
        a.drop("input", "tcp dport 80")
        client.send(b"anybody?")
        connect(elsewhere := namespaces(), b.namespace, "vl", "vlater")
        receive(service, b.namespace, elsewhere)
        page = service.page_when(lambda page: total(page, RETRANSMITTED, interface="vb"))
        assert select(page, "pktexp_flow_bytes_total", interface="vb", protocol="udp")
        (info,) = select(page, "pktexp_interface_info", interface="vlater")
        assert dict(info)["peer_netns"] == elsewhere.name
        assert page["process_open_fds", frozenset()] > 10


@pytest.mark.parametrize("ingress", ["tcx", "xdp-native", "xdp-generic"])
def test_later_interfaces_are_attached_without_capabilities(
    pair: Pair, installed: str, namespaces: Callable[[], Namespace], ingress: str
) -> None:
    options = ("--interfaces", "v*", "--ingress", ingress)
    with serving(pair[1], *options, **by_nobody(installed, *NEEDED)) as service:
        assert held(service.pid, *SETS) == {0}
        connect(later := namespaces(), pair[1], "vl", "vlater")
        assert service.wait_until_attached("vlater").startswith(ingress)
        receive(service, pair[1], later)
        assert held(service.pid, *SETS) == {0}
        assert {thread["NoNewPrivs"] for thread in threads(service.pid)} == {"1"}


def test_root_keeps_no_capability_in_any_thread(pair: Pair) -> None:
    with serving(pair[1]) as service:
        service.wait_until_attached("vb")
        assert len(threads(service.pid)) > 1
        assert held(service.pid, *SETS, "CapBnd") == {0}


def test_capabilities_for_clsact_filters_are_kept_without_tcx(
    pair: Pair, namespaces: Callable[[], Namespace], tmp_path: Path
) -> None:
    with serving(pair[1], python=without_tcx(tmp_path)) as service:
        connect(later := namespaces(), pair[1], "vl", "vlater")
        assert service.wait_until_attached("vlater") == "clsact-ingress"
        receive(service, pair[1], later)
        service.wait_for_line("capabilities kept: CAP_BPF, CAP_NET_ADMIN")
        assert held(service.pid, "CapPrm", "CapEff", "CapBnd") == {mask("bpf", "net_admin")}
        assert held(service.pid, "CapInh", "CapAmb") == {0}


def give_up(*arguments: str, before: tuple[str, ...] = ()) -> tuple[dict[str, int], str]:
    """What a process has left, and what it logged."""
    command = [*before, sys.executable, "-c", GIVE_UP, *arguments]
    done = finished(command, capture_output=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_cap_sys_admin_is_kept_in_place_of_cap_bpf() -> None:
    bounded = ("setpriv", "--bounding-set=-all,+sys_admin,+net_admin")
    left, _ = give_up(before=bounded)
    assert left["CapPrm"] == left["CapEff"] == mask("sys_admin", "net_admin")
    assert give_up("tcx", before=bounded)[0]["CapPrm"] == 0


def test_threads_older_than_the_change_cause_a_warning() -> None:
    assert "1 threads started earlier keep" in give_up("tcx", "thread")[1]
    assert not give_up("tcx")[1]


def test_missing_cap_perfmon_is_an_error(installed: str, pair: Pair) -> None:
    user = by_nobody(installed, "bpf", "net_admin")
    command = pair[1].command(*user["prefix"], user["python"], "-m", "pktexp", "serve")
    done = finished(command, capture_output=True)
    assert done.returncode == 1
    assert "pktexp: error: not allowed to load BPF programs: CAP_PERFMON missing" in done.stderr
