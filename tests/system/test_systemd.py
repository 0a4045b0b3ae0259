"""The Debian package and its unit, under a real systemd in a network namespace."""

from __future__ import annotations

import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.environments.booted import Machine, booted
from support.environments.privileged import SETS
from support.kernel.attached import attached
from support.netns.namespace import Namespace, connect
from support.netns.traffic import addressed, drops, knock
from support.patience import PATIENCE, finished, wait_for
from support.service.process import Page, parse, select, total

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "pktexp.service"
# Upon SIGUSR1 the thread of the event loop does nothing any more.
HANG = """
import signal, time
def hang(*_):
    time.sleep(1000)
signal.signal(signal.SIGUSR1, hang)
"""
IMPATIENT = """
[Service]
WatchdogSec=2
RestartSec=0
Environment=PYTHONPATH=/opt/hang
"""
EXAMPLES = "/usr/share/doc/pktexp/examples"
HANGING = "/opt/hang/hang.conf"
DROP_INS = "/run/systemd/system/pktexp.service.d"
DPKG = ("--no-triggers",)  # of man-db, which takes seconds


@dataclass
class Installed:
    """The package on a machine that has `vb`, joined to a peer's `va`."""

    machine: Machine
    namespace: Namespace
    peer: Namespace

    def page(self) -> Page:
        with self.namespace.entered():
            url = "http://localhost:8080/metrics"
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return parse(answer.read().decode())

    def systemctl(self, *arguments: str) -> None:
        self.machine.run("systemctl", *arguments)

    def show(self, name: str) -> str:
        return self.machine.show("pktexp", name)


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder, files = tmp_path_factory.mktemp("layer"), tmp_path_factory.mktemp("files")
    shutil.copy(package, files / "pktexp.deb")
    (files / "opt/hang").mkdir(parents=True)
    (files / "opt/hang/sitecustomize.py").write_text(HANG)
    (files / HANGING.lstrip("/")).write_text(IMPATIENT)
    here, peer = Namespace(), Namespace()
    try:
        connect(peer, here, "va", "vb")
        with booted(here, folder, files) as machine:
            machine.run("dpkg", *DPKG, "--install", "/pktexp.deb")
            yield Installed(machine, here, peer)
    finally:
        here.remove()
        peer.remove()


def test_only_root_may_write_files_of_the_package(package: Path) -> None:
    listed = finished(["dpkg", "--contents", package], capture_output=True, check=True)
    rows = [line.split(maxsplit=5) for line in listed.stdout.splitlines()]
    assert {owner for _, owner, *_ in rows} == {"root/root"}
    assert {mode for mode, *_ in rows} <= {"-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x"}
    names = {row[5].removeprefix("./") for row in rows}
    extras = ("man/man1/pktexp-serve.1.gz", "bash-completion/completions/pktexp")
    assert {"usr/bin/pktexp", *(f"usr/share/{name}" for name in extras)} <= names
    assert not {name for name in names if "llvmlite" in name}


def test_installation_starts_the_unit_until_it_is_attached(installed: Installed) -> None:
    assert installed.show("UnitFileState") == "enabled"
    for _ in range(2):
        assert installed.show("ActiveState") == "active"
        assert attached(installed.namespace, "vb") == {"tcx-ingress": 1, "tcx-egress": 1}
        assert installed.page()
        status = "counting 2 interfaces, http://localhost:8080/metrics"
        assert installed.show("StatusText") == status
        installed.systemctl("restart", "pktexp")  # returns when it is ready


def test_restart_with_the_pin_drop_in_misses_no_packet(installed: Installed) -> None:
    machine, namespace = installed.machine, installed.namespace
    installed.systemctl("stop", "pktexp")  # its dynamic user has the name till then
    machine.run("useradd", "--system", "--no-create-home", "pktexp")
    machine.run("install", "-D", f"{EXAMPLES}/pin.conf", f"{DROP_INS}/pin.conf")
    machine.run("cp", f"{EXAMPLES}/run-pktexp.mount", "/run/systemd/system")
    try:
        installed.systemctl("daemon-reload")
        installed.systemctl("start", "pktexp")
        namespace.ip("link", "add", "vlate", "type", "veth", "peer", "vl")  # without capabilities
        both = {"tcx-ingress": 1, "tcx-egress": 1}
        wait_for(lambda: attached(namespace, "vlate") == both)
        installed.systemctl("stop", "pktexp")
        assert [attached(namespace, name) for name in ("vb", "vlate")] == [both, both]
        before, _ = namespace.statistics("vb")
        installed.peer.send("va", [bytes(60)] * 9)
        after, _ = namespace.statistics("vb")
        installed.systemctl("start", "pktexp")
        assert 9 <= after - before <= total(installed.page(), "total_packets", interface="vb")
    finally:
        machine.run("rm", f"{DROP_INS}/pin.conf")
        installed.systemctl("daemon-reload")
        installed.systemctl("stop", "pktexp")
        told = machine.run("pktexp", "unpin", "/run/pktexp")
        machine.run("userdel", "pktexp")
        namespace.ip("link", "delete", "vlate")
    assert re.search(r": removed \d+ links and 12 maps$", told.rstrip())
    assert attached(namespace, "vb") == {}
    installed.systemctl("start", "pktexp")


def test_unit_is_valid_with_little_exposure(installed: Installed) -> None:
    verify = installed.machine.command("systemd-analyze", "verify", "pktexp.service")
    done = finished(verify, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    offline = ("systemd-analyze", "security", "--offline=true", "--threshold=30", str(UNIT))
    done = finished(offline, capture_output=True)
    assert done.returncode == 0, done.stdout


def test_unit_runs_as_its_own_user_without_capabilities(installed: Installed) -> None:
    tasks = f"cat /proc/{installed.show('MainPID')}/task/*/status"
    lines = installed.machine.run("sh", "-c", tasks).splitlines()
    said = {name: {line for line in lines if line.startswith(f"{name}:")} for name in SETS}
    assert said == {name: {f"{name}:\t{0:016x}"} for name in SETS}
    (user,) = {line.split()[2] for line in lines if line.startswith("Uid:")}
    assert int(user) >= 61184  # systemd's range of dynamic users
    assert "Seccomp:\t2" in lines


def test_hardened_unit_counts_drops_and_namespaces(installed: Installed) -> None:
    with addressed(installed.peer, installed.namespace) as (peer, _):
        knock(peer, 999, 7)
        wait_for(lambda: drops(installed.page(), "vb").get(("vb", "no_socket")) == 7)
    installed.machine.run("ip", "netns", "add", "inner")
    link = ("ip", "link", "add", "vlater", "type", "veth", "peer", "vi", "netns", "inner")
    installed.machine.run(*link)
    told = {"interface": "vlater", "peer_netns": "inner"}
    wait_for(lambda: select(installed.page(), "pktexp_interface_info", **told))
    hooks = {"tcx-ingress": 1, "tcx-egress": 1}
    wait_for(lambda: attached(installed.namespace, "vlater") == hooks)
    installed.namespace.ip("link", "delete", "vlater")


def test_reload_ends_once_the_files_are_read(installed: Installed) -> None:
    process = installed.show("MainPID")
    installed.systemctl("reload", "pktexp")
    wait_for(lambda: installed.machine.said("pktexp", "SIGHUP: no file"))
    wait_for(lambda: installed.show("SubState") == "running")
    assert installed.show("MainPID") == process


def test_variables_of_etc_default_are_options(installed: Installed) -> None:
    installed.machine.run("sh", "-c", "echo PKTEXP_INGRESS=xdp >>/etc/default/pktexp")
    installed.systemctl("restart", "pktexp")
    assert attached(installed.namespace, "vb") == {"xdp": 1, "tcx-egress": 1}


def test_hung_loop_is_logged_and_restarted(installed: Installed) -> None:
    installed.machine.run("install", "-D", HANGING, f"{DROP_INS}/hang.conf")
    installed.systemctl("daemon-reload")
    installed.systemctl("restart", "pktexp")
    installed.systemctl("kill", "--signal=USR1", "--kill-who=main", "pktexp")
    wait_for(lambda: int(installed.show("NRestarts")) >= 1)
    wait_for(lambda: installed.show("SubState") == "running")
    assert installed.machine.said("pktexp", "Watchdog timeout")
    assert installed.machine.said("pktexp", "sitecustomize.py")  # the traceback of the hung thread
    assert "tcx-egress" in attached(installed.namespace, "vb")
    installed.machine.run("rm", f"{DROP_INS}/hang.conf")
    installed.systemctl("daemon-reload")


def test_wrong_option_causes_no_restart(installed: Installed) -> None:
    installed.systemctl("stop", "pktexp")
    installed.machine.run("sh", "-c", "echo PKTEXP_PORT=high >>/etc/default/pktexp")
    installed.machine.run("sh", "-c", "! systemctl start pktexp")
    assert installed.show("ActiveState") == "failed"
    assert installed.machine.said("pktexp", "'high' is not a valid integer")
    installed.machine.run("sed", "-i", "/PKTEXP/d", "/etc/default/pktexp")
    installed.systemctl("start", "pktexp")


def test_stopped_unit_leaves_nothing_attached(installed: Installed) -> None:
    assert attached(installed.namespace, "vb")
    installed.systemctl("stop", "pktexp")
    assert attached(installed.namespace, "vb") == {}
    assert installed.show("Result") == "success"


def test_purging_leaves_nothing(installed: Installed) -> None:
    """The last test, as there is nothing then."""
    installed.systemctl("start", "pktexp")
    files = installed.machine.run("dpkg", "--listfiles", "pktexp").splitlines()
    own = [file for file in files if "pktexp" in file]
    assert "/etc/default/pktexp" in own
    installed.machine.run("dpkg", *DPKG, "--purge", "pktexp")
    assert attached(installed.namespace, "vb") == {}
    left = 'for file; do [ ! -e "$file" ] || echo "$file"; done'
    assert installed.machine.run("sh", "-c", left, "sh", *own) == ""
    assert installed.show("LoadState") == "not-found"
