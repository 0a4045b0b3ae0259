"""`pktexp serve --pin`: packets are counted while the process is away, and nothing starts anew."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kernel.attached import attached, programs
from support.kernel.bpffs import mounted, pinned
from support.netns.namespace import Namespace, connect
from support.patience import finished, joined, wait_for
from support.service.api import frames
from support.service.oldkernel import without_tcx
from support.service.process import Page, Service, select, serving, total

RESTARTS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)
ROUND = frames(40)
KEEPING = (
    "total_packets",
    "pktexp_packets_total",
    "pktexp_bytes_total",
    "pktexp_icmp_packets_total",
)
Pair = tuple[Namespace, Namespace]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "bpf") as folder:
        yield folder / "pktexp"


def start(namespace: Namespace, root: Path, *options: str) -> Service:
    return Service(namespace, "--pin", str(root), "--interfaces", "v*", *options)


def pktexp(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = namespace.command(sys.executable, "-m", "pktexp", *arguments)
    return finished(command, capture_output=True)


class Sender(threading.Thread):
    """Sends numbered frames without a pause; `sent`: how many the kernel took."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._socket = namespace.packet_socket("va")
        self._stop_it = threading.Event()

    def run(self) -> None:
        while not self._stop_it.is_set():
            for frame in ROUND:
                numbered = frame[:-8] + self.sent.to_bytes(8)
                self._socket.send(numbered)
                self.sent += 1

    def finish(self) -> None:
        self._stop_it.set()
        joined(self)
        self._socket.close()


def counted(page: Page, interface: str = "vb") -> int:
    return total(page, "total_packets", interface=interface)


def restarted(
    service: Service, seen: int, number: int, root: Path, options: tuple[str, ...]
) -> tuple[Service, int]:
    """The next process, and what it has counted at its first page; meanwhile packets come."""
    vb = service.namespace
    wait_for(lambda: counted(service.page()) > seen)
    assert service.stop(number) == (0 if number == signal.SIGTERM else -number)
    away, _ = vb.statistics("vb")
    wait_for(lambda: vb.statistics("vb")[0] > away + 1000)  # nobody is there
    later = start(vb, root, *options)
    now = counted(later.page())
    assert now > seen + 1000, "counters begin anew"
    return later, now


@pytest.mark.parametrize(
    ("options", "restarts"),
    [
        ((), RESTARTS),
        (("--events", "packet"), RESTARTS[:2]),
        (("--ingress", "xdp-native", "--flows", "services"), RESTARTS[:2]),
    ],
    ids=["five restarts", "an event a packet", "native XDP"],
)
def test_pinned_programs_miss_no_packet_over_restarts(
    pair: Pair, root: Path, options: tuple[str, ...], restarts: tuple[signal.Signals, ...]
) -> None:
    a, b = pair
    service = start(b, root, *options)
    service.wait_until_attached("vb")
    before, seen = b.statistics("vb"), counted(service.page())
    sender = Sender(a)
    sender.start()
    for number in restarts:
        service, seen = restarted(service, seen, number, root, options)
    sender.finish()
    try:
        packets = b.statistics("vb")[0] - before[0]
        page = service.page()
        assert counted(page) == packets == sender.sent
        # The kernel's own bytes leave out the Ethernet header where native XDP is.
        bytes_ = total(page, "pktexp_bytes_total", interface="vb", direction="ingress")
        assert bytes_ == sender.sent * len(ROUND[0])
        checks = page["pktexp_accounting_checks_total", frozenset()]
        page = service.page_when(
            lambda page: page["pktexp_accounting_checks_total", frozenset()] > checks + 1
        )
        assert page["pktexp_unaccounted_packets", frozenset()] == 0
        assert service.messages("ERROR") == []
    finally:
        service.stop()


def test_pinned_links_run_the_programs_of_the_next_process(pair: Pair, root: Path) -> None:
    with serving(pair[1], "--pin", str(root), "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        first = programs(pair[1], "vb", "tcx-ingress")
    assert programs(pair[1], "vb", "tcx-ingress") == first
    names = pinned(root)
    with serving(pair[1], "--pin", str(root), "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        second = programs(pair[1], "vb", "tcx-ingress")
        assert len(second) == 1
        assert second != first
        assert pinned(root) == names
    assert pktexp(pair[1], "unpin", str(root)).returncode == 0
    assert attached(pair[1], "vb") == {}


def drops(a: Namespace, b: Namespace, root: Path, count: int) -> Page:
    """The page of another process, after three pings, and a datagram to nobody."""
    with serving(b, "--pin", str(root), "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        a.run("ping", "-qnc", "3", "-i", "0.01", "10.99.0.2")
        a.run("bash", "-c", "echo x >/dev/udp/10.99.0.2/9")
        drop = {"interface": "vb", "reason": "no_socket"}
        return service.page_when(
            lambda page: total(page, "pktexp_dropped_packets_total", **drop) == count
        )


def test_every_counter_continues_after_a_restart(pair: Pair, root: Path) -> None:
    a, b = pair
    a.ip("address", "add", "10.99.0.1/24", "dev", "va")
    b.ip("address", "add", "10.99.0.2/24", "dev", "vb")
    pages = [drops(a, b, root, count) for count in (1, 2)]
    for name in KEEPING:
        for key, value in select(pages[0], name).items():
            assert pages[1][name, key] >= value, (name, key)
    echo = {"interface": "vb", "direction": "ingress", "type": "echo_request"}
    assert total(pages[1], "pktexp_icmp_packets_total", **echo) == 6


def test_interface_changes_during_a_restart_are_applied(pair: Pair, root: Path) -> None:
    a, b = pair
    connect(a, b, "va2", "vb2")
    with serving(b, "--pin", str(root), "--interfaces", "v*") as service:
        for name in ("vb", "vb2"):
            service.wait_until_attached(name)
        a.send("va2", ROUND)
        wait_for(lambda: counted(service.page(), "vb2") == len(ROUND))
    b.ip("link", "delete", "vb2")
    connect(a, b, "va3", "vb3")
    with serving(b, "--pin", str(root), "--interfaces", "v*") as service:
        service.wait_until_attached("vb3")
        a.send("va3", ROUND)
        page = service.page_when(lambda page: counted(page, "vb3") == len(ROUND))
        assert counted(page, "vb2") == len(ROUND)  # its last value, for an hour
        indexes = {name.split("-")[1] for name in pinned(root) if name.startswith("link-")}
        assert indexes == {str(b.link(name)["ifindex"]) for name in ("vb", "vb3")}


def test_pins_of_another_layout_are_replaced_with_a_warning(pair: Pair, root: Path) -> None:
    a, b = pair
    with serving(b, "--pin", str(root), "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        a.send("va", ROUND)
        wait_for(lambda: counted(service.page()) == len(ROUND))
    (before,) = root.iterdir()
    with serving(b, "--pin", str(root), "--interfaces", "vb", "--max-interfaces", "64") as service:
        service.wait_until_attached("vb")
        (warning,) = service.messages("WARNING")
        assert warning == f"removing {before}: its layout of maps or network namespace is another"
        assert counted(service.page()) == 0
        assert attached(b, "vb") == {"tcx-ingress": 1, "tcx-egress": 1}


def test_incomplete_pins_are_replaced(pair: Pair, root: Path) -> None:
    with serving(pair[1], "--pin", str(root), "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
    (folder,) = root.iterdir()
    (folder / "leases").unlink()
    with serving(pair[1], "--pin", str(root), "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        pair[0].send("va", ROUND)
        wait_for(lambda: counted(service.page()) == len(ROUND))


def test_second_process_is_refused_with_the_id_of_the_first(pair: Pair, root: Path) -> None:
    with serving(pair[1], "--pin", str(root), "--interfaces", "vb") as service:
        for command in (("serve", "--port", "0", "--pin", str(root)), ("unpin", str(root))):
            done = pktexp(pair[1], *command)
            assert done.returncode == 1
            assert f"{root} is in use by process {service.pid} (" in done.stderr.splitlines()[-1]


def test_unpin_removes_everything_once(pair: Pair, root: Path) -> None:
    service = start(pair[1], root)
    service.wait_until_attached("vb")
    service.stop(signal.SIGKILL)
    assert attached(pair[1], "vb") == {"tcx-ingress": 1, "tcx-egress": 1}
    done = pktexp(pair[1], "unpin", str(root))
    assert (done.returncode, done.stdout) == (0, f"{root}: removed 4 links and 12 maps\n")
    assert attached(pair[1], "vb") == {}
    assert not root.exists()
    again = pktexp(pair[1], "unpin", str(root))
    assert again.returncode == 1
    assert f"nothing is pinned at {root}" in again.stderr


def test_unpin_keeps_pins_of_other_programs(pair: Pair, root: Path) -> None:
    (root / "theirs" / "below").mkdir(parents=True)
    for options in ((), ("--max-interfaces", "64")):
        with serving(pair[1], "--pin", str(root), *options) as service:
            service.wait_until_attached("vb")
    assert pktexp(pair[1], "unpin", str(root)).returncode == 0
    assert [path.name for path in root.rglob("*")] == ["theirs", "below"]


def test_folder_outside_a_bpffs_is_refused_with_a_hint(pair: Pair, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "below"):
        done = pktexp(pair[1], "serve", "--port", "0", "--pin", str(path))
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()[-1:]
        assert f"cannot pin at {path}: " in line
        assert "mount -t bpf" in line


def test_check_reports_pinning_without_making_pins(pair: Pair, root: Path) -> None:
    def checked(path: Path) -> tuple[int, str]:
        done = pktexp(pair[1], "check", "--port", "0", "--pin", str(path))
        (line,) = [line for line in done.stdout.splitlines() if re.match("  (yes|no) +pins ", line)]
        return done.returncode, line

    assert checked(root)[0] == 0
    assert not root.exists()
    status, line = checked(root.parent.parent)
    assert (status, line.endswith("it is not on a bpffs")) == (1, True)
    with serving(pair[1], "--pin", str(root)) as service:
        status, line = checked(root)
        assert (status, f"in use by process {service.pid}" in line) == (1, True)
        assert service.messages("ERROR") == []
    assert checked(root)[0] == 0
    assert attached(pair[1], "vb") == {"tcx-ingress": 1, "tcx-egress": 1}  # as before


def test_without_tcx_pinning_is_refused(pair: Pair, root: Path, tmp_path: Path) -> None:
    command = (without_tcx(tmp_path), "-m", "pktexp", "serve", "--port", "0", "--pin", str(root))
    done = finished(pair[1].command(*command), capture_output=True)
    assert done.returncode == 1
    error = "--pin needs TCX, which this kernel lacks (use Linux 6.6 or later, or leave out --pin)"
    assert error in done.stderr
    assert not root.exists()


def test_killed_process_leaves_nothing_without_pins(pair: Pair) -> None:
    service = Service(pair[1], "--interfaces", "vb")
    service.wait_until_attached("vb")
    service.stop(signal.SIGKILL)
    wait_for(lambda: attached(pair[1], "vb") == {})
