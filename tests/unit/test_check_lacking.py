"""What `pktexp check` says of a machine that lacks something."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from pktexp import privileges
from pktexp.bpf import libbpf
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.commands.check import kernel
from pktexp.commands.check.report import table
from pktexp.commands.check.rows import Checked, Place, Row, State
from pktexp.commands.check.run import check
from support.service.settings import settings

EVERYTHING = (1 << 64) - 1
REFUSED = ("bpf_map_create", "bpf_prog_query")


def by_name(checked: Checked) -> dict[str, Row]:
    return {row.name: row for row in checked.rows}


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


def test_without_libbpf_it_says_what_to_install_and_still_lists_the_interfaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libbpf, "candidates", lambda: iter(["/nowhere/libbpf.so.1"]))
    checked = check(settings())
    row = by_name(checked)["libbpf"]
    assert (row.state, checked.works) == (State.NO, False)
    assert "/nowhere/libbpf.so.1" in row.detail
    assert "apt install libbpf1" in row.remedy
    assert {"release", "BTF"} <= by_name(checked).keys()
    (loopback,) = (place for place in checked.places if place.name == "lo")
    assert (loopback.kind, loopback.ingress) == ("loopback", "unknown")


@pytest.mark.usefixtures("privileged")
def test_a_seccomp_filter_is_not_taken_for_an_old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, REFUSED, errno.EPERM)
    checked = check(settings())
    rows = by_name(checked)
    assert rows["TCX"] == by_name(_unprivileged(monkeypatch))["TCX"]
    assert rows["BPF programs"].state is State.NO
    assert "seccomp" in rows["BPF programs"].remedy
    assert [row.name for row in checked.lacking] == ["BPF programs"]


def _unprivileged(monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.setattr(privileges, "effective", lambda: 0)
    return check(settings())


@pytest.mark.usefixtures("privileged")
def test_a_kernel_without_ring_buffers_needs_to_be_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, REFUSED, errno.EINVAL)
    rows = by_name(check(settings()))
    assert rows["ring buffer"].state is State.NO
    assert "5.15" in rows["ring buffer"].remedy
    assert (rows["TCX"].state, rows["TCX"].needed) == (State.NO, False)


def test_without_btf_nothing_is_known_to_those_who_may_not_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, ("btf__load_vmlinux_btf",), errno.ESRCH)
    checked = _unprivileged(monkeypatch)
    rows = by_name(checked)
    assert "CONFIG_DEBUG_INFO_BTF" in rows["BTF"].remedy
    assert rows["TCX"].state is State.UNKNOWN
    assert {place.ingress for place in checked.places} == {"unknown"}


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("[none] integrity confidentiality", State.YES),
        ("none integrity [confidentiality]", State.NO),
    ],
)
def test_lockdown_is_told_where_the_kernel_tells_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, state: State
) -> None:
    path = tmp_path / "lockdown"
    path.write_text(f"{text}\n")
    monkeypatch.setattr(kernel, "LOCKDOWN", path)
    row = by_name(check(settings()))["kernel memory"]
    assert (row.state, row.needed) == (state, False)
    assert text in row.detail


def test_a_name_cannot_steer_the_terminal() -> None:
    place = Place("x\x1b[2J", "veth", "virtual", "veth", "", "", "")
    row = Row("kernel", "release", State.YES, needed=False)
    shown = table(Checked([row], [place]))
    assert "\x1b" not in shown
    assert "x\\x1b[2J" in shown


def test_remedies_of_neighbours_are_said_once() -> None:
    alike = [Row("a", name, State.NO, needed=True, remedy="do it") for name in ("b", "c")]
    shown = table(Checked(alike, []))
    assert shown.count("-> do it") == 1
    assert shown.endswith("for want of: b, c\n")
