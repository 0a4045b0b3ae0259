"""docs/machines.md, of machines that are made up."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from machines import results
from machines.cells import agreement
from machines.page import PAGE, written
from machines.results import Found


def mode(hook: str, counted: tuple[int, int], **more: object) -> dict[str, Any]:
    change = {"sent": 1100, "lost": 0, "carrier changes": 0}
    return {
        "forecast": {"ingress": hook, "why": f"{hook} it is"},
        "hook": hook,
        "attach": change | {"lost": 82, "carrier changes": 2},
        "detach": change,
        "counts": {"plain": {"sent": (10, 2000), "received": (9, 1800), "counted": counted}},
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


def found(folder: Path, *, complete: bool = True, **results: object) -> Found:
    folder.mkdir()
    for file, content in results.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    versions = ("abc1234", "6.12.95", "10.0.2")
    return Found.read(folder, date(2026, 1, 2), versions, complete=complete)


@pytest.fixture
def page(tmp_path: Path) -> str:
    half = {"defaults": CARDS["defaults"]}
    return written(
        {
            "igb": found(tmp_path / "igb", cards=CARDS),
            "e1000e": found(tmp_path / "e1000e", cards=half, complete=False),
            "8-cpus": found(tmp_path / "8-cpus", cpus=CPUS),
        }
    )


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
    fewer = agreement({"sent": (10, 2000), "received": (9, 1800), "counted": (9, 1800)})
    assert fewer == "9 of 10 (9 received)"
    assert told["1 goes"] == ["400", "399 of 400", "350", "1", "2"]


def test_kind_that_was_not_sent_is_an_mtu_refused(page: str) -> None:
    assert rows(page)["defaults: jumbo packets"][0] == "MTU refused"


def test_cpus_have_their_own_table(page: str) -> None:
    told = rows(page)
    assert told["kernel memory"] == ["counters 1 KiB"]
    assert told["resident memory of the process"] == ["2.0 MiB"]
    assert told["idle, of one CPU, emulated"] == ["1.5%"]


def test_forecasts_and_warnings_are_listed(page: str) -> None:
    assert "- igb, xdp-native: xdp-native it is\n  - logged: the link restarts\n" in page


def test_columns_state_their_run(page: str) -> None:
    assert "| run on | 2026-01-02 | 2026-01-02, not to its end |\n" in page
    assert "| pktexp | `abc1234` | `abc1234` |\n" in page
    assert "| qemu | 10.0.2 | 10.0.2 |\n" in page
    assert "found by `just test-machines`" in " ".join(page.split())


def test_results_of_a_machine_replace_its_former_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    first, second, other = (
        found(tmp_path / name, cpus={"CPUs": n}) for n, name in enumerate("abc")
    )
    for name, each in (("8-cpus", first), ("igb", other), ("8-cpus", second)):
        results.keep(name, each)
    assert results.kept() == {"igb": other, "8-cpus": second}


def test_committed_page_is_what_its_writer_makes_of_the_results() -> None:
    assert written(results.kept()) == PAGE.read_text("utf-8")
