"""Paths of cgroups: where the root is mounted, which names they contain, which have series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pktexp.bpf.cgroupmaps import CGROUP_LEASE, unpacked
from pktexp.errors import PktexpError
from pktexp.units import hierarchy
from pktexp.units.leases import Leases
from pktexp.units.names import Names, names_of

ID = "0123456789abcdef" * 4
UID = "8c3f1a52-0d7e-4b8f-9a51-2f6c7d8e9f00"
SHORT = ID[:12]
SLICE = f"kubepods-burstable-pod{UID.replace('-', '_')}.slice"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", Names()),
        ("/system.slice/nginx.service", Names("nginx.service")),
        ("/system.slice/nginx.service/worker", Names("nginx.service")),
        ("/user.slice/user-1000.slice/session-3.scope", Names("session-3.scope")),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service",
            Names("user@1000.service"),
        ),
        ("/system.slice/system-getty.slice/getty@tty1.service", Names("getty@tty1.service")),
        (f"/system.slice/docker-{ID}.scope", Names(f"docker-{ID}.scope", SHORT)),
        (f"/docker/{ID}", Names("", SHORT)),
        (f"/machine.slice/libpod-{ID}.scope/container", Names(f"libpod-{ID}.scope", SHORT)),
        (f"/machine.slice/libpod-conmon-{ID}.scope", Names(f"libpod-conmon-{ID}.scope")),
        (f"/libpod_parent/libpod-{ID}", Names("", SHORT)),
        (
            f"/kubepods.slice/kubepods-burstable.slice/{SLICE}/cri-containerd-{ID}.scope",
            Names(f"cri-containerd-{ID}.scope", SHORT, UID),
        ),
        (
            f"/kubepods.slice/{SLICE.replace('-burstable', '')}/crio-{ID}.scope",
            Names(f"crio-{ID}.scope", SHORT, UID),
        ),
        (f"/kubepods/besteffort/pod{UID}/{ID}", Names("", SHORT, UID)),
        (f"/docker/{'f' * 64}/kubepods/pod{UID}/{ID}", Names("", SHORT, UID)),
        ("/system.slice/podman.service", Names("podman.service")),
        (f"/{ID}0/x.slice", Names()),
    ],
)
def test_names_are_read_from_a_path(path: str, names: Names) -> None:
    assert names_of(path) == names


def mounted(tmp_path: Path, *points: Path | str) -> Path:
    lines = [f"30 20 0:26 / {point} rw - cgroup2 cgroup2 rw" for point in points]
    file = tmp_path / "mountinfo"
    file.write_text("\n".join(["20 1 8:1 / / rw - ext4 /dev/sda rw", *lines]))
    return file


def test_host_with_cgroup_v1_only_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(PktexpError, match="cgroup2 is not mounted"):
        hierarchy.find(mounted(tmp_path))


def test_part_of_the_tree_is_refused_with_a_hint(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir()
    with pytest.raises(PktexpError, match="only a part") as caught:
        hierarchy.find(mounted(tmp_path, part))
    assert "mount the host's" in str(caught.value.hint)


def test_unreadable_mount_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(PktexpError, match="cannot read"):
        hierarchy.find(mounted(tmp_path, tmp_path / "missing"))


def test_unreadable_list_of_mounts_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(PktexpError, match=r"cannot read .*mountinfo"):
        hierarchy.find(tmp_path / "mountinfo")


def test_mount_point_with_a_space_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = tmp_path / "a b é"
    point.mkdir()
    monkeypatch.setattr(hierarchy, "ROOT_ID", point.stat().st_ino)
    assert hierarchy.find(mounted(tmp_path, str(point).replace(" ", r"\040"))) == point


def test_scan_reads_paths_by_inode_and_stops_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "file").touch()
    found = hierarchy.scan(tmp_path)
    assert found.complete
    paths = {tmp_path / path.lstrip("/"): number for number, path in found.paths.items()}
    assert {path.stat().st_ino for path in paths if path != tmp_path} < set(found.paths)
    assert sorted(found.paths.values()) == ["/", "/a", "/a/b", "/c"]
    assert not hierarchy.scan(tmp_path, most=2).complete


def leases(limit: int) -> Leases:
    return Leases(np.zeros(limit + 1, CGROUP_LEASE))


def test_lease_gone_longest_makes_room_and_its_sums_go_to_others() -> None:
    held = leases(2)
    for path, gone in (("/a", 5.0), ("/b", 3.0)):
        lease, _ = held.take(path)
        assert lease
        lease.gone_since = gone
        held.kept[lease.number] = 7
    lease, ended = held.take("/c")
    assert lease
    assert ended
    assert (lease.path, ended.path) == ("/c", "/b")
    assert held.kept[held.others].tolist() == [[7, 7], [7, 7]]
    assert held.kept[lease.number].tolist() == [[0, 0], [0, 0]]


def test_no_lease_is_taken_from_a_cgroup_that_exists() -> None:
    held = leases(1)
    held.take("/a")
    assert held.take("/b") == (None, None)


def test_path_too_long_to_keep_has_no_lease() -> None:
    assert leases(1).take("/" + "a" * 512) == (None, None)


def test_leases_of_an_earlier_process_continue() -> None:
    table = np.zeros(3, CGROUP_LEASE)
    first = Leases(table)
    lease, _ = first.take("/caf\udce9")  # not UTF-8
    assert lease
    first.kept[lease.number] = 3
    second = Leases(table)
    assert list(second.by_path) == ["/caf\udce9"]
    assert second.kept[second.by_path["/caf\udce9"].number].tolist() == [[3, 3], [3, 3]]


def test_leases_expire_an_hour_after_their_cgroup() -> None:
    held = leases(1)
    lease, _ = held.take("/a")
    assert lease
    assert held.expired(1e9) == []
    lease.gone_since = 10.0
    assert held.expired(10 + 3600) == []
    assert held.expired(10 + 3601) == [lease]


def test_unpacked_sums_are_right_whenever_they_are_read() -> None:
    """Adds at random; reads before and after a half that was crossed is counted."""
    chance = np.random.default_rng(18)
    packets = bytes_ = 0
    sums, halves = 0, [0, 0]
    for _ in range(3000):
        more = int(chance.integers(1, 2**22)), int(chance.integers(0, 2**38))
        packets, bytes_ = packets + more[0], bytes_ + more[1]
        before, sums = sums, (sums + (more[0] << 40 | more[1])) % 2**64
        stages = [list(halves)]
        for field, bit in ((1, 39), (0, 63)):
            halves[field] += (before ^ sums) >> bit & 1
            stages.append(list(halves))
        for stage in stages:
            columns = [np.array([half], np.uint32) for half in stage]
            assert unpacked(np.array([sums], np.uint64), *columns).tolist() == [[packets, bytes_]]
