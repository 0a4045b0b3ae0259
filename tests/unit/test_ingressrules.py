"""--ingress by interface: which value is in force, and how values are parsed."""

from __future__ import annotations

import click
import pytest

from pktexp.bpf.ingressrules import IngressMode, IngressRule, IngressRules
from pktexp.commands.paramtypes import Ingress

KNOWN = "auto, xdp, xdp-native, xdp-generic, tcx"


def rules(*values: str) -> IngressRules:
    return IngressRules(Ingress().convert(value, None, None) for value in values)


@pytest.mark.parametrize(
    ("values", "name", "mode"),
    [
        ((), "eth0", "auto"),
        (("tcx",), "eth0", "tcx"),
        (("tcx", "eth*=xdp-native"), "eth0", "xdp-native"),
        (("eth*=xdp-native", "tcx"), "eth0", "xdp-native"),  # a default is the same at any place
        (("tcx", "eth*=xdp-native"), "wlan0", "tcx"),
        (("eth*=xdp-native",), "wlan0", "auto"),
        (("eth*=xdp", "eth1=tcx"), "eth1", "tcx"),
        (("eth1=tcx", "eth*=xdp"), "eth1", "xdp"),  # the last that matches
        (("tcx", "xdp"), "eth0", "xdp"),
        (("a=b=xdp",), "a=b", "xdp"),  # a name may have an equals sign
        (("ETH*=xdp",), "eth0", "auto"),  # names are case-sensitive
    ],
)
def test_last_matching_glob_is_used_and_else_the_default(
    values: tuple[str, ...], name: str, mode: str
) -> None:
    assert rules(*values).of(name).mode == mode


def test_rule_reads_as_the_operator_wrote_it() -> None:
    assert rules("XDP").of("eth0").text == "xdp"
    assert rules("eth*=TCX").of("eth0").text == "eth*=tcx"


def test_globs_without_an_interface_are_listed_in_order() -> None:
    given = rules("tcx", "wlan*=xdp", "eth*=xdp", "ib?=xdp-native")
    assert given.idle(["lo", "eth0"]) == ["wlan*=xdp", "ib?=xdp-native"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("xdpp", f"'xdpp' is not one of: {KNOWN} (or GLOB=one of these)"),
        ("eth*=", f"'' is not one of: {KNOWN} (or GLOB=one of these)"),
        ("eth*=native", f"'native' is not one of: {KNOWN} (or GLOB=one of these)"),
        ("eth*", f"'eth*' is not one of: {KNOWN} (or GLOB=one of these)"),
        ("=tcx", "'=tcx' has no glob of interfaces before '='"),
    ],
)
def test_wrong_value_is_an_error_with_the_allowed_ones(value: str, error: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        Ingress().convert(value, None, None)
    assert raised.value.message == error


@pytest.mark.parametrize(
    ("incomplete", "expected"),
    [("t", ["tcx"]), ("xdp-", ["xdp-native", "xdp-generic"]), ("eth*=a", ["eth*=auto"])],
)
def test_shells_complete_the_mode(incomplete: str, expected: list[str]) -> None:
    items = Ingress().shell_complete(None, None, incomplete)
    assert [item.value for item in items] == expected


def test_default_is_auto_everywhere() -> None:
    assert IngressRules().of("eth0") == IngressRule(IngressMode.AUTO, "")
