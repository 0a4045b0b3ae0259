"""Decoded links, compared with messages written here, with iproute2 and with sysfs."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from pktexp.netlink.linkinfo import InterfaceClass, Link, parse_link, parse_xdp_programs
from pktexp.netlink.links import LinkMonitor
from support.netns.namespace import run

ETHERNET, LOOPBACK, INFINIBAND, IPIP, IP6TNL, TUN = 1, 772, 32, 768, 769, 0xFFFE
ADDRESS, NAME, MTU, LINKINFO, ALIAS, NETNSID, XDP, BUS = 1, 3, 4, 18, 20, 37, 43, 57
NESTED = 0x8000
LOWER_UP = 1 << 16


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(*attributes: tuple[int, bytes], hardware_type: int = ETHERNET) -> Link:
    body = struct.pack("=BxHiII", 0, hardware_type, 7, 1, 0)
    return parse_link(body + b"".join(attribute(*a) for a in attributes))


def test_missing_attributes_are_empty() -> None:
    assert link() == Link(7, "", ETHERNET, up=True, mtu=0)


def test_kernel_name_of_invalid_utf_8_is_kept() -> None:
    assert (link((NAME, b"x\xff\0")).name, link((NAME, b"x\xff\0")).kernel_name) == (
        "x\\xff",
        b"x\xff",
    )
    assert link((NAME, "b\u00e9".encode() + b"\0")).kernel_name == "b\u00e9".encode()
    assert link((NAME, b"eth0\0")) == Link(7, "eth0", ETHERNET, up=True, mtu=0)


@pytest.mark.parametrize("ids", [{}, {5: 41}, {6: 42}, {5: 41, 7: 43}])
def test_xdp_programs_of_every_mode_are_read(ids: dict[int, int]) -> None:
    xdp = attribute(2, b"\1") + b"".join(attribute(k, struct.pack("=I", n)) for k, n in ids.items())
    body = struct.pack("=BxHiII", 0, ETHERNET, 7, 1, 0) + attribute(XDP | NESTED, xdp)
    assert parse_xdp_programs(body) == list(ids.values())


def test_kind_is_read_from_the_nested_link_info() -> None:
    info = attribute(1, b"vxlan\0") + attribute(2 | NESTED, b"....")
    assert link((LINKINFO | NESTED, info)).kind == "vxlan"


@pytest.mark.parametrize(
    ("kind", "mii_status", "flags", "expected"),
    [
        ("bond", 0, LOWER_UP, True),
        ("bond", 1, LOWER_UP, False),  # BOND_LINK_FAIL
        ("bond", 3, LOWER_UP, False),  # BOND_LINK_BACK: within updelay
        ("bond", 0, 0, False),
        ("bond", None, LOWER_UP, True),
        ("bridge", 2, LOWER_UP, True),  # there it is another attribute
        ("", None, LOWER_UP, True),
    ],
)
def test_carrier_of_a_port_is_what_its_bond_regards_it_as(
    kind: str, mii_status: int | None, flags: int, expected: bool
) -> None:
    info = attribute(4, kind.encode() + b"\0") if kind else b""
    if mii_status is not None:
        info += attribute(5 | NESTED, attribute(2, bytes([mii_status])))
    body = struct.pack("=BxHiII", 0, ETHERNET, 7, 1 | flags, 0)
    found = parse_link(body + attribute(LINKINFO | NESTED, info))
    assert (found.master_kind, found.carrier) == (kind, expected)


def test_loopback_device_has_kind_and_class_loopback() -> None:
    loopback = link(hardware_type=LOOPBACK)
    assert (loopback.kind, loopback.interface_class) == ("loopback", "loopback")


def test_only_devices_on_a_bus_are_physical() -> None:
    assert link((BUS, b"pci\0")).interface_class is InterfaceClass.PHYSICAL
    assert link().interface_class is InterfaceClass.VIRTUAL


@pytest.mark.parametrize(
    ("hardware_type", "address", "expected"),
    [
        (ETHERNET, b"\x02\xfc\0\0\0\x01", "02:fc:00:00:00:01"),
        (IPIP, bytes([192, 0, 2, 1]), "192.0.2.1"),
        (IP6TNL, bytes.fromhex("20010db8000000000000000000000001"), "2001:db8::1"),
        (INFINIBAND, bytes(range(20)), ":".join(f"{n:02x}" for n in range(20))),
        (TUN, b"", ""),
    ],
)
def test_address_of_any_length_is_formatted(
    hardware_type: int, address: bytes, expected: str
) -> None:
    assert link((ADDRESS, address), hardware_type=hardware_type).address == expected


def test_invalid_utf_8_in_an_alias_is_escaped() -> None:
    assert link((ALIAS, b"caf\xff\0")).alias == "caf\\xff"


def test_missing_namespace_id_differs_from_id_0() -> None:
    assert link().link_netnsid is None
    assert link((NETNSID, struct.pack("=i", 0))).link_netnsid == 0
    assert link((NETNSID, struct.pack("=i", -1))).link_netnsid == -1


def machine() -> tuple[dict[str, Link], dict[str, Any]]:
    """This machine's interfaces, as LinkMonitor and as iproute2 list them."""
    monitor = LinkMonitor()
    monitor.close()
    shown = json.loads(run("ip", "-details", "-j", "link", "show"))
    return {x.name: x for x in monitor.links.values()}, {x["ifname"]: x for x in shown}


def test_interfaces_of_this_machine_match_iproute2() -> None:
    links, shown = machine()
    for name in links.keys() & shown.keys():
        found, expected = links[name], shown[name]
        assert found.address == expected.get("address", "")
        assert found.mtu == expected["mtu"]
        assert found.bus == expected.get("parentbus", "")
        assert found.carrier == ("LOWER_UP" in expected["flags"])
        kind = expected.get("linkinfo", {}).get("info_kind", "")
        assert found.kind == ("loopback" if name == "lo" else kind)


def test_classes_of_this_machine_match_sysfs() -> None:
    links, _ = machine()
    assert "eth0" not in links or links["eth0"].interface_class == "physical"
    for name, found in links.items():
        folder = Path("/sys/class/net") / name
        if folder.exists():
            assert (found.interface_class == "physical") == (folder / "device").exists(), name
