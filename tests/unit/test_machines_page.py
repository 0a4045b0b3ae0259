"""docs/machines.md, of machines that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from machines.page import Found, written


def mode(hook: str, counted: tuple[int, int], **more: object) -> dict[str, Any]:
    change = {"sent": 1100, "lost": 0, "carrier changes": 0}
    return {
        "forecast": {"ingress": hook, "why": f"{hook} it is"},
        "hook": hook,
        "attach": change | {"lost": 82, "carrier changes": 2},
        "detach": change,
        "counts": {"plain": {"sent": (10, 2000), "counted": counted}},
        "log": ["the link restarts"],
    } | more


CARDS = {
    "defaults": mode("tcx-ingress", (10, 2000)),
    "xdp-native": mode("xdp-native", (10, 1960)),
    "unplug": {"kept": True, "hook": "tcx-ingress", "goes on": False},
}
CPUS = {
    "CPUs": 8,
    "log": ["kernel memory: counters 1 KiB"],
    "memory": {"machine": 3 << 20, "process": 2 << 20},
    "idle": 0.015,
    "counts": {
        "1 goes": {
            "sent": (400, 80_000),
            "counted": (399, 79_800),
            "attributed": 350,
            "wrong flows": 1,
            "late pages": 2,
        }
    },
}


def found(folder: Path, name: str, *, complete: bool = True, **results: object) -> Found:
    (share := folder / name).mkdir()
    for file, content in results.items():
        (share / f"{file}.json").write_text(json.dumps(content))
    return Found.read(name, share, complete=complete)


@pytest.fixture
def page(tmp_path: Path) -> str:
    every = [
        found(tmp_path, "igb", cards=CARDS),
        found(tmp_path, "e1000e", cards={"defaults": CARDS["defaults"]}, complete=False),
        found(tmp_path, "8-cpus", cpus=CPUS),
    ]
    return written(every, "2026-01-02", "just test-machines", "10.0.2", "6.12.95")


def rows(page: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in lines}


def test_each_card_has_a_column_by_mode(page: str) -> None:
    told = rows(page)
    assert told["defaults: hook"] == ["tcx-ingress", "tcx-ingress"]
    assert told["defaults: echoes lost, attach"] == ["82 of 1,100", "82 of 1,100"]
    assert told["defaults: carrier changes, detach"] == ["0", "0"]
    assert told["`--ingress xdp-native`: hook"] == ["xdp-native", "-"]
    assert told["plug: counts continue"] == ["no", "-"]


def test_counts_are_exact_or_their_difference_is_named(page: str) -> None:
    told = rows(page)
    assert told["defaults: plain packets"][0] == "10 exact"
    assert told["`--ingress xdp-native`: plain packets"][0] == "10, -4.0 bytes each"
    assert told["1 goes"] == ["400", "399 of 400", "350", "1", "2"]


def test_kind_that_was_not_sent_is_an_mtu_refused(page: str) -> None:
    assert rows(page)["defaults: jumbo packets"][0] == "MTU refused"


def test_cpus_have_their_own_table(page: str) -> None:
    told = rows(page)
    assert told["kernel memory"] == ["counters 1 KiB"]
    assert told["resident memory of the process"] == ["2.0 MiB"]
    assert told["idle, of one CPU, emulated"] == ["1.5%"]


def test_forecasts_and_warnings_are_listed(page: str) -> None:
    assert "- igb, xdp-native: xdp-native it is\n  - log: the link restarts\n" in page


def test_machine_that_did_not_end_is_named(page: str) -> None:
    assert "e1000e: it did not come to its end.\n" in page
    assert "igb: it did not come" not in page


def test_page_states_date_command_and_versions(page: str) -> None:
    words = " ".join(page.split())
    assert "2026-01-02 by `just test-machines`" in words
    assert "Linux 6.12.95 and are emulated by qemu 10.0.2" in words
