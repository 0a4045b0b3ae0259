"""Programs are waited for by visits of the CPUs, or by a grace period where those may not be."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pktexp.bpf import probes, softirqs
from pktexp.bpf.softirqs import CPUS, MOST, Softirqs, isolated

Waits = list[str]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """What is waited for, in order."""
    found: Waits = []
    monkeypatch.setattr(probes, "online_cpus", lambda: [0, 1, 5])
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda pid, cpus: found.append(f"{pid}: {sorted(cpus)}")
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return found


@pytest.fixture
def wait(waits: Waits) -> Callable[[], None]:
    return lambda: Softirqs(lambda: waits.append("grace")).finish()


def test_each_online_cpu_is_visited_and_the_affinity_is_restored(
    waits: Waits, wait: Callable[[], None]
) -> None:
    wait()
    assert waits == ["0: [0]", "0: [1]", "0: [5]", "0: [0, 1]"]


@pytest.mark.parametrize("errno", [22, 1])
def test_grace_period_is_waited_for_where_a_cpu_may_not_be_visited(
    monkeypatch: pytest.MonkeyPatch, waits: Waits, wait: Callable[[], None], errno: int
) -> None:
    def refuse(_: int, cpus: set[int]) -> None:
        waits.append(str(sorted(cpus)))
        if cpus == {1}:
            raise OSError(errno, os.strerror(errno))

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    wait()
    assert waits == ["[0]", "[1]", "[0, 1]", "grace"]


def test_grace_period_is_waited_for_on_very_many_cpus(
    monkeypatch: pytest.MonkeyPatch, waits: Waits, wait: Callable[[], None]
) -> None:
    monkeypatch.setattr(probes, "online_cpus", lambda: list(range(MOST + 1)))
    wait()
    assert waits[-1] == "grace"
    assert "0: [7]" not in waits


def test_grace_period_is_waited_for_where_sysfs_is_hidden(
    monkeypatch: pytest.MonkeyPatch, waits: Waits, wait: Callable[[], None]
) -> None:
    def hidden() -> list[int]:
        raise FileNotFoundError

    monkeypatch.setattr(probes, "online_cpus", hidden)
    wait()
    assert waits[-1] == "grace"


def test_grace_period_is_waited_for_with_preempt_rt(
    monkeypatch: pytest.MonkeyPatch, waits: Waits, wait: Callable[[], None]
) -> None:
    version = "#1 SMP PREEMPT_RT Debian 6.12.95-1"
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(version=version))
    wait()
    assert waits == ["grace"]


def test_grace_period_is_waited_for_where_cpus_are_isolated(
    monkeypatch: pytest.MonkeyPatch, waits: Waits, wait: Callable[[], None]
) -> None:
    monkeypatch.setattr(softirqs, "isolated", lambda: True)
    wait()
    assert waits == ["grace"]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("isolated", "\n", False),
        ("isolated", "2-3\n", True),
        ("nohz_full", "(null)\n", False),
        ("nohz_full", "1\n", True),
        ("online", "0-3\n", False),
    ],
)
def test_isolated_cpus_are_found(tmp_path: Path, name: str, text: str, found: bool) -> None:
    (tmp_path / name).write_text(text)
    assert isolated(tmp_path) == found


def test_visits_move_only_the_thread_that_waits() -> None:
    if isolated(CPUS):
        pytest.skip("CPUs are isolated here")
    others, before = os.sched_getaffinity(os.getpid()), None

    def visit() -> None:
        nonlocal before
        assert softirqs.visit_all()
        before = os.sched_getaffinity(0)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    assert os.sched_getaffinity(os.getpid()) == others == before
