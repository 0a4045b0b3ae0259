"""Interfaces: failures of netlink and of attaching are counted and retried."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import replace

import pytest

from pktexp.bpf.ingressrules import IngressMode, IngressRule, IngressRules
from pktexp.interfaces import tracker, turns
from pktexp.interfaces.namefilter import NameFilter
from pktexp.packet.enums import Direction
from support.patience import until
from support.tracked import hooks, link, made

REFUSED = OSError(95, "Operation not supported")


def test_netlink_error_is_counted_and_not_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces, _, monitor = made()
    monitor.error = OSError("netlink broke")
    interfaces.look()
    assert interfaces.failures.count == 1
    assert "netlink broke" in caplog.text
    monitor.error = None
    monitor.links = {1: link(1)}
    interfaces.look()
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]


def test_refused_attachment_is_retried_only_after_a_change() -> None:
    interfaces, datapath, monitor = made()
    monitor.links = {1: link(1, up=False)}
    datapath.errors = dict.fromkeys(Direction, REFUSED)
    interfaces.look()
    interfaces.look()
    assert interfaces.attach_failures == 2
    assert hooks(interfaces) == ["none", "none"]
    assert not interfaces.attached
    datapath.errors = {}
    interfaces.look()
    assert hooks(interfaces) == ["none", "none"]
    monitor.links = {1: link(1, up=True)}
    interfaces.look()
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]
    assert interfaces.attached


def test_interface_refusing_one_direction_is_counted_in_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces, datapath, monitor = made()
    monitor.links = {1: link(1)}
    datapath.errors = {Direction.EGRESS: REFUSED}
    interfaces.look()
    assert hooks(interfaces) == ["tcx-ingress", "none"]
    assert interfaces.attached
    assert interfaces.attach_failures == 1
    assert "eth1: egress not counted: " in caplog.text
    datapath.errors = {}
    monitor.links = {1: link(1, up=False)}
    interfaces.look()
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]


def test_interfaces_beyond_the_limit_log_the_option_to_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces, datapath, monitor = made(slots=4)
    monitor.links = {n: link(n) for n in range(1, 6)}
    interfaces.look()
    states = Counter(interfaces.snapshot().hooks.values())
    assert states == {"none": 2, "tcx-ingress": 4, "tcx-egress": 4}
    assert len(datapath.attached) == 8
    assert "raise --max-interfaces" in caplog.text
    assert interfaces.attach_failures == 1


def test_interface_renamed_to_another_ingress_hook_is_attached_there() -> None:
    rules = IngressRules([IngressRule(IngressMode.XDP_NATIVE, "wan*")])
    interfaces, datapath, monitor = made(ingress=rules)
    eth = link(1)
    for name, expected in (
        ("eth1", "tcx-ingress"),
        ("eth9", "tcx-ingress"),
        ("wan1", "xdp-native"),
    ):
        monitor.links = {1: replace(eth, name=name)}
        interfaces.look()
        assert hooks(interfaces, name) == [expected, "tcx-egress"]
    assert len(datapath.tried) == 4  # not at the first rename


async def test_waiting_port_of_a_bond_is_attached_without_a_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "SETTLE", 0.01)
    monkeypatch.setattr(tracker, "SETTLE", 0.01)
    monkeypatch.setattr(tracker, "WATCH", 3600)
    interfaces, _, monitor = made(ingress=IngressRules([IngressRule(IngressMode.XDP)]))
    monitor.links = {
        n: replace(link(n), master=9, master_kind="bond", carrier=True)
        for n in (1 << 30, 2)  # the first does not exist: its turn is over when it is looked at
    }
    interfaces.look()
    assert hooks(interfaces, "eth2") == ["none", "tcx-egress"]
    silent = socket.socket()
    monitor.fileno = silent.fileno
    following = asyncio.ensure_future(interfaces.follow())
    await until(lambda: hooks(interfaces, "eth2")[0] != "none")
    following.cancel()
    await asyncio.wait([following])
    silent.close()
    assert hooks(interfaces, "eth2") == ["xdp-native", "tcx-egress"]


def test_glob_of_ingress_without_an_interface_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    rules = IngressRules([IngressRule(IngressMode.XDP, "wan*"), IngressRule(IngressMode.TCX)])
    interfaces, datapath, monitor = made(ingress=rules)
    datapath.hooks.drop_inherited = lambda: None
    monitor.links = {1: link(1)}
    interfaces.start()
    assert caplog.messages == ["no interface matches --ingress 'wan*=xdp' yet"]


def test_no_matching_interface_is_no_failure() -> None:
    interfaces, _, _ = made()
    assert interfaces.attached


def test_programs_know_every_ifb_wanted_or_not() -> None:
    interfaces, datapath, monitor = made(wanted=NameFilter(exclude=("eth5",)))
    monitor.links = {1: link(1), 5: link(5, kind="ifb"), 130: link(130, kind="ifb")}
    interfaces.look()
    assert int(datapath.ifbs[0]) == 1 << 5 | 1 << 130 % 64
    monitor.links = {1: link(1), 63: link(63, kind="ifb")}
    interfaces.look()
    assert int(datapath.ifbs[0]) == 1 << 63
