"""Other pktexp processes: those that run and those that left links are reported apart."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Any

import pytest

from pktexp.bpf import pins
from pktexp.bpf.libbpf import BpfError
from pktexp.bpf.others import OtherLink
from pktexp.interfaces import others

NO_LIB: Any = None
ROOT = Path("/run/pktexp/pins")
ONE_BPFFS = "30 1 0:30 / /run/pktexp rw - bpf bpf rw\n"
OVER_IT = "31 30 0:31 / /run/pktexp rw - bpf bpf rw\n"
OVER_THE_FOLDER = "31 30 0:31 / /run/pktexp/pins rw - bpf bpf rw\n"
BESIDE = "31 1 0:31 / /sys/fs/bpf rw - bpf bpf rw\n"


@pytest.fixture(autouse=True)
def mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A table of mounts that a test writes."""
    path = tmp_path / "mountinfo"
    path.write_text("1 0 0:1 / / rw - ext4 /dev/vda rw\n" + ONE_BPFFS)
    monkeypatch.setattr(pins, "MOUNTS", path)
    return path


def lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *found: OtherLink | int
) -> list[tuple[str, str]]:
    """Return (level, text) of what is logged; a number stands for an error of the kernel."""

    def links_of_others(*_: object) -> list[OtherLink]:
        if isinstance(found[0], int):
            raise BpfError(found[0], "open a program")
        return [link for link in found if isinstance(link, OtherLink)]

    monkeypatch.setattr(others, "links_of_others", links_of_others)
    caplog.set_level(logging.INFO)
    others.report(NO_LIB, (), (), ROOT)
    return [(record.levelname, record.message) for record in caplog.records]


def test_running_and_abandoned_links_are_reported_apart(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = [OtherLink(n, "tcx-egress at eth0", process=40 + n % 2) for n in range(4)]
    left = [OtherLink(7, "xdp at eth0"), OtherLink(9, "kfree_skb")]
    *running, (level, text) = lines(monkeypatch, caplog, *held, *left)
    assert running == [
        ("INFO", "another pktexp counts here too: process 40"),
        ("INFO", "another pktexp counts here too: process 41"),
    ]
    assert (level, "holds them: xdp at eth0 (link 7), kfree_skb (link 9); unless" in text) == (
        "WARNING",
        True,
    )


def test_many_abandoned_links_are_cut_short() -> None:
    text = others.names([OtherLink(n, "xdp at eth0") for n in range(20)])
    assert text.count("xdp at eth0") == 12
    assert text.endswith(", 8 more")


@pytest.mark.parametrize(
    ("mount", "hidden"), [("", False), (BESIDE, False), (OVER_IT, True), (OVER_THE_FOLDER, True)]
)
def test_remedy_names_the_mount_that_hides_pins(mounts: Path, mount: str, hidden: bool) -> None:
    mounts.write_text(mounts.read_text() + mount)
    assert ("unmount the bpffs that hides" in others.remedy(ROOT)) is hidden
    assert "unmount" not in others.remedy(None)


@pytest.mark.parametrize(
    ("code", "mount", "expected"),
    [
        (errno.EPERM, OVER_IT, ["WARNING"]),
        (errno.EPERM, "", []),
        (errno.EINVAL, OVER_IT, []),
    ],
)
def test_programs_of_unknown_origin_are_a_warning_only_below_a_mount(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    mounts: Path,
    code: int,
    mount: str,
    expected: list[str],
) -> None:
    mounts.write_text(mounts.read_text() + mount)
    assert [level for level, _ in lines(monkeypatch, caplog, code)] == expected
