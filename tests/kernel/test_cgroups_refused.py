"""Counting by cgroup where another program allows none beside it, and what `check` says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pktexp.bpf.cgroups import CgroupPrograms, is_exclusive
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.commands.check import cgroups
from pktexp.commands.check.findings import State
from pktexp.errors import PktexpError
from pktexp.units import hierarchy, start
from support.kernel.cgroups import making
from support.netns.namespace import run


@pytest.fixture
def occupied(lib: Libbpf) -> Iterator[Path]:
    """A cgroup with a program that was attached so that it allows none beside it."""
    with making() as own:
        programs = CgroupPrograms(lib, 16)
        info = programs.object.program_info("count_received")
        program = ("cgroup_inet_ingress", "id", info["prog_id"])
        run("bpftool", "cgroup", "attach", str(own.folder), *program)
        try:
            yield own.folder
        finally:
            run("bpftool", "cgroup", "detach", str(own.folder), *program)
            programs.close()


def test_program_that_allows_none_beside_it_is_one_line(lib: Libbpf, occupied: Path) -> None:
    with pytest.raises(BpfError) as caught:
        start.attached(lib, 16, None, occupied)
    told = start.why_not(caught.value, occupied)
    assert told.startswith("another program at the root of cgroup2 allows none beside it (")
    assert f"bpftool cgroup show {occupied}" in told


def test_programs_of_others_by_link_are_no_obstacle(lib: Libbpf) -> None:
    with making() as own:
        ledgers = [start.attached(lib, 16, None, own.folder) for _ in range(3)]
        assert not is_exclusive(lib, own.folder)
        for ledger in ledgers:
            ledger.close()


def found(monkeypatch: pytest.MonkeyPatch, lib: Libbpf, root: Path, allowed: bool = True) -> str:
    monkeypatch.setattr(hierarchy, "find", lambda: root)
    told = cgroups.check(lib, 16, allowed)
    assert not told.needed
    return f"{told.state}: {told.detail} -> {told.remedy}"


def test_check_names_what_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch, lib: Libbpf, occupied: Path
) -> None:
    told = found(monkeypatch, lib, occupied)
    assert told.startswith(f"{State.NO}: {cgroups.PURPOSE}: {start.EXCLUSIVE}")
    assert f"-> 'bpftool cgroup show {occupied}' lists it" in told


def test_check_says_yes_without_attaching(monkeypatch: pytest.MonkeyPatch, lib: Libbpf) -> None:
    with making() as own:
        assert found(monkeypatch, lib, own.folder) == f"{State.YES}: {cgroups.PURPOSE} -> "
        assert not run("bpftool", "cgroup", "show", str(own.folder)).strip()
        told = found(monkeypatch, lib, own.folder, allowed=False)
        assert told.startswith(f"{State.UNKNOWN}: ")


def test_check_without_cgroup2_gives_the_hint(monkeypatch: pytest.MonkeyPatch, lib: Libbpf) -> None:
    def missing() -> Path:
        raise PktexpError("cgroup2 is not mounted", "mount it")

    monkeypatch.setattr(hierarchy, "find", missing)
    told = cgroups.check(lib, 16, allowed=True)
    assert (told.state, told.remedy) == (State.NO, "mount it")
