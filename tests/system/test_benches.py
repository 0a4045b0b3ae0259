"""Each bench runs, measures something, and says what it would publish."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.patience import finished

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"

# Bench: lines that its table has in a short run.
EXPECTED = {
    "datapath": ("v4 64 B, 1,000 uniform",),
    "cgroups": ("ingress", "egress", "mean of both"),
    "throughput": ("an empty program", "pktexp --events packet", "pktexp --events flow", "65,000"),
    "scrape": ("100 flows", "10 interfaces"),
    "newflows": ("1,000",),
    "pod": ("sidecar, 1 interface, 1,000 flows",),
    "start": ("1 interface", "250 interfaces"),
    "watching": ("10 interfaces",),
    "idle": ("128", "256"),
    "grace": ("membarrier", "update of a map of maps"),
    "impact": ("nothing attached", "empty program", "pktexp --flows off"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_short_run_prints_a_table_and_keeps_the_page(name: str) -> None:
    page = PAGE.read_bytes()
    done = finished(
        [sys.executable, f"bench/{name}.py", "--quick"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "tests:bench"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line[:1] == "|"]
    assert set(EXPECTED[name]) <= set(rows)
    assert PAGE.read_bytes() == page


@pytest.mark.parametrize("name", EXPECTED)
def test_page_has_the_results_of_a_whole_run(name: str) -> None:
    section = PAGE.read_text().partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
    assert all(row in section for row in EXPECTED[name])
