"""`pktexp check` on machines that do not meet a requirement."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from pktexp import privileges
from pktexp.bpf import libbpf
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.commands.check import kernel
from pktexp.commands.check.findings import Checked, Finding, Place, State
from pktexp.commands.check.report import table
from pktexp.commands.check.run import check
from support.service.settings import settings

EVERYTHING = (1 << 64) - 1
REFUSED = ("bpf_map_create", "bpf_prog_query")


def by_name(checked: Checked) -> dict[str, Finding]:
    return {finding.name: finding for finding in checked.findings}


def refuse(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], code: int) -> None:
    call = Libbpf.__call__

    def refusing(self: Libbpf, attempted: str, name: str, *arguments: Any) -> Any:
        if name in names:
            raise BpfError(code, attempted)
        return call(self, attempted, name, *arguments)

    monkeypatch.setattr(Libbpf, "__call__", refusing)


@pytest.fixture
def privileged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "effective", lambda: EVERYTHING)
    monkeypatch.setattr(privileges, "confined", lambda: False)


def test_missing_libbpf_names_the_package_and_interfaces_are_still_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libbpf, "candidates", lambda: iter(["/nowhere/libbpf.so.1"]))
    checked = check(settings())
    missing = by_name(checked)["libbpf"]
    assert (missing.state, checked.works) == (State.NO, False)
    assert "/nowhere/libbpf.so.1" in missing.detail
    assert "apt install libbpf1" in missing.remedy
    assert {"release", "BTF"} <= by_name(checked).keys()
    (loopback,) = (place for place in checked.places if place.name == "lo")
    assert (loopback.kind, loopback.ingress) == ("loopback", "unknown")


@pytest.mark.usefixtures("privileged")
def test_seccomp_filter_is_not_mistaken_for_an_old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, REFUSED, errno.EPERM)
    checked = check(settings())
    findings = by_name(checked)
    assert findings["TCX"] == by_name(_unprivileged(monkeypatch))["TCX"]
    assert findings["BPF programs"].state is State.NO
    assert "seccomp" in findings["BPF programs"].remedy
    assert [finding.name for finding in checked.missing] == ["BPF programs"]


def _unprivileged(monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.setattr(privileges, "effective", lambda: 0)
    return check(settings())


@pytest.mark.usefixtures("privileged")
def test_missing_ring_buffer_asks_for_a_newer_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, REFUSED, errno.EINVAL)
    findings = by_name(check(settings()))
    assert findings["ring buffer"].state is State.NO
    assert "5.15" in findings["ring buffer"].remedy
    assert (findings["TCX"].state, findings["TCX"].needed) == (State.NO, False)


def test_features_are_unknown_without_btf_and_capabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, ("btf__load_vmlinux_btf",), errno.ESRCH)
    checked = _unprivileged(monkeypatch)
    findings = by_name(checked)
    assert "CONFIG_DEBUG_INFO_BTF" in findings["BTF"].remedy
    assert findings["TCX"].state is State.UNKNOWN
    assert {place.ingress for place in checked.places} == {"unknown"}


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("[none] integrity confidentiality", State.YES),
        ("none integrity [confidentiality]", State.NO),
    ],
)
def test_lockdown_mode_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, state: State
) -> None:
    path = tmp_path / "lockdown"
    path.write_text(f"{text}\n")
    monkeypatch.setattr(kernel, "LOCKDOWN", path)
    memory = by_name(check(settings()))["kernel memory"]
    assert (memory.state, memory.needed) == (state, False)
    assert text in memory.detail


def test_control_characters_in_names_are_escaped() -> None:
    place = Place("x\x1b[2J", "veth", "virtual", "veth", "", "", "")
    release = Finding("kernel", "release", State.YES, needed=False)
    shown = table(Checked([release], [place]))
    assert "\x1b" not in shown
    assert "x\\x1b[2J" in shown


def test_adjacent_findings_share_one_remedy() -> None:
    alike = [Finding("a", name, State.NO, needed=True, remedy="do it") for name in ("b", "c")]
    shown = table(Checked(alike, []))
    assert shown.count("-> do it") == 1
    assert shown.endswith("missing: b, c\n")
