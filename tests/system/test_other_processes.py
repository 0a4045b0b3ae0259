"""Links of another pktexp: one that runs is a line, one that is gone a warning that names them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kernel.attached import attached
from support.kernel.bpffs import mounted
from support.netns.namespace import Namespace, run
from support.patience import finished, wait_for
from support.service.process import serving

Pair = tuple[Namespace, Namespace]
WITHOUT_SYS_ADMIN = ("setpriv", "--bounding-set=-sys_admin")
LEFT = "links of another pktexp are attached, and no process visible here holds them: "


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "bpf") as folder:
        yield folder


def leave(namespace: Namespace, root: Path, *options: str) -> set[str]:
    """Kill a service that pins; return the ids of its links."""
    arguments = ("--pin", str(root), "--interfaces", "vb", *options)
    with serving(namespace, *arguments, status=-signal.SIGKILL) as killed:
        killed.wait_until_attached("vb")
        links = killed.held("link")
        killed.stop(signal.SIGKILL)
    return links


def warned(namespace: Namespace, *options: str, **how: object) -> list[str]:
    """Return the warnings of a service that starts, and stops again."""
    with serving(namespace, "--interfaces", "vb", *options, **how) as service:  # type: ignore[arg-type]
        service.wait_until_attached("vb")
        assert [m for m in service.messages("INFO") if m.startswith("another")] == []
        return service.messages("WARNING")


def named(line: str) -> dict[str, set[str]]:
    """Return the ids of the links that a line names, by place."""
    places: dict[str, set[str]] = {}
    for place, number in re.findall(r"[:,] ([\w -]+) \(link (\d+)\)", line):
        places.setdefault(place, set()).add(number)
    return places


def pktexp(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = namespace.command(sys.executable, "-m", "pktexp", *arguments)
    return finished(command, capture_output=True)


@pytest.mark.parametrize("below", [".", "pktexp"], ids=["over the bpffs", "over the folder"])
@pytest.mark.parametrize("ingress", ["tcx", "xdp-native", "xdp-generic"])
def test_links_whose_pins_a_mount_hides_are_named(
    pair: Pair, bpffs: Path, ingress: str, below: str
) -> None:
    _, b = pair
    root = bpffs / "pktexp"
    left = leave(b, root, "--ingress", ingress)
    run("mount", "-t", "bpf", "bpf", str(bpffs / below))
    try:
        (line,) = warned(b, "--pin", str(root), "--ingress", "tcx")
        assert line.startswith(LEFT)
        places = named(line)
        assert set(places) == {
            f"{'tcx-ingress' if ingress == 'tcx' else 'xdp'} at vb",
            "tcx-egress at vb",
            "kfree_skb",
            "tcp_retransmit_skb",
        }
        assert set().union(*places.values()) == left
        assert f"unmount the bpffs that hides another one at {root}" in line
    finally:
        run("umount", str(bpffs / below))
    assert pktexp(b, "unpin", str(root)).returncode == 0  # as the line says
    wait_for(lambda: attached(b, "vb") == {})  # a mount's own pins go a moment after it
    assert warned(b, "--pin", str(root)) == []


def test_links_that_are_pinned_elsewhere_are_named_and_can_be_detached(
    pair: Pair, bpffs: Path
) -> None:
    _, b = pair
    leave(b, bpffs / "former")
    for options in ((), ("--pin", str(bpffs / "new"))):
        (line,) = warned(b, *options)
        assert "unmount" not in line
        assert "'pktexp unpin'" in line
    assert pktexp(b, "unpin", str(bpffs / "new")).returncode == 0
    for place, numbers in named(line).items():
        if place.endswith(" at vb"):
            run("bpftool", "link", "detach", "id", *numbers)
    assert warned(b) == []


def test_pins_that_are_taken_over_are_not_named(pair: Pair, bpffs: Path) -> None:
    _, b = pair
    root = bpffs / "pktexp"
    leave(b, root)
    assert checked(b, "--pin", str(root)) == []
    assert warned(b, "--pin", str(root)) == []


def test_a_process_that_runs_is_a_line_and_no_warning(pair: Pair, bpffs: Path) -> None:
    _, b = pair
    with serving(b, "--interfaces", "vb", "--pin", str(bpffs / "first")) as first:
        first.wait_until_attached("vb")
        with serving(b, "--interfaces", "vb") as second:
            assert second.messages("WARNING") == []
            assert f"another pktexp counts here too: process {first.pid}" in second.messages("INFO")
        assert checked(b) == [("yes", f"process {first.pid} counts here too", "")]


def test_check_shows_links_that_no_process_holds(pair: Pair, bpffs: Path) -> None:
    _, b = pair
    left = leave(b, bpffs / "former")
    ((state, detail, remedy),) = checked(b)
    assert (state, detail.startswith("no process visible here holds its links: ")) == ("no", True)
    assert set().union(*named(detail).values()) == left
    assert "'pktexp unpin'" in remedy


def checked(namespace: Namespace, *options: str) -> list[tuple[str, str, str]]:
    """Return (state, detail, remedy) of the findings of other processes; serve works anyway."""
    done = pktexp(namespace, "check", "--port", "0", "--json", *options)
    assert done.returncode == 0, done.stdout
    checks = json.loads(done.stdout)["checks"]
    return [(c["state"], c["detail"], c["remedy"]) for c in checks if c["name"] == "other pktexp"]


def test_programs_that_may_not_be_looked_at_are_a_warning_only_below_a_mount(
    pair: Pair, bpffs: Path
) -> None:
    _, b = pair
    root = bpffs / "pktexp"
    leave(b, bpffs / "former")
    assert warned(b, "--pin", str(root), prefix=WITHOUT_SYS_ADMIN) == []
    run("mount", "-t", "bpf", "bpf", str(bpffs))
    try:
        (line,) = warned(b, "--pin", str(root), prefix=WITHOUT_SYS_ADMIN)
        assert "which only CAP_SYS_ADMIN may look at" in line
        assert f"unmount the bpffs that hides another one at {root}" in line
    finally:
        run("umount", str(bpffs))
