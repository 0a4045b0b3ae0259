"""Sizes that cannot fit in memory, and the limits of machines and cgroups."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pktexp.bpf import memorylimit
from pktexp.bpf.memorylimit import Limit
from pktexp.bpf.options import DatapathOptions, cached_flows
from pktexp.errors import PktexpError
from pktexp.flows import memory

MACHINE = 1000 << 10  # of MemTotal: 1000 kB
UNLIMITED = 9223372036854771712  # of a cgroup of version 1, on a machine with pages of 4 KiB
V1, V2 = "memory.limit_in_bytes", "memory.max"
CPUS = 2
SMALL = {"slots": 16, "ring_size": 4096, "flow_cache": 16}


@pytest.fixture(autouse=True)
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without cgroups."""
    folder = tmp_path / "proc"
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text("MemTotal:        1000 kB\nMemFree:  1 kB\n")
    monkeypatch.setattr(memorylimit, "PROC", folder)
    monkeypatch.setattr(memory, "highest_online_cpu", lambda: CPUS - 1)
    return folder


def mount(proc: Path, kind: str, root: str = "/") -> Path:
    """Mount a hierarchy of this kind; return its mount point."""
    point = proc.parent / kind
    point.mkdir()
    options = "rw,memory" if kind == "cgroup" else "rw"
    with (proc / "self/mountinfo").open("a") as file:
        file.write(f"30 20 0:26 {root} {point} rw,nosuid shared:9 - {kind} none {options}\n")
    return point


def limit(folder: Path, file: str, value: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(f"{value}\n")


def enter(proc: Path, *lines: str) -> None:
    (proc / "self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def found() -> int:
    lowest = memorylimit.lowest()
    assert lowest
    return lowest.bytes


def test_machine_without_cgroups_is_limited_by_its_memory() -> None:
    assert found() == MACHINE


@pytest.mark.parametrize(
    ("kind", "file", "line"), [("cgroup", V1, "4:cpu,memory:/a/b"), ("cgroup2", V2, "0::/a/b")]
)
class TestOfEachVersion:
    """Limits of cgroups, of version 1 and 2."""

    @pytest.mark.parametrize(
        ("top", "outer", "inner", "lowest"),
        [
            ("max", "max", 500, 500),
            ("max", 400, 500, 400),
            (300, 400, 500, 300),
            ("max", 400, "max", 400),
            ("max", "max", "max", MACHINE),
            (UNLIMITED, UNLIMITED, UNLIMITED, MACHINE),
            ("max", 2 * MACHINE, "max", MACHINE),
            ("max", 0, "max", 0),
        ],
    )
    def test_smallest_limit_up_the_tree_applies(
        self, proc: Path, kind: str, file: str, line: str, top: object, outer: object,
        inner: object, lowest: int,
    ) -> None:  # fmt: skip
        point = mount(proc, kind)
        enter(proc, "9:name=systemd:/x", line)
        limit(point, file, top)
        limit(point / "a", file, outer)
        limit(point / "a/b", file, inner)
        limit(point / "other", file, 1)
        limit(point.parent, file, 1)  # above the mount point is no cgroup
        assert found() == lowest

    def test_container_sees_its_own_part_only(
        self, proc: Path, kind: str, file: str, line: str
    ) -> None:
        point = mount(proc, kind, root="/a")
        enter(proc, line)
        limit(point, file, 700)
        limit(point / "b", file, 600)
        limit(point / "a/b", file, 1)
        assert found() == 600

    def test_path_outside_of_the_mount_takes_the_limit_of_its_top(
        self, proc: Path, kind: str, file: str, line: str
    ) -> None:
        point = mount(proc, kind, root="/elsewhere")
        enter(proc, line)
        limit(point, file, 700)
        assert found() == 700

    @pytest.mark.parametrize("value", ["nokmem", "nosocket,nobpf"])
    def test_limit_that_leaves_out_maps_does_not_apply(
        self, proc: Path, kind: str, file: str, line: str, value: str
    ) -> None:
        limit(mount(proc, kind), file, 700)
        enter(proc, line)
        (proc / "cmdline").write_text(f"quiet cgroup.memory={value} ro\n")
        assert found() == MACHINE

    def test_hierarchy_that_is_not_mounted_is_unknown(
        self, proc: Path, kind: str, file: str, line: str
    ) -> None:
        enter(proc, line)
        assert kind
        assert file
        assert found() == MACHINE


def test_both_versions_are_looked_at(proc: Path) -> None:
    limit(mount(proc, "cgroup") / "a", V1, 800)
    limit(mount(proc, "cgroup2") / "b", V2, 700)
    enter(proc, "4:memory:/a", "0::/b")
    assert found() == 700


def bounded(monkeypatch: pytest.MonkeyPatch, bytes_: int) -> None:
    monkeypatch.setattr(memorylimit, "lowest", lambda: Limit(bytes_, "the limit"))


def refusal(options: DatapathOptions, max_flows: int, max_cgroups: int = 0) -> PktexpError:
    with pytest.raises(PktexpError) as raised:
        memory.require(options, max_flows, max_cgroups)
    return raised.value


@pytest.mark.parametrize(
    ("changed", "max_flows", "max_cgroups", "part", "options"),
    [
        ({"rings": 256, "ring_size": 1 << 30}, 10, 0, "rings 256 GiB", "--ring-size or --workers"),
        ({"ring_size": 1 << 30}, 10, 0, "rings 1 GiB", "--ring-size or --workers"),
        ({"flow_cache": 1 << 20}, 10, 0, "flow cache 256 MiB", "--flow-cache"),
        ({"slots": 1 << 16}, 10, 0, "interface counters ", "--max-interfaces"),
        ({}, 100_000, 0, "flow table ", "--max-flows"),
        ({}, 10, 16384, "cgroups ", "--max-cgroups"),
    ],
)
def test_error_names_the_option_of_the_part_that_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, int],
    max_flows: int,
    max_cgroups: int,
    part: str,
    options: str,
) -> None:
    bounded(monkeypatch, 6 << 20)
    options_ = DatapathOptions(**SMALL | changed)  # type: ignore[arg-type]
    error = refusal(options_, max_flows, max_cgroups)
    assert str(error).startswith(part)
    assert error.hint == f"lower {options}"


def test_error_names_all_options_that_together_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounded(monkeypatch, 8 << 20)
    error = refusal(DatapathOptions(slots=16, ring_size=1 << 30, flow_cache=1 << 20), 1000)
    assert error.hint == "lower --ring-size or --workers, --flow-cache"


def test_sum_is_that_of_its_parts_and_just_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    bounded(monkeypatch, 0)
    options = DatapathOptions(**SMALL)  # type: ignore[arg-type]
    parts, total = str(refusal(options, 1000, 8)).split(", but")[0].split(" = ")
    sizes = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
    summed = sum(float(n) * sizes[unit] for n, unit in re.findall(r"([\d.]+) ([KM]?i?B)", parts))
    (number, unit) = total.split()
    assert float(number) * sizes[unit] == pytest.approx(summed, rel=2e-3)
    exact = sum(part.bytes for part in memory._parts(options, 1000, 8))  # noqa: SLF001
    assert exact == pytest.approx(summed, rel=2e-3)
    bounded(monkeypatch, exact)
    memory.require(options, 1000, 8)
    bounded(monkeypatch, exact - 1)
    refusal(options, 1000, 8)


@pytest.mark.parametrize(
    ("size", "cpus", "flows"),
    [
        (None, 1, 16384),
        (None, 16, 16384),
        (None, 64, 4096),
        (None, 24, 10920),
        (64 << 20, 2, 1 << 18),
        (4096, 2, 16),
        (4096, 256, 4),
    ],
)
def test_flow_cache_is_dealt_out_over_the_cpus(size: int | None, cpus: int, flows: int) -> None:
    assert cached_flows(size, cpus) == flows


@pytest.mark.parametrize("limit_", [128 << 20, 64 << 20, None])
def test_defaults_fit_in_a_small_container(
    monkeypatch: pytest.MonkeyPatch, limit_: int | None
) -> None:
    monkeypatch.setattr(memorylimit, "lowest", lambda: Limit(limit_, "") if limit_ else None)
    defaults = DatapathOptions(slots=4096, flow_cache=16384)
    assert memory.require(defaults, 1000, 256)


def test_rings_and_cache_need_nothing_without_events() -> None:
    options = DatapathOptions(events=False, rings=256, ring_size=1 << 30, flow_cache=1 << 20)
    assert options.memory(2, interfaces=1)[1:] == (0, 0)
