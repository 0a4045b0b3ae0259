"""`pktexp check` against what `pktexp serve` does, with and without privileges."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pktexp.bpf.hooks import Hooks
from pktexp.bpf.libbpf import Libbpf
from pktexp.commands.check.report import document as as_document
from pktexp.commands.check.report import table
from pktexp.commands.check.run import check
from pktexp.netlink.rtnetlink import NetlinkSocket
from support.kernel.attached import attached
from support.kernel.datapath import ROOT, build
from support.netns.namespace import Namespace, connect
from support.netns.tun import tun
from support.patience import finished
from support.service.process import select, serving
from support.service.settings import settings

PORT = ("--port", "0")
NO_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
# Keeps one capability that pktexp does not need: the interpreter may be in a private home.
READ = "-all,+dac_read_search"
NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *(f"--bounding-set={READ}", f"--inh-caps={READ}", f"--ambient-caps={READ}"),
)
CONTAINER = (
    *("unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"),
    'mount -o remount,ro /sys && ulimit -n 1024 && exec "$@"',
    *("sh", *NO_CAPABILITIES),
)
USER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork")
CAPABILITIES = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]
NAMES = ("lo", "vb", "vc", "vd", "occupied", "br0", "vxlan0", "tun0")


def checking(
    namespace: Namespace, *arguments: str, prefix: tuple[str, ...] = (), status: int = 0
) -> str:
    command = (*prefix, sys.executable, "-m", "pktexp", "check", *PORT, *arguments)
    done = finished(namespace.command(*command), capture_output=True)
    assert done.stderr == ""
    assert done.returncode == status, done.stdout
    return done.stdout


def found(*arguments: Any, **options: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(checking(*arguments, "--json", **options))
    return document


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in document["checks"]}


def hooks(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (place["name"], direction): place[direction]
        for place in document["interfaces"]
        for direction in ("ingress", "egress")
        if place[direction]
    }


@pytest.fixture
def zoo(namespaces: Callable[[], Namespace], tmp_path: Path) -> Iterator[Namespace]:
    """Yield a namespace with interfaces of all kinds; `occupied` has another XDP program."""
    a, b = namespaces(), namespaces()
    connect(a, b, "va", "vb")
    connect(a, b, "vo", "occupied")
    b.ip("link", "add", "vc", "type", "veth", "peer", "vd")
    b.ip("link", "add", "br0", "up", "type", "bridge")
    b.ip("link", "add", "vxlan0", "up", "type", "vxlan", "id", "7", "dstport", "4789", "dev", "vb")
    other = build(ROOT / "bench" / "impact.bpf.c", tmp_path)
    b.ip("link", "set", "occupied", "xdp", "object", str(other), "program", "pass_xdp")
    with tun(b, "tun0"):
        yield b


def state(namespace: Namespace) -> tuple[str, dict[str, dict[str, int]]]:
    return namespace.run("tc", "qdisc"), {name: attached(namespace, name) for name in NAMES}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--exclude-interfaces", "v*"),
        ("--interfaces", "v*", "--exclude-interfaces", "vd", "--no-egress"),
        ("--ingress", "tcx"),
        ("--ingress", "xdp"),
        ("--ingress", "xdp-native"),
        ("--ingress", "xdp-generic"),
        ("--ingress", "v*=xdp-native", "--ingress", "vd=xdp-generic", "--ingress", "tcx"),
    ],
)
def test_predicted_hooks_are_those_of_serve(zoo: Namespace, options: tuple[str, ...]) -> None:
    before = state(zoo)
    told = found(zoo, *options)
    assert state(zoo) == before
    with serving(zoo, *options) as service:
        page = select(service.page(), "pktexp_interface_attached")
    labels = [dict(key) for key, value in page.items() if value]
    assert hooks(told) == {(x["interface"], x["direction"]): x["hook"] for x in labels}
    assert told["works"]


def test_each_hook_has_a_reason(zoo: Namespace) -> None:
    options = ("--ingress", "xdp-native", "--exclude-interfaces", "vd", "--interfaces", "[!l]*")
    told = {place["name"]: place["why"] for place in found(zoo, *options)["interfaces"]}
    assert told["vd"] == "excluded by --exclude-interfaces"
    assert told["lo"] == "not among --interfaces"
    assert "not at xdp-native: another XDP program is attached" in told["occupied"]
    assert "not at xdp-native: its driver does not report native XDP" in told["br0"]
    assert told["vb"] == (
        "chosen by --ingress xdp-native; veth takes segmentation offload from its peer; "
        "XDP does not see the VLAN tags that the device strips, 4 bytes a tagged frame; "
        "at tcx-ingress if its driver refuses"
    )
    auto = {place["name"]: place["why"] for place in found(zoo)["interfaces"]}
    assert auto["vb"].startswith("virtual device")


def test_drivers_and_kinds_match_iproute2(zoo: Namespace) -> None:
    links = json.loads(zoo.ip("-details", "-j", "link", "show"))
    kinds = {x["ifname"]: x.get("linkinfo", {}).get("info_kind", "loopback") for x in links}
    places = {place["name"]: place for place in found(zoo)["interfaces"]}
    assert {name: place["kind"] for name, place in places.items()} == kinds
    drivers = {place["driver"] for place in places.values()}
    assert drivers == {"", "veth", "bridge", "vxlan", "tun"}


def test_check_attaches_and_changes_nothing(
    zoo: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    call = Libbpf.__call__

    def record(self: Libbpf, attempted: str, name: str, *arguments: Any) -> Any:
        calls.append(name)
        return call(self, attempted, name, *arguments)

    def fail(*_: Any) -> None:
        raise AssertionError("something is changed")

    monkeypatch.setattr(Libbpf, "__call__", record)
    monkeypatch.setattr(Hooks, "attach", fail)
    monkeypatch.setattr(NetlinkSocket, "change", fail)
    with zoo.entered():
        assert check(settings()).works
    assert "bpf_object__load" in calls
    assert "bpf_link_create" not in calls
    assert calls.count("bpf_object__open_file") == calls.count("bpf_object__close")


def test_table_and_document_have_the_same_findings(zoo: Namespace) -> None:
    with zoo.entered():
        checked = check(settings())
    lines, document = table(checked).splitlines(), json.loads(as_document(checked))
    for row in document["checks"]:
        line = next(x for x in lines if re.match(rf"  \w+ +{re.escape(row['name'])}  ", x + "  "))
        assert line.split()[0] == row["state"]
        assert line.endswith(row["detail"])
        assert not row["remedy"] or any(x.strip() == f"-> {row['remedy']}" for x in lines)
    head = next(i for i, line in enumerate(lines) if line.startswith("  name "))
    cut = [re.split(r"  +", line.strip()) for line in lines[head : head + 1 + len(NAMES)]]
    for cells, place in zip(cut[1:], document["interfaces"], strict=True):
        assert dict(zip(cut[0], cells, strict=True)) == {k: v or "-" for k, v in place.items()}
    assert lines[-1] == "pktexp serve would work with these options."


@pytest.mark.parametrize("prefix", [NO_CAPABILITIES, NOBODY, CONTAINER])
def test_missing_capabilities_are_named_and_the_rest_is_checked(
    zoo: Namespace, prefix: tuple[str, ...]
) -> None:
    told, all_told = found(zoo, prefix=prefix, status=1), found(zoo)
    assert not told["works"]
    assert [n for n, row in rows(told).items() if row["needed"] and row["state"] == "no"] == [
        *CAPABILITIES
    ]
    assert all("--cap-add" in rows(told)[name]["remedy"] for name in CAPABILITIES)
    assert told["interfaces"] == all_told["interfaces"]
    for name, row in rows(all_told).items():
        if row["section"] in ("kernel", "libbpf") and name != "BPF statistics":  # others switch it
            assert rows(told)[name] == row
    verdict = checking(zoo, prefix=prefix, status=1).splitlines()[-1]
    assert verdict.endswith("missing: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON")


def test_capabilities_in_a_user_namespace_are_not_enough(zoo: Namespace) -> None:
    told = rows(found(zoo, prefix=USER_NAMESPACE, status=1))
    for name in CAPABILITIES:
        assert told[name]["state"] == "no"
        assert "only inside a user namespace" in told[name]["detail"]
    command = (*USER_NAMESPACE, sys.executable, "-m", "pktexp", "serve", *PORT)
    served = finished(command, capture_output=True)
    assert served.returncode == 1
    assert "inside a user namespace" in served.stderr


def test_missing_sysfs_names_the_mount(zoo: Namespace) -> None:
    prefix = ("unshare", "--mount", "sh", "-c", 'umount -l /sys && exec "$@"', "sh")
    told = rows(found(zoo, prefix=prefix, status=1))
    assert told["sysfs"]["remedy"].startswith("mount")
    assert told["BPF programs"]["state"] == "no"


def test_port_in_use_and_too_many_interfaces_are_found(zoo: Namespace) -> None:
    for number in range(10):
        zoo.ip("link", "add", f"x{number}", "type", "bridge")
    with zoo.entered():
        taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        port = str(taken.getsockname()[1])
        arguments = ("--listen", "127.0.0.1", "--port", port, "--max-interfaces", "16")
        told = rows(found(zoo, *arguments, status=1))
    assert "already in use" in told["address"]["detail"]
    assert told["room"]["detail"] == "18 to count, room for 16"
    assert told["room"]["remedy"] == "raise --max-interfaces"


def test_invalid_web_configuration_is_found(zoo: Namespace, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("http_server_config: {}\n")
    assert rows(found(zoo, "--web-config", str(file)))["web"]["state"] == "yes"
    file.write_text("basic_auth: {}\n")
    row = rows(found(zoo, "--web-config", str(file), status=1))["web"]
    assert row["detail"] == f"{file}:1: unknown key 'basic_auth'"


def test_glob_without_match_is_reported_but_not_needed(zoo: Namespace) -> None:
    options = ("--interfaces", "vb", "--interfaces", "wlan*", "--ingress", "ib*=xdp")
    told = found(zoo, *options)
    for glob in ("wlan*", "ib*=xdp"):
        assert (rows(told)[glob]["state"], told["works"]) == ("no", True)


def test_names_are_escaped_where_output_is_ascii(zoo: Namespace) -> None:
    zoo.ip("link", "add", "é0", "type", "bridge")
    prefix = ("env", "PYTHONIOENCODING=ascii")
    assert "\\xe90" in checking(zoo, prefix=prefix)
    assert "\\xe90" not in checking(zoo)
    assert "é0" in {place["name"] for place in found(zoo, prefix=prefix)["interfaces"]}
